package ntfs

import "sync/atomic"

// Budget bounds what the guest of a sandbox makes its server hold, all shares together.
type Budget struct {
	maxHandles, maxNodes int64
	handles, nodes       atomic.Int64
}

// NewBudget allows so many open files and directories, and so many inodes that the guest knows.
func NewBudget(handles, nodes int) *Budget {
	return &Budget{maxHandles: int64(handles), maxNodes: int64(nodes)}
}

// Handles is the number of files and directories that are open.
func (b *Budget) Handles() int { return int(b.handles.Load()) }

// Nodes is the number of inodes that the guest knows.
func (b *Budget) Nodes() int { return int(b.nodes.Load()) }

func (b *Budget) takeHandle() error { return take(&b.handles, b.maxHandles) }
func (b *Budget) takeNode() error   { return take(&b.nodes, b.maxNodes) }

func take(used *atomic.Int64, most int64) error {
	if used.Add(1) > most {
		used.Add(-1)
		return ENFILE
	}
	return nil
}
