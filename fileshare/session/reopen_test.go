//go:build linux

package session

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func (c *client) getattr(node uint64) unix.Errno {
	c.t.Helper()
	errno, _ := c.do(opGetattr, node, make([]byte, 16)...)
	return errno
}

func (c *client) forget(node, count uint64) {
	c.t.Helper()
	if _, err := c.conn.Write(request(opForget, 0, node, words(count)...)); err != nil {
		c.t.Fatal(err)
	}
}

// TestManyInodesFewDescriptors: a client may know many more inodes than there
// are descriptors, and each goes on being the file that it was.
func TestManyInodesFewDescriptors(t *testing.T) {
	const dirs, files, budget = 10, 100, 40
	dir := t.TempDir()
	c, b := serve(t, dir, false, budget)
	nodes := map[uint64]uint64{} // node to inode number
	for i := range dirs {
		sub := fmt.Sprintf("%s/d%d", dir, i)
		must(t, os.Mkdir(sub, 0o755))
		parent, errno := c.lookup(1, fmt.Sprintf("d%d", i))
		if errno != 0 {
			t.Fatal(errno)
		}
		for j := range files {
			name := fmt.Sprintf("f%d", j)
			must(t, os.WriteFile(sub+"/"+name, nil, 0o644))
			node, errno := c.lookup(parent, name)
			if errno != 0 {
				t.Fatalf("lookup %d of %d: %v", i*files+j, dirs*files, errno)
			}
			var st unix.Stat_t
			must(t, unix.Stat(sub+"/"+name, &st))
			nodes[node] = st.Ino
		}
	}
	if b.Used() > budget || b.Known() != dirs*(files+1)+1 {
		t.Errorf("%d descriptors, %d inodes", b.Used(), b.Known())
	}
	for node, ino := range nodes {
		errno, body := c.do(opGetattr, node, make([]byte, 16)...)
		if errno != 0 || binary.NativeEndian.Uint64(body[16:]) != ino {
			t.Fatalf("node %d: %v, inode %d, want %d", node, errno, binary.NativeEndian.Uint64(body[16:]), ino)
		}
		c.forget(node, 1)
	}
	if c.getattr(1); b.Known() != dirs+1 {
		t.Errorf("%d inodes after all was forgotten", b.Known())
	}
}

// TestFoundAgain: an inode without a descriptor is found by its last name, and
// nothing else is taken for it.
func TestFoundAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, c *client, dir string)
		want unix.Errno
	}{
		{"as it was", func(*testing.T, *client, string) {}, 0},
		{"renamed by the client", func(t *testing.T, c *client, _ string) {
			c.must(opRename, 1, words(uint64(1), "f", "g")...)
		}, 0},
		{"exchanged by the client", func(t *testing.T, c *client, dir string) {
			c.must(opRename2, 1, words(uint64(1), uint32(unix.RENAME_EXCHANGE), uint32(0), "f", "other")...)
		}, 0},
		{"another link taken away", func(t *testing.T, c *client, dir string) {
			must(t, os.Link(dir+"/f", dir+"/second"))
			c.must(opUnlink, 1, words("second")...)
		}, 0},
		{"renamed on the host", func(t *testing.T, _ *client, dir string) {
			must(t, os.Rename(dir+"/f", dir+"/g"))
		}, unix.ESTALE},
		{"replaced on the host", func(t *testing.T, _ *client, dir string) {
			must(t, os.WriteFile(dir+"/g", nil, 0o644))
			must(t, os.Rename(dir+"/g", dir+"/f"))
		}, unix.ESTALE},
		{"a link to outside in its place", func(t *testing.T, _ *client, dir string) {
			must(t, os.Remove(dir+"/f"))
			must(t, os.Symlink("/etc/passwd", dir+"/f"))
		}, unix.ESTALE},
		{"removed by the client", func(t *testing.T, c *client, dir string) {
			c.must(opUnlink, 1, words("f")...)
		}, unix.ESTALE},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range []string{"f", "other"} {
				must(t, os.WriteFile(dir+"/"+f, nil, 0o644))
			}
			c, _ := serve(t, dir, false, 8)
			node, errno := c.lookup(1, "f")
			if errno != 0 {
				t.Fatal(errno)
			}
			if _, errno := c.lookup(1, "other"); errno != 0 {
				t.Fatal(errno)
			}
			tc.do(t, c, dir)
			for i := range 20 { // close its descriptor
				name := fmt.Sprintf("x%d", i)
				must(t, os.WriteFile(dir+"/"+name, nil, 0o644))
				if _, errno := c.lookup(1, name); errno != 0 {
					t.Fatal(errno)
				}
			}
			if errno := c.getattr(node); errno != tc.want {
				t.Errorf("%v, want %v", errno, tc.want)
			}
		})
	}
}

// TestCircle: names that lead in a circle, after moves on the host, are stale and nothing worse.
func TestCircle(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/a/b", 0o755))
	c, _ := serve(t, dir, false, 8)
	a, _ := c.lookup(1, "a")
	b, errno := c.lookup(a, "b")
	if errno != 0 {
		t.Fatal(errno)
	}
	must(t, os.Rename(dir+"/a/b", dir+"/b"))
	must(t, os.Rename(dir+"/a", dir+"/b/a"))
	if again, errno := c.lookup(b, "a"); errno != 0 || again != a {
		t.Fatal(again, errno)
	}
	for i := range 20 {
		name := fmt.Sprintf("x%d", i)
		must(t, os.WriteFile(dir+"/"+name, nil, 0o644))
		c.lookup(1, name)
	}
	for _, node := range []uint64{a, b} {
		if errno := c.getattr(node); errno != unix.ESTALE {
			t.Errorf("%v, want ESTALE", errno)
		}
	}
	if again, errno := c.lookup(1, "b"); errno != 0 || again != b {
		t.Errorf("looked up anew: %d, %v; want %d", again, errno, b)
	}
	if errno := c.getattr(a); errno != 0 {
		t.Errorf("below it: %v", errno)
	}
}

// must sends a request that has to succeed.
func (c *client) must(opcode uint32, node uint64, body ...byte) {
	c.t.Helper()
	if errno, _ := c.do(opcode, node, body...); errno != 0 {
		c.t.Fatal(errno)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
