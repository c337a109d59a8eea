package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Configured is busybox with everything in its config that a container takes from an image.
func Configured() (v1.Image, error) {
	base, err := busyboxTree()
	if err != nil {
		return nil, err
	}
	return Image("amd64", v1.Config{
		User:       "tester",
		Env:        []string{"PATH=/bin", "FROM_IMAGE=yes", "OVERRIDDEN=image"},
		Entrypoint: []string{"/bin/sh", "-c"},
		Cmd:        []string{"echo default command; id; pwd; env; sleep 1000"},
		WorkingDir: "/home/tester",
		StopSignal: "SIGUSR1",
		Volumes:    map[string]struct{}{"/data": {}},
	}, base, Tree{
		"data": {Type: tar.TypeDir, Mode: 0o750, UID: 1000, GID: 1000}, "data/seed": {Mode: 0o640, UID: 1000, GID: 1000, Content: []byte("seed\n")},
	})
}

// Layered is busybox under layers that delete, replace, and cover what is below them.
func Layered() (v1.Image, error) {
	base, err := busyboxTree()
	if err != nil {
		return nil, err
	}
	return Image("amd64", v1.Config{Env: []string{"PATH=/bin"}},
		base,
		Tree{
			"a": Dir(0o755), "a/deleted": File(0o644, "1"), "a/replaced": File(0o644, "old"), "a/kept": File(0o600, "kept"),
			"covered": Dir(0o755), "covered/below": File(0o644, "below"),
			"setuid": {Mode: 0o4755, Content: []byte("x")}, "link": Symlink("a/kept"), "owned": {Mode: 0o640, UID: 1000, GID: 2000, Content: []byte("o")},
		},
		Tree{
			"a/.wh.deleted": File(0o644, ""), "a/replaced": File(0o644, "new"),
			"covered": Dir(0o755), "covered/.wh..wh..opq": File(0o644, ""), "covered/above": File(0o644, "above"),
			"hard": HardLink("a/kept-too"), "a/kept-too": File(0o644, "two names"),
		},
	)
}

// Files is an image of one layer without any program, as image volumes mount.
func Files() (v1.Image, error) {
	return Image("amd64", v1.Config{}, Tree{
		"models": Dir(0o755), "models/small": Dir(0o755), "models/small/weights": File(0o644, "small weights\n"),
		"models/large": Dir(0o755), "models/large/weights": File(0o644, "large weights\n"),
		"latest": Symlink("models/large"), "out": Symlink("/etc"), "README": File(0o644, "read me\n"),
	})
}

// Program builds one of this module's commands into an image of its own that runs it.
// moduleDir is the folder of e2e/go.mod; pkg such as "./cmd/webserver".
func Program(moduleDir, pkg string, base Tree) (v1.Image, error) {
	binary, err := BuildProgram(moduleDir, pkg)
	if err != nil {
		return nil, err
	}
	t := Tree{"program": {Mode: 0o755, Content: binary}, "etc": Dir(0o755), "tmp": Dir(0o1777)}
	layers := []Tree{t}
	if base != nil {
		layers = []Tree{base, t}
	}
	return Image("amd64", v1.Config{Entrypoint: []string{"/program"}, Env: []string{"PATH=/bin"}}, layers...)
}

// BuildProgram builds one of this module's commands for Linux, static.
func BuildProgram(moduleDir, pkg string) ([]byte, error) { return BuildFor("linux", moduleDir, pkg) }

// BuildFor builds a command of a module for an OS (GOOS), static.
func BuildFor(goos, moduleDir, pkg string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "paddock-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, pkg)
	cmd.Dir, cmd.Env = moduleDir, append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return os.ReadFile(bin)
}

// WebServer is an image that runs cmd/webserver on busybox.
func WebServer(moduleDir string) (v1.Image, error) { return OnBusybox(moduleDir, "./cmd/webserver") }

// OnBusybox is Program with busybox below.
func OnBusybox(moduleDir, pkg string) (v1.Image, error) {
	base, err := busyboxTree()
	if err != nil {
		return nil, err
	}
	return Program(moduleDir, pkg, base)
}

// Large is an image of layers with files of many sizes that compress to about
// half; layers x layerMB megabytes when unpacked. The same arguments give the same bytes.
func Large(layers, layerMB int) (v1.Image, error) {
	base, err := busyboxTree()
	if err != nil {
		return nil, err
	}
	trees := []Tree{base}
	for l := range layers {
		seed := sha256.Sum256([]byte(fmt.Sprint("layer", l)))
		trees = append(trees, filler(rand.New(rand.NewChaCha8(seed)), l, layerMB<<20))
	}
	return Image("amd64", v1.Config{Env: []string{"PATH=/bin"}}, trees...)
}

func filler(r *rand.Rand, layer, bytes int) Tree {
	t := Tree{}
	for n := 0; bytes > 0; n++ {
		size := min(bytes, 1<<(10+r.IntN(11)))
		content := make([]byte, size)
		for i := 0; i+16 <= size; i += 16 {
			binary.LittleEndian.PutUint64(content[i:], r.Uint64()) // the other half stays zero
		}
		dir := fmt.Sprintf("usr/share/l%d/d%d", layer, n/64)
		t[dir] = Dir(0o755)
		t[fmt.Sprintf("%s/f%d", dir, n)] = Entry{Mode: 0o644, Content: content}
		bytes -= size
	}
	return t
}

// Pause is what containerd keeps running in each sandbox: the program, made from pause/pause.c.
func Pause(program string) (v1.Image, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return Image("amd64", v1.Config{Entrypoint: []string{"/pause"}}, Tree{"pause": File(0o755, string(content))})
}
