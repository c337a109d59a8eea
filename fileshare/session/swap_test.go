//go:build linux

package session

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLinkSwappedOnTheWay: who has read a link and does not find what it named is sent
// back to the link if the host has changed it since, and hears the truth if it comes again without it.
func TestLinkSwappedOnTheWay(t *testing.T) {
	const stale, missing = unix.ESTALE, unix.ENOENT
	nothing := func(*testing.T, *client, string) {}
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, c *client, dir string) // once the link was read
		swap bool
		want []unix.Errno // of lookups of what the link named
	}{
		{"swapped", nothing, true, []unix.Errno{stale, missing}},
		{"swapped, and the name is known", func(t *testing.T, c *client, _ string) { c.mustLookup(1, "old") }, true, []unix.Errno{stale, stale, missing}},
		{"dangling", nothing, false, []unix.Errno{missing}},
		{"another thread", func(t *testing.T, c *client, _ string) { c.thread++ }, true, []unix.Errno{missing}},
		{"a path that has ended", func(t *testing.T, c *client, _ string) {
			c.must(opOpen, c.mustLookup(1, "f"), words(uint32(unix.O_RDONLY), uint32(0))...)
		}, true, []unix.Errno{missing}},
		{"another call since", func(_ *testing.T, c *client, _ string) { c.must(opStatfs, 1) }, true, []unix.Errno{missing}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(dir+"/f", nil, 0o644))
			must(t, os.Mkdir(dir+"/old", 0o755))
			must(t, os.Symlink("old", dir+"/link"))
			c, _ := serve(t, dir, false, 100)
			c.thread = 17
			link := c.mustLookup(1, "link")
			c.must(opReadlink, link)
			tc.do(t, c, dir)
			if tc.swap {
				must(t, os.Mkdir(dir+"/new", 0o755))
				must(t, os.Symlink("new", dir+"/next"))
				must(t, os.Rename(dir+"/next", dir+"/link"))
			}
			must(t, os.Remove(dir+"/old"))
			var got []unix.Errno
			for range tc.want {
				_, errno := c.lookup(1, "old")
				got = append(got, errno)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("lookups of what is gone: %v, want %v", got, tc.want)
			}
		})
	}
}

func (c *client) mustLookup(dir uint64, name string) uint64 {
	c.t.Helper()
	node, errno := c.lookup(dir, name)
	if errno != 0 {
		c.t.Fatalf("lookup of %s: %v", name, errno)
	}
	return node
}
