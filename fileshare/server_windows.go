package fileshare

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/ntfs"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// add opens a share's root, which must be want if that is set, and gives it to the process.
func (s *server) add(ctx context.Context, share Share, want *rootID) (info Info, root rootID, err error) {
	if share.IDs != nil {
		return Info{}, root, fmt.Errorf("a share with an id mapping, on a Windows host: %w", vm.ErrUnsupported)
	}
	h, err := ntfs.OpenRoot(share.HostPath)
	if err != nil {
		return Info{}, root, err
	}
	defer windows.CloseHandle(h)
	if root, err = rootIDOf(h); err != nil {
		return Info{}, root, fmt.Errorf("stat the host path: %w", err)
	}
	if want != nil && !root.is(*want) {
		return Info{}, root, errors.New("the host path leads elsewhere now")
	}
	proc, err := s.running(ctx)
	if err != nil {
		return Info{}, root, err
	}
	theirs, err := proc.give(h)
	if err != nil {
		return Info{}, root, err
	}
	reply, err := s.askProcess(ctx, proc, controlRequest{Op: opAdd, ShareID: share.ID, ReadOnly: share.ReadOnly, Watch: share.Watch, Root: theirs, Process: proc.id})
	return reply.Info, root, err
}

// rootIDOf needs no time of birth: NTFS numbers a file by its place and by how often
// that was used (MS-FSCC 2.1.9), and times of creation may be set.
func rootIDOf(h windows.Handle) (rootID, error) {
	file, err := fileIDOf(h)
	return rootID{fileID: file}, err
}

func fileIDOf(h windows.Handle) (fileID, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return fileID{}, err
	}
	return fileID{Dev: uint64(info.VolumeSerialNumber), Ino: uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}, nil
}

// Export implements Server. Windows has no file system that a program of ours could serve to the node.
func (s *server) Export(_ context.Context, e Export) error {
	return fmt.Errorf("show the guest's mount at %s in %s on a Windows node: %w", e.Path, e.HostPath, vm.ErrUnsupported)
}

// Unexport implements Server.
func (s *server) Unexport(context.Context, string) error { return nil }

// Exports implements Server.
func (s *server) Exports(context.Context) ([]string, error) { return nil, nil }
