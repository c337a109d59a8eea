package bridgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// bridgeService is where the host awaits the guest.
const bridgeService = "acef5661-84a1-4e44-856b-6245e69f4620"

// redialPause is how long the guest waits before it dials the host again.
const redialPause = 20 * time.Millisecond

// Config is what a Guest is made of.
type Config struct {
	// Dial connects to a socket service of the host.
	Dial func(service string) (net.Conn, error)
	// Check tells whether a document is of the schema's type of that name; nil: all are.
	Check func(typeName string, document []byte) error
	// Path tells whether there is something at a path of the guest that is no disk of
	// its own, such as a share; nil: always.
	Path func(path string) error
	// Disk tells whether a disk is attached at a LUN; nil: always.
	Disk func(lun int32) error
	// Refused is told every refusal; may be nil.
	Refused func(what string)
}

// Guest is one VM's. What it runs outlives its connections.
type Guest struct {
	cfg Config

	mu         sync.Mutex
	asked      []string // every request, for tests
	refusing   string   // the request to refuse next, as in asked
	addresses  bool     // it was told the VM's
	disks      map[int32]string
	combined   map[string]bool
	folders    map[string]bool // on the VM's own disk
	containers map[string]*container
	namespaces map[string]bool
	adapters   map[string]string // how far each has come
	nextPID    uint32
	conn       net.Conn // the bridge's
	notify     func(containerID string)
}

type container struct {
	document  json.RawMessage
	root      string
	started   bool
	ended     bool
	processes map[uint32]*process
}

// New is a guest that has just booted.
func New(cfg Config) *Guest {
	return &Guest{
		cfg: cfg, disks: map[int32]string{}, combined: map[string]bool{}, folders: map[string]bool{}, containers: map[string]*container{
			nullID: {started: true, processes: map[uint32]*process{}},
		},
		namespaces: map[string]bool{}, adapters: map[string]string{}, nextPID: 1000,
	}
}

// Run dials the host until ctx ends, and again when the bridge has broken.
func (g *Guest) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, g.Break)
	defer stop()
	for ctx.Err() == nil {
		if conn, err := g.cfg.Dial(bridgeService); err == nil {
			if ctx.Err() != nil {
				conn.Close()
				return
			}
			g.serve(conn)
		}
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
}

// Break breaks the bridge.
func (g *Guest) Break() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil {
		g.conn.Close()
	}
}

// Asked are the requests so far, each by its name and what it names.
func (g *Guest) Asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.asked...)
}

// RefuseNext has the next request of that kind, as Asked names it, refused.
func (g *Guest) RefuseNext(request string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusing = request
}

// Document is what a container was created of; nil if there is none.
func (g *Guest) Document(containerID string) json.RawMessage {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.containers[containerID]; c != nil {
		return c.document
	}
	return nil
}

// Left is what the guest still has: disks, layers, containers, namespaces, adapters.
func (g *Guest) Left() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var left []string
	for lun, path := range g.disks {
		left = append(left, fmt.Sprintf("disk %d at %s", lun, path))
	}
	for root := range g.combined {
		left = append(left, "layers combined at "+root)
	}
	for id, c := range g.containers {
		if id != nullID && !c.ended {
			left = append(left, "container "+id)
		}
	}
	return left
}
