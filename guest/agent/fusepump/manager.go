//go:build linux

package fusepump

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Errors tested for with errors.Is.
var (
	// ErrNoStream: the host has opened no stream for the share.
	ErrNoStream = errors.New("no stream for the share")
	// ErrMounted: the share is mounted already, elsewhere.
	ErrMounted = errors.New("share is already mounted")
)

// ReconnectTimeout is how long requests wait for a new stream after one is lost, before they get EIO.
const ReconnectTimeout = 10 * time.Second

// Manager holds the shares of a guest. The zero value is ready. Its methods may be called concurrently.
type Manager struct {
	watches watches

	mu sync.Mutex
	// what follows is guarded by mu
	streams map[string]net.Conn // registered, not mounted yet
	pumps   map[string]*pump
}

// Register gives a share the stream that the host has opened for it, after the
// StreamReply. It takes conn over; a newer stream replaces and closes an older one.
func (m *Manager) Register(shareID string, conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pumps[shareID]; p != nil {
		p.connect(conn)
		return
	}
	if m.streams == nil {
		m.streams = map[string]net.Conn{}
	}
	if old := m.streams[shareID]; old != nil {
		old.Close()
	}
	m.streams[shareID] = conn
}

// Mount mounts a share at target, an existing directory, or an existing file if
// rootIsFile. maxWrite is the host's largest read or write in bytes; 0 means 128 KiB.
// The stream must be registered. A repeat with the same target succeeds.
// The mount answers requests when this returns.
func (m *Manager) Mount(ctx context.Context, shareID, target string, readOnly, rootIsFile bool, maxWrite uint32) error {
	m.mu.Lock()
	if p := m.pumps[shareID]; p != nil {
		m.mu.Unlock()
		if p.target != target {
			return fmt.Errorf("mount share %s at %s: %w at %s", shareID, target, ErrMounted, p.target)
		}
		return p.waitReady(ctx)
	}
	conn := m.streams[shareID]
	if conn == nil {
		m.mu.Unlock()
		return fmt.Errorf("mount share %s at %s: %w: the host must open it first", shareID, target, ErrNoStream)
	}
	p, err := newPump(target, readOnly, rootIsFile, maxWrite, &m.watches)
	if err != nil {
		m.mu.Unlock()
		return fmt.Errorf("mount share %s at %s: %w", shareID, target, err)
	}
	delete(m.streams, shareID)
	if m.pumps == nil {
		m.pumps = map[string]*pump{}
	}
	m.pumps[shareID] = p
	p.connect(conn)
	p.users.Add(1)
	go p.readRequests()
	m.mu.Unlock()
	if err := p.waitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("mount share %s at %s: host did not answer FUSE_INIT: %w", shareID, target, err), m.Unmount(shareID))
	}
	if err := settlePoll(target, rootIsFile); err != nil {
		return errors.Join(fmt.Errorf("mount share %s at %s: %w", shareID, target, err), m.Unmount(shareID))
	}
	return nil
}

// Unmount takes a share's mount away, open files or not, and closes its
// stream. It does not wait for the host. An unknown share succeeds.
func (m *Manager) Unmount(shareID string) error {
	m.mu.Lock()
	p := m.pumps[shareID]
	delete(m.pumps, shareID)
	conn := m.streams[shareID]
	delete(m.streams, shareID)
	m.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	if p == nil {
		return nil
	}
	if err := p.stop(); err != nil {
		return fmt.Errorf("unmount share %s from %s: %w", shareID, p.target, err)
	}
	return nil
}

// Sync writes what the kernel keeps of every share back to its host. Nobody uses
// the shares meanwhile.
func (m *Manager) Sync() error {
	m.mu.Lock()
	var targets []string
	for _, p := range m.pumps {
		targets = append(targets, p.target)
	}
	m.mu.Unlock()
	var errs []error
	for _, target := range targets {
		errs = append(errs, syncMount(target))
	}
	return errors.Join(errs...)
}

func syncMount(target string) error {
	defer unforked()()
	fd, err := unix.Open(target, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("write %s back: %w", target, err)
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("write %s back: %w", target, err)
	}
	return nil
}

// Close unmounts every share.
func (m *Manager) Close() error {
	m.mu.Lock()
	ids := map[string]bool{}
	for id := range m.pumps {
		ids[id] = true
	}
	for id := range m.streams {
		ids[id] = true
	}
	m.mu.Unlock()
	var errs []error
	for id := range ids {
		errs = append(errs, m.Unmount(id))
	}
	return errors.Join(errs...)
}
