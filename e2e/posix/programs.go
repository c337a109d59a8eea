package posix

import (
	"context"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// programs are the suites that are built of Debian's sources.
var programs = []debian.Program{
	{Name: "libfuse", Source: "fuse3", Build: `
		touch fuse_config.h
		gcc -O2 -static -DHAVE_COPY_FILE_RANGE -I. -o "$OUT/test_syscalls" test/test_syscalls.c`},
	{Name: "lmdb", Source: "lmdb", Build: `
		cd libraries/liblmdb
		for t in mtest mtest2 mtest3 mtest4 mtest5; do
			gcc -O2 -static -pthread -o "$OUT/$t" $t.c mdb.c midl.c
		done`},
	{Name: "sqlite", Source: "sqlite3", Headers: "libsqlite3-dev", Build: `
		gcc -O2 -static -pthread -I"$ROOT/usr/include" -o "$OUT/mptester" mptest/mptest.c "$ROOT"/usr/lib/*/libsqlite3.a -lm
		gcc -O2 -static -pthread -I"$ROOT/usr/include" -o "$OUT/speedtest1" test/speedtest1.c "$ROOT"/usr/lib/*/libsqlite3.a -lm
		cp mptest/*.test mptest/*.subtest "$OUT"`},
}

// built are the programs and their data, for an image: made once, and kept in cache.
func built(ctx context.Context, root string, a *debian.Archive, cache string) (images.Tree, error) {
	tree := images.Tree{"suites": images.Dir(0o755)}
	for _, p := range programs {
		dir, err := p.Make(ctx, a, cache)
		if err != nil {
			return nil, err
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

// compileGoFuse builds the tests that the go-fuse module brings for file
// systems; root is the main module's folder, whose go.mod names the version.
func compileGoFuse(ctx context.Context, root string) ([]byte, error) {
	out := filepath.Join(root, "build", "bin", "posixtest")
	if err := debian.Run(ctx, root, []string{"CGO_ENABLED=0"}, "go", "test", "-c", "-o", out, "github.com/hanwen/go-fuse/v2/posixtest"); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
