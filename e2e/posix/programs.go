package posix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// program is a test program that is built of somebody's sources.
type program struct {
	name string
	// source is a package of Debian's sources; headers are binary packages to build with.
	source, headers string
	// build is a shell script in the sources' folder; $OUT is where programs go, $ROOT has the headers.
	build string
}

var programs = []program{
	{"libfuse", "fuse3", "", `
		touch fuse_config.h
		gcc -O2 -static -DHAVE_COPY_FILE_RANGE -I. -o "$OUT/test_syscalls" test/test_syscalls.c`},
	{"lmdb", "lmdb", "", `
		cd libraries/liblmdb
		for t in mtest mtest2 mtest3 mtest4 mtest5; do
			gcc -O2 -static -pthread -o "$OUT/$t" $t.c mdb.c midl.c
		done`},
	{"sqlite", "sqlite3", "libsqlite3-dev", `
		gcc -O2 -static -pthread -I"$ROOT/usr/include" -o "$OUT/mptester" mptest/mptest.c "$ROOT"/usr/lib/*/libsqlite3.a -lm
		gcc -O2 -static -pthread -I"$ROOT/usr/include" -o "$OUT/speedtest1" test/speedtest1.c "$ROOT"/usr/lib/*/libsqlite3.a -lm
		cp mptest/*.test mptest/*.subtest "$OUT"`},
}

// built are the programs and their data, for an image: made once, and kept in cache.
func built(ctx context.Context, root string, a *debian.Archive, cache string) (images.Tree, error) {
	tree := images.Tree{"suites": images.Dir(0o755)}
	for _, p := range programs {
		dir := filepath.Join(cache, "posix-"+p.name)
		if _, err := os.Stat(dir); err != nil {
			if err := p.make(ctx, a, dir); err != nil {
				return nil, fmt.Errorf("build %s: %w", p.name, err)
			}
		}
		files, err := images.ReadTree(dir)
		if err != nil {
			return nil, err
		}
		for name, file := range files {
			tree["suites/"+name] = file
		}
	}
	gofuse, err := compileGoFuse(ctx, root)
	if err != nil {
		return nil, err
	}
	tree["suites/posixtest"] = images.File(0o755, string(gofuse))
	return tree, nil
}

func (p program) make(ctx context.Context, a *debian.Archive, dir string) (err error) {
	work, err := os.MkdirTemp("", "paddock-source-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	sources, root := filepath.Join(work, "src"), filepath.Join(work, "root")
	if err := errors.Join(os.Mkdir(sources, 0o755), os.MkdirAll(dir+".new", 0o755)); err != nil {
		return err
	}
	archive, err := a.Source(ctx, p.source)
	if err != nil {
		return err
	}
	if err := run(ctx, work, nil, "tar", "-xf", archive, "-C", sources, "--strip-components=1"); err != nil {
		return err
	}
	if p.headers != "" {
		debs, err := a.Fetch(ctx, p.headers)
		if err != nil {
			return err
		}
		for _, deb := range debs {
			if err := run(ctx, work, nil, "dpkg-deb", "-x", deb, root); err != nil {
				return err
			}
		}
	}
	if err := run(ctx, sources, []string{"OUT=" + dir + ".new", "ROOT=" + root}, "sh", "-ec", p.build); err != nil {
		return err
	}
	return os.Rename(dir+".new", dir)
}

// compileGoFuse builds the tests that the go-fuse module brings for file
// systems; root is the main module's folder, whose go.mod names the version.
func compileGoFuse(ctx context.Context, root string) ([]byte, error) {
	out := filepath.Join(root, "build", "bin", "posixtest")
	if err := run(ctx, root, []string{"CGO_ENABLED=0"}, "go", "test", "-c", "-o", out, "github.com/hanwen/go-fuse/v2/posixtest"); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, text.Bytes()[max(0, text.Len()-2000):])
	}
	return nil
}
