//go:build linux

package agent

import (
	"net"
	"os"
	"path/filepath"
	"syscall"

	"google.golang.org/grpc/codes"

	"github.com/paddock-run/paddock/guest/agent/mountserver"
	"github.com/paddock-run/paddock/guest/api"
)

// MountServerArg makes the agent's program the server of mounts: see ServeMounts.
const MountServerArg = "mounts"

// ServeMounts is that process.
func ServeMounts() error { return mountserver.Main(sharesDir) }

// serveMount shows a container's mount to the node until the host ends the stream.
func (a *Agent) serveMount(conn net.Conn, req *api.MountStream) error {
	if err := checkID("share", req.GetShareId()); err != nil {
		return refuse(conn, err)
	}
	if req.Path != "" && (!filepath.IsLocal(req.Path) || filepath.Clean(req.Path) != req.Path) {
		return refuse(conn, invalid("path %q of a mount: want a clean relative path", req.Path))
	}
	if err := a.exports.Serve(conn, req); err != nil {
		return refuse(conn, errorf(codes.Unavailable, "mount at %q of share %s: %v", req.Path, req.ShareId, err))
	}
	return nil
}

func (a *Agent) startMountServer(control *os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), mountserver.Control: control.Fd()}
	_, err = a.reaper.Spawn("/proc/self/exe", []string{"paddock-mounts", MountServerArg}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return err
}
