package fileshare

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Export implements Server.
func (s *server) Export(ctx context.Context, e Export) error {
	what := fmt.Sprintf("show the guest's mount at %s", filepath.Join(e.HostPath, e.Path))
	if err := s.export(ctx, e); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (s *server) export(ctx context.Context, e Export) (err error) {
	if err := checkExport(e); err != nil {
		return err
	}
	// What an earlier server left is dead.
	if err := unmountExports(s.dir, e.ID); err != nil {
		return err
	}
	target, err := openTarget(e)
	if err != nil {
		return err
	}
	defer target.close()
	m, err := newGuestMount(exportSource(s.dir, e.ID), e.IsFile)
	if err != nil {
		return err
	}
	defer m.close()
	req := controlRequest{Op: opExport, Export: &exportRequest{
		ID: e.ID, ShareID: e.ShareID, Path: e.Path, Mount: e.Mount, Root: target.root, Parent: target.parent, Name: target.name,
	}}
	if _, err := s.ask(ctx, req, m.device, target.fd); err != nil {
		return err
	}
	if err := m.attach(target.fd); err != nil {
		return errors.Join(err, s.Unexport(context.WithoutCancel(ctx), e.ID))
	}
	return nil
}

// checkExport refuses a place that a guest may have made up.
func checkExport(e Export) error {
	if err := checkID("export id", e.ID); err != nil {
		return err
	}
	if err := checkID("share id", e.ShareID); err != nil {
		return err
	}
	if e.Path != "" && (!filepath.IsLocal(e.Path) || path.Clean(e.Path) != e.Path || len(e.Path) >= unix.PathMax) {
		return fmt.Errorf("%.100q is no path within a share", e.Path)
	}
	return nil
}

// Unexport implements Server.
func (s *server) Unexport(ctx context.Context, id string) error {
	if err := checkID("export id", id); err != nil {
		return err
	}
	if err := unmountExports(s.dir, id); err != nil {
		return err
	}
	if _, err := s.ask(ctx, controlRequest{Op: opUnexport, ExportID: id}); err != nil {
		return fmt.Errorf("end the mount %s: %w", id, err)
	}
	return nil
}

// Exports implements Server.
func (s *server) Exports(ctx context.Context) ([]string, error) {
	reply, err := s.ask(ctx, controlRequest{Op: opExports})
	if err != nil {
		return nil, fmt.Errorf("list the guest's mounts on the node: %w", err)
	}
	return reply.Exports, nil
}
