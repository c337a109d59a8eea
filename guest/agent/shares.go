//go:build linux

package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/paddock-run/paddock/guest/agent/fusepump"
	"github.com/paddock-run/paddock/guest/api"
)

// streamGrace is how long AttachShare waits for a stream that the host opened
// over its other channel: the two are not ordered.
const streamGrace = 2 * time.Second

func sharePath(id string) string { return filepath.Join(sharesDir, id) }

// AttachShare mounts a share.
func (a *Agent) AttachShare(ctx context.Context, req *api.AttachShareRequest) (*api.AttachShareResponse, error) {
	if err := checkID("share", req.ShareId); err != nil {
		return nil, err
	}
	target := sharePath(req.ShareId)
	if err := makeMountPoint(target, req.RootIsFile); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(streamGrace)
	for {
		err := a.shares.Mount(ctx, req.ShareId, target, req.ReadOnly, req.RootIsFile, req.MaxWrite)
		switch {
		case err == nil:
			a.mu.Lock()
			a.attached[req.ShareId] = true
			a.mu.Unlock()
			return &api.AttachShareResponse{}, nil
		case !errors.Is(err, fusepump.ErrNoStream):
			return nil, err
		case time.Now().After(deadline):
			return nil, wrongState("%v", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// DetachShare unmounts a share.
func (a *Agent) DetachShare(_ context.Context, req *api.DetachShareRequest) (*api.DetachShareResponse, error) {
	if err := checkID("share", req.ShareId); err != nil {
		return nil, err
	}
	if err := a.shares.Unmount(req.ShareId); err != nil {
		return nil, err
	}
	a.mu.Lock()
	delete(a.attached, req.ShareId)
	a.mu.Unlock()
	os.Remove(sharePath(req.ShareId))
	return &api.DetachShareResponse{}, nil
}

func (a *Agent) shareMounted(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.attached[id]
}

// makeMountPoint leaves one that is there alone: it may be mounted.
func makeMountPoint(path string, file bool) error {
	if !file {
		err := os.MkdirAll(path, 0o755)
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
