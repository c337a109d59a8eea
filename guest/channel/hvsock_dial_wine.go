//go:build windows && wine

package channel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// dialHvsock opens a connection over the service that stands in for Hyper-V in
// tests (e2e/windows/hcs), as Wine has no AF_HYPERV.
func dialHvsock(ctx context.Context, addr *winio.HvsockAddr) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", os.Getenv("PADDOCK_STANDIN"))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err = requestHvsock(c, addr)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return c, nil
}

func requestHvsock(c net.Conn, addr *winio.HvsockAddr) error {
	request := "\x00Connect\x00" + addr.VMID.String() + "\x00" + addr.ServiceID.String() + "\x00"
	if _, err := c.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return fmt.Errorf("the stand-in service: %w", err)
	}
	if code := binary.LittleEndian.Uint32(head); code != 0 {
		return windows.Errno(code)
	}
	return nil
}
