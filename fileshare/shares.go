//go:build linux || windows

package fileshare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/idmap"
)

// maxShares bounds the shares of one sandbox.
const maxShares = 1024

// shareServer is the state of a server process.
type shareServer struct {
	hostState
	guest *guestLink

	mu sync.Mutex
	// what follows is guarded by mu
	shares map[string]*share
}

// backend is the file system behind a share.
type backend interface {
	RootIsFile() bool
	// Stop ends what waits; Close closes all, when no request is at work.
	Stop()
	Close()
}

// share is one share in service.
type share struct {
	id       string
	readOnly bool
	ids      *idmap.Range
	root     fileID
	fs       backend
	session  *session.Server
	guest    *guestLink
	ended    chan struct{} // closed by end

	mu sync.Mutex
	// what follows is guarded by mu
	conn net.Conn // nil while there is no stream
	over bool
}

// open has a share's stream opened, and tells what the agent must know.
func (s *shareServer) open(ctx context.Context, sh *share) (Info, error) {
	if err := sh.connect(ctx); err != nil {
		if !sh.wasUsed() {
			s.remove(sh.id)
		}
		return Info{}, err
	}
	return Info{RootIsFile: sh.fs.RootIsFile(), MaxWrite: session.MaxWrite}, nil
}

// known is the share of an id, if there is one; it must be the same.
func (s *shareServer) known(req controlRequest, root fileID) (*share, error) {
	sh := s.shares[req.ShareID]
	switch {
	case sh != nil && (sh.readOnly != req.ReadOnly || !idmap.Equal(sh.ids, req.IDs) || sh.root != root):
		return nil, errors.New("the id is in use for another host path, mode or id mapping")
	case sh == nil && len(s.shares) >= maxShares:
		return nil, fmt.Errorf("the sandbox has %d shares already", maxShares)
	}
	return sh, nil
}

func (s *shareServer) remove(id string) {
	s.mu.Lock()
	sh := s.shares[id]
	delete(s.shares, id)
	s.mu.Unlock()
	if sh != nil {
		sh.end()
	}
}

func (s *shareServer) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.shares))
	for id := range s.shares {
		ids = append(ids, id)
	}
	return ids
}

// connect opens the stream and serves it, unless one is in service.
func (sh *share) connect(ctx context.Context) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over {
		return errors.New("the share has been removed")
	}
	if sh.conn != nil {
		return nil
	}
	conn, err := sh.guest.dial(ctx, &api.StreamHeader{Kind: &api.StreamHeader_Share{Share: &api.ShareStream{ShareId: sh.id}}})
	if err != nil {
		return err
	}
	sh.conn = conn
	go sh.serve(conn)
	return nil
}

func (sh *share) wasUsed() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.conn != nil
}

// serve answers a stream's requests. A stream that breaks is opened again; one
// that the guest ends in order is not: it has unmounted.
func (sh *share) serve(conn net.Conn) {
	err := sh.session.Serve(conn)
	conn.Close()
	sh.mu.Lock()
	if sh.conn == conn {
		sh.conn = nil
	}
	over := sh.over
	sh.mu.Unlock()
	if over || errors.Is(err, io.EOF) {
		return
	}
	klog.ErrorS(err, "Share lost its stream", "share", sh.id)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		select {
		case <-sh.ended:
			return
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := sh.connect(ctx)
		cancel()
		if err == nil {
			return
		}
		klog.ErrorS(err, "Reopen the stream of a share", "share", sh.id)
	}
}

// end closes the share: its stream, then, when no request is at work, its files.
func (sh *share) end() {
	sh.mu.Lock()
	sh.over = true
	conn := sh.conn
	sh.conn = nil
	sh.mu.Unlock()
	close(sh.ended)
	sh.fs.Stop()
	if conn != nil {
		conn.Close()
	}
	go func() {
		sh.session.Wait()
		sh.fs.Close()
	}()
}
