package sharebench

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// fio is linked statically: Debian's needs the libraries of every storage cluster.
var fio = debian.Program{Name: "fio", Source: "fio", Build: `
	./configure --build-static --disable-native --disable-http --disable-libnfs >/dev/null
	make -j2 fio >/dev/null
	strip -o "$OUT/fio" fio`}

// image has the measured programs, for the pod; the peers' root file systems are made of it.
var image = debian.Image{
	Name: "sharebench",
	Layer: &debian.Layer{
		Alone: []string{"git", "busybox-static"}, Below: []*debian.Layer{debian.Base},
		Without: []string{"usr/lib/git-core", "usr/share/git-core", "usr/share/perl5"},
	},
	Files: func(ctx context.Context, a *debian.Archive, cache string) (images.Tree, error) {
		dir, err := fio.Make(ctx, a, cache)
		if err != nil {
			return nil, err
		}
		tree, err := images.ReadTree(dir)
		if err != nil {
			return nil, err
		}
		content, err := treeTar()
		if err != nil {
			return nil, err
		}
		return images.Tree{
			"bench": images.Dir(0o755), "bench/fio": tree["fio"],
			"bench/work.sh": images.File(0o644, workScript), "bench/tree.tar": images.File(0o644, string(content)),
		}, nil
	},
}

// The tree that is unpacked: some of the sizes of a program's sources.
const treeDirs, treeFiles = 60, 20

func treeTar() ([]byte, error) {
	random := rand.New(rand.NewPCG(7, 7))
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, content []byte) error {
		h.Size, h.ModTime = int64(len(content)), time.Unix(1700000000, 0)
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for d := range treeDirs {
		dir := fmt.Sprintf("dir-%d/", d)
		if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil); err != nil {
			return nil, err
		}
		for f := range treeFiles {
			content := make([]byte, 200+random.IntN(8000))
			for i := range content {
				content[i] = "abcdefghijklmnopqrstuvwxyz \n"[random.IntN(28)]
			}
			if err := add(tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%sfile-%d", dir, f), Mode: 0o644}, content); err != nil {
				return nil, err
			}
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}
