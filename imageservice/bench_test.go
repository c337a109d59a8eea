package imageservice

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// syntheticLayer is a tar of about size bytes that compresses about as images
// do: many small files, some large, text and noise mixed.
func syntheticLayer(size int) []byte {
	rnd := rand.New(rand.NewSource(1))
	words := bytes.Fields(bytes.Repeat([]byte("usr lib share include static const return func package main "), 8))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; out.Len() < size; i++ {
		n := 2000 + rnd.Intn(20000)
		if i%100 == 0 {
			n = 4 << 20
		}
		var b bytes.Buffer
		for b.Len() < n {
			b.Write(words[rnd.Intn(len(words))])
			if rnd.Intn(4) == 0 {
				fmt.Fprintf(&b, "%08x", rnd.Uint32())
			}
		}
		w.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/lib/d%03d/f%05d", i%200, i), Mode: 0o644, Size: int64(b.Len())})
		w.Write(b.Bytes())
	}
	w.Close()
	return out.Bytes()
}

// BenchmarkUnpack measures blob to disk, fsync included, in uncompressed bytes a second.
func BenchmarkUnpack(b *testing.B) {
	tarball := syntheticLayer(100 << 20)
	var gz bytes.Buffer
	z, _ := gzip.NewWriterLevel(&gz, 6)
	z.Write(tarball)
	z.Close()
	e, _ := zstd.NewWriter(nil)
	for _, c := range []struct {
		name string
		blob []byte
	}{{"gzip", gz.Bytes()}, {"zstd", e.EncodeAll(tarball, nil)}, {"plain", tarball}} {
		b.Run(c.name, func(b *testing.B) {
			s := newTestStore(b, b.TempDir(), nil)
			ctx := allNamespaces[0].context(context.Background())
			desc := ocispec.Descriptor{Digest: digest.FromBytes(c.blob), Size: int64(len(c.blob))}
			if err := content.WriteBlob(ctx, s.content, "bench", bytes.NewReader(c.blob), desc); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(tarball)))
			path := filepath.Join(s.cfg.layersDir(), "bench")
			for b.Loop() {
				if err := s.unpackLayer(ctx, ext4Unpacker{maxBytes: s.cfg.MaxLayerBytes}, desc, digest.FromBytes(tarball), path); err != nil {
					b.Fatal(err)
				}
				os.Remove(path)
			}
		})
	}
}
