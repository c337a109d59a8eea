//go:build linux || windows

package fileshare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// What a server's successor must know lies in its state directory: the guest's
// address, and a file for each share.

const (
	addressFile = "address"
	sharesDir   = "shares"

	// restoreTime bounds the giving of one share to a new server, restorePause is
	// the time between two tries, and restoreAtOnce how many are given side by side.
	restoreTime   = 30 * time.Second
	restorePause  = 5 * time.Second
	restoreAtOnce = 8
)

// shareRecord is a share as it was added.
type shareRecord struct {
	Share Share
	Root  rootID
}

// rootID tells a share's root from what takes its place: Linux' file systems give a
// new folder the number of one that was removed.
type rootID struct {
	fileID
	Born int64 // when it was made, in nanoseconds since 1970; 0 where that is not known or needed
}

func (r rootID) is(o rootID) bool {
	return r.fileID == o.fileID && (r.Born == o.Born || r.Born == 0 || o.Born == 0)
}

func sharePath(dir, id string) string { return filepath.Join(dir, sharesDir, id+".json") }

func writeShare(dir string, r shareRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(sharePath(dir, r.Share.ID), data)
}

// replaceFile leaves the old or the new content, whenever it ends.
func replaceFile(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func removeShare(dir, id string) error {
	for _, path := range []string{sharePath(dir, id), journalPath(dir, id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func journalPath(dir, id string) string { return filepath.Join(dir, sharesDir, id+".folders") }

// openJournal opens what a share's servers note for each other.
func openJournal(dir, id string) (*os.File, error) {
	return os.OpenFile(journalPath(dir, id), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
}

func readShares(dir string) ([]shareRecord, error) {
	entries, err := os.ReadDir(filepath.Join(dir, sharesDir))
	if err != nil {
		return nil, err
	}
	var all []shareRecord
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, sharesDir, e.Name()))
		if errors.Is(err, os.ErrNotExist) { // removed meanwhile
			continue
		}
		var r shareRecord
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("read the record of a share %s: %w", e.Name(), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// revive starts a sandbox's process again, unless one runs. vm.ErrNotFound: the sandbox has been stopped.
func (p *Processes) revive(ctx context.Context, sandboxID string) (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dir := p.dir(sandboxID)
	if proc, err := openProcess(dir); err == nil {
		return proc, nil
	}
	addr, err := os.ReadFile(filepath.Join(dir, addressFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, vm.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if err := unmountExports(dir, ""); err != nil { // dead
		klog.ErrorS(err, "Mounts of an ended share server stay on the node", "sandbox", sandboxID)
	}
	return p.start(ctx, dir, channel.Address(addr))
}

// restore gives a new process the shares of the former one. What fails is tried
// again in the background: its guest has no stream meanwhile, and gets EIO.
func (s *server) restore(ctx context.Context, proc *process) {
	shares, err := readShares(s.dir)
	if err != nil {
		klog.ErrorS(err, "Shares of a share server that was started again are lost", "sandbox", s.id)
		return
	}
	left := s.restoreSome(ctx, shares)
	if len(left) == 0 {
		return
	}
	go func() {
		for len(left) > 0 {
			select {
			case <-ctx.Done():
				return
			case <-proc.exited:
				return
			case <-time.After(restorePause):
			}
			left = s.restoreSome(ctx, left)
		}
	}()
}

// restoreSome returns the shares that are still to be restored.
func (s *server) restoreSome(ctx context.Context, shares []shareRecord) (left []shareRecord) {
	failed := make([]bool, len(shares))
	var parts errgroup.Group
	parts.SetLimit(restoreAtOnce)
	for i, r := range shares {
		parts.Go(func() error {
			failed[i] = s.restoreOne(ctx, r) != nil
			return nil
		})
	}
	_ = parts.Wait() // failures are noted above
	for i, r := range shares {
		if failed[i] {
			left = append(left, r)
		}
	}
	return left
}

func (s *server) restoreOne(ctx context.Context, r shareRecord) error {
	if _, err := os.Stat(sharePath(s.dir, r.Share.ID)); errors.Is(err, os.ErrNotExist) {
		return nil // removed meanwhile
	}
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	_, _, err := s.add(ctx, r.Share, &r.Root)
	if err != nil && ctx.Err() == nil {
		klog.ErrorS(err, "A share stays without a server for now", "sandbox", s.id, "hostPath", r.Share.HostPath)
	}
	return err
}
