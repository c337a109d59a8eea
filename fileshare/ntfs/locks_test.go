package ntfs

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestLocks(t *testing.T) {
	var table LockTable
	set := func(owner, start, end uint64, write bool) error {
		return table.Set(1, Lock{Owner: owner, Start: start, End: end, Write: write})
	}
	for _, err := range []error{set(1, 0, 99, true), set(2, 100, ^uint64(0), false), set(3, 100, 200, false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := set(2, 99, 99, false); !errors.Is(err, EAGAIN) {
		t.Errorf("a lock in the way: %v", err)
	}
	if l, ok := table.Test(1, Lock{Owner: 4, Start: 50, End: 300, Write: true}); !ok || l.Owner != 1 {
		t.Errorf("in the way is %+v, %v", l, ok)
	}
	if err := set(1, 40, 59, false); err != nil { // in the middle of its own
		t.Fatal(err)
	}
	table.Unlock(1, 1, 50, 54)
	want := []Lock{{1, 0, 39, true}, {1, 40, 49, false}, {1, 55, 59, false}, {1, 60, 99, true}, {2, 100, ^uint64(0), false}, {3, 100, 200, false}}
	if got := table.Held(1); !reflect.DeepEqual(got, want) {
		t.Errorf("held %+v, want %+v", got, want)
	}
	if err := set(1, 2, 1, true); !errors.Is(err, EINVAL) {
		t.Errorf("a range that ends before it starts: %v", err)
	}
	for owner := range uint64(4) {
		table.Drop(1, owner)
	}
	if len(table.files) != 0 {
		t.Errorf("left: %v", table.files)
	}
}

func TestLockWaits(t *testing.T) {
	var table LockTable
	l := Lock{Owner: 1, Start: 0, End: 9, Write: true}
	if err := table.Set(1, l); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() { got <- table.Wait(t.Context(), 1, Lock{Owner: 2, Start: 5, End: 5}) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := table.Wait(ctx, 1, Lock{Owner: 3, Start: 0, End: 0}); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	l.Write = false // which lets readers in
	if err := table.Set(1, l); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// A guest's locks are bounded, and gone when the file is closed.
func TestLocksAreBounded(t *testing.T) {
	var table LockTable
	for i := range uint64(maxFileLocks) {
		if err := table.Set(1, Lock{Owner: 1, Start: 2 * i, End: 2 * i}); err != nil {
			t.Fatalf("lock %d: %v", i, err)
		}
	}
	one := Lock{Owner: 1, Start: 1 << 40, End: 1 << 40}
	if err := table.Set(1, one); !errors.Is(err, ENOLCK) {
		t.Errorf("one too many: %v", err)
	}
	if err := table.Wait(t.Context(), 1, one); !errors.Is(err, ENOLCK) {
		t.Errorf("waited for one too many: %v", err)
	}
	if err := table.Set(2, one); err != nil {
		t.Errorf("of another file: %v", err)
	}
	table.Clear(1)
	if err := table.Set(1, one); err != nil || table.count != 2 {
		t.Errorf("after the file was closed: %v, %d locks", err, table.count)
	}
}
