//go:build linux

package modeltest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Compare does a sequence on a share, whose folder on the host is host, and on a
// model in an empty folder of the same file system.
func Compare(t testing.TB, ops []Op, share Tree, host, model string) {
	t.Helper()
	native := Native{Root: model}
	for i, op := range ops {
		got, want := share.Do(op), native.Do(op)
		if got != want {
			t.Fatalf("operation %d of %d, %v: %q, want %q\nbefore it: %v", i, len(ops), op, got, want, ops[max(0, i-20):i])
		}
	}
	if got, want := Describe(t, host), Describe(t, model); got != want {
		t.Fatalf("the trees differ after %v:\n%s\nwant:\n%s", ops, got, want)
	}
}

// Describe tells everything about a tree that must be the same.
func Describe(t testing.TB, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		var content []byte
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			text, err := os.Readlink(path)
			if err != nil {
				return err
			}
			content = []byte(text)
		case d.Type().IsRegular():
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&all, "%s: %s, of %d:%d, %q\n", strings.TrimPrefix(path, root),
			Attributes(st.Mode, uint32(st.Nlink), st.Size), st.Uid, st.Gid, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
