//go:build linux

package posix

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Budget bounds the descriptors that file systems of one process hold together,
// so that a client cannot use them up.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes a budget of limit descriptors.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

// take reserves one descriptor; ENFILE says there is none left.
func (b *Budget) take() error {
	if b.used.Add(1) > b.limit {
		b.used.Add(-1)
		return unix.ENFILE
	}
	return nil
}

func (b *Budget) give() { b.used.Add(-1) }

// Used is the number of descriptors held now.
func (b *Budget) Used() int { return int(b.used.Load()) }
