package ntfs

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// cacheTime is how long, in seconds, the client may keep names and attributes:
// see "Caching" in package fileshare.
const cacheTime = 1

// Config is what a file system serves.
type Config struct {
	// Root is the share's directory or file, opened with FILE_OPEN_REPARSE_POINT or found to be none. New takes it over.
	Root windows.Handle
	// ReadOnly refuses every change.
	ReadOnly bool
	// Defaults are the metadata of files that have none.
	Defaults Defaults
	// Budget is the sandbox's.
	Budget *Budget
}

// FS serves a directory or a file of Windows'. It is a wire.FileSystem.
type FS struct {
	root       windows.Handle
	rootIsFile bool
	readOnly   bool
	hasEAs     bool
	noStatLx   atomic.Bool
	defaults   Defaults
	budget     *Budget
	locks      LockTable
	flocks     LockTable
	stopped    chan struct{}
	stop       sync.Once
	watch      *watch // nil: the client is not told of changes

	// tree is held to find a file by its names, and for writing to rename one. Taken before mu.
	tree sync.RWMutex
	mu   sync.Mutex
	// what follows is guarded by mu
	nodes      map[uint64]*node // by number
	byFile     map[uint64]*node // by file id
	byPlace    map[place]*node
	handles    map[uint64]*handle
	lastNode   uint64
	lastHandle uint64
}

var _ wire.FileSystem = (*FS)(nil)

// New makes a file system. The volume must have file ids that stay: NTFS.
func New(cfg Config) (*FS, error) {
	fs := &FS{
		root: cfg.Root, readOnly: cfg.ReadOnly, defaults: cfg.Defaults, budget: cfg.Budget, stopped: make(chan struct{}),
		nodes: map[uint64]*node{}, byFile: map[uint64]*node{}, byPlace: map[place]*node{}, handles: map[uint64]*handle{},
	}
	fs.lastNode = firstNumber()
	fs.lastHandle = fs.lastNode
	fs.hasEAs = volumeHasEAs(cfg.Root)
	st, err := fs.stat(cfg.Root)
	if err == nil && st.Mode&typeMask != typeDir && st.Mode&typeMask != typeRegular {
		err = errors.New("neither a directory nor a file")
	}
	if err == nil {
		err = servable(&st)
	}
	if err != nil {
		windows.CloseHandle(cfg.Root)
		return nil, fmt.Errorf("root of a share: %w", err)
	}
	fs.rootIsFile = st.Mode&typeMask == typeRegular
	root := &node{id: wire.RootID, file: st.FileID, kind: st.Mode & typeMask, refs: 1}
	fs.nodes[root.id], fs.byFile[root.file] = root, root
	return fs, nil
}

// firstNumber is above all that an earlier server gave: a client that still has some of
// that server's must not get at other files with them. It gave less than one in a nanosecond.
func firstNumber() uint64 { return wire.RootID + uint64(windows.DurationSinceBoot().Nanoseconds()) }

// RootIsFile tells whether the share is a single file.
func (fs *FS) RootIsFile() bool { return fs.rootIsFile }

// RootID is the root's id on its volume.
func (fs *FS) RootID() uint64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.nodes[wire.RootID].file
}

// Stop ends waits for locks, and has the client told no more.
func (fs *FS) Stop() {
	fs.stop.Do(func() {
		close(fs.stopped)
		if fs.watch != nil {
			windows.SetEvent(fs.watch.quit)
		}
	})
}

// Close closes all handles. No request may be at work, nor come.
func (fs *FS) Close() {
	fs.Stop()
	if fs.watch != nil {
		<-fs.watch.done
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, h := range fs.handles {
		windows.CloseHandle(h.h)
		fs.budget.handles.Add(-1)
	}
	fs.budget.nodes.Add(-int64(len(fs.nodes) - 1))
	fs.nodes, fs.handles, fs.byFile = map[uint64]*node{}, map[uint64]*handle{}, map[uint64]*node{}
	windows.CloseHandle(fs.root)
}
