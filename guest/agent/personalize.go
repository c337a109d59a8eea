//go:build linux

package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

var machineID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Personalize makes a VM, perhaps a clone of another, its own machine.
func (a *Agent) Personalize(ctx context.Context, req *api.PersonalizeRequest) (*api.PersonalizeResponse, error) {
	if n := len(req.Entropy); n < 32 || n > 512 {
		return nil, status.Errorf(codes.InvalidArgument, "entropy: %d bytes, want 32 to 512", n)
	}
	if !machineID.MatchString(req.MachineId) {
		return nil, status.Errorf(codes.InvalidArgument, "machine_id %q: want 32 hex digits", req.MachineId)
	}
	if req.UnixNanos <= 0 {
		return nil, status.Errorf(codes.InvalidArgument, "unix_nanos: want a time after 1970, have %d", req.UnixNanos)
	}
	if err := seedRNG(req.Entropy); err != nil {
		return nil, status.Errorf(codes.Internal, "seed the random number generator: %v", err)
	}
	if err := setClock(req.UnixNanos); err != nil {
		return nil, status.Errorf(codes.Internal, "set the clock: %v", err)
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return nil, status.Errorf(codes.Internal, "make /etc: %v", err)
	}
	if err := os.WriteFile("/etc/machine-id", []byte(req.MachineId+"\n"), 0o444); err != nil {
		return nil, status.Errorf(codes.Internal, "write the machine id: %v", err)
	}
	if req.Scratch != nil {
		a.sandbox.mu.Lock()
		defer a.sandbox.mu.Unlock()
		if err := a.mountScratch(ctx, req.Scratch); err != nil {
			return nil, status.Errorf(codes.Internal, "mount the scratch disk: %v", err)
		}
	}
	return &api.PersonalizeResponse{}, nil
}

func setClock(unixNanos int64) error {
	tv := unix.NsecToTimeval(unixNanos)
	return unix.Settimeofday(&tv)
}

// seedRNG credits entropy to the kernel's pool and makes its generator use it
// at once. Clones of one template return the same random bytes until then.
func seedRNG(entropy []byte) error {
	f, err := os.OpenFile("/dev/urandom", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// struct rand_pool_info: bits of entropy, bytes of buffer, buffer.
	info := binary.NativeEndian.AppendUint32(nil, uint32(len(entropy)*8))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&info[0]))); e != 0 {
		return fmt.Errorf("RNDADDENTROPY: %w", e)
	}
	const rndReseedCRNG = 0x5207
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), rndReseedCRNG, 0); e != 0 {
		return fmt.Errorf("RNDRESEEDCRNG: %w", e)
	}
	return nil
}
