//go:build linux

package agenttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:1002:1002::/home/web:/bin/sh\n"
	group  = "root:x:0:\nweb:x:1002:\nextra:x:50000:web\n"
)

var applets = strings.Fields("sh cat echo sleep id ls mkdir rm touch ps kill stty true false env hostname nc head tail dd mount sysctl seq wc readlink grep stat sort uniq sed mknod chown ip chmod")

// layers makes two layer disks: a busybox root, and one that hides a file of
// it, changes another and has links that lead out of the image.
func layers(t testing.TB, dir string) (base, top string) {
	t.Helper()
	root := filepath.Join(dir, "base")
	for _, d := range []string{"bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/web", "data/sub"} {
		must(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	must(t, os.Chmod(filepath.Join(root, "tmp"), 0o1777))
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "bin/busybox"), busybox, 0o755))
	for _, name := range applets {
		must(t, os.Symlink("busybox", filepath.Join(root, "bin", name)))
	}
	for file, text := range map[string]string{
		"etc/passwd": passwd, "etc/group": group, "etc/layer": "base\n", "data/sub/file": "from the image\n",
	} {
		must(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o644))
	}
	over := filepath.Join(dir, "top")
	must(t, os.MkdirAll(filepath.Join(over, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(over, "etc/layer"), []byte("top\n"), 0o644))
	must(t, os.Symlink("/", filepath.Join(over, "escape")))
	return ext4(t, dir, root), ext4(t, dir, over)
}

func ext4(t testing.TB, dir, tree string) string {
	t.Helper()
	file := filepath.Join(dir, filepath.Base(tree)+".ext4")
	run(t, "mkfs.ext4", "-q", "-F", "-d", tree, file, "16M")
	return file
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
