//go:build linux

package posix_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/fileshare/sharetest"
)

func TestConformance(t *testing.T) {
	sharetest.Run(t, sharetest.Backend{Open: func(t *testing.T, dir string, readOnly bool) session.Handler {
		root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(root)
		budget := posix.NewBudget(1000)
		fs, err := posix.New(posix.Config{Root: root, ReadOnly: readOnly, Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			fs.Stop()
			fs.Close()
			if budget.Used() != 0 || budget.Known() != 0 {
				t.Errorf("%d descriptors and %d inodes were not given back", budget.Used(), budget.Known())
			}
		})
		return session.NewHandler(fs)
	}})
}
