//go:build linux

package fileshare

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// BenchmarkShare measures a share through the kernel's client on this machine,
// the channel a Unix socket. The host's own rates stand beside it.
func BenchmarkShare(b *testing.B) {
	r := newRig(b)
	host, guest := r.share(b, "bench", false)
	watched := r.mountShare(b, Share{ID: "watched", HostPath: host, Watch: true})
	for _, side := range []struct{ name, dir string }{{"host", host}, {"share", guest}, {"share-with-notices", watched}} {
		b.Run("write1M/"+side.name, func(b *testing.B) { benchWrite(b, side.dir+"/big") })
		b.Run("read1M/"+side.name, func(b *testing.B) { benchRead(b, side.dir+"/big") })
		b.Run("create-stat-unlink/"+side.name, func(b *testing.B) { benchMeta(b, side.dir) })
		b.Run("write4K/"+side.name, func(b *testing.B) { benchSmall(b, side.dir+"/small") })
	}
}

func benchWrite(b *testing.B, path string) {
	f, err := os.Create(path)
	must(b, err)
	defer f.Close()
	buf := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for i := 0; b.Loop(); i++ {
		_, err := f.WriteAt(buf, int64(i%64)<<20)
		must(b, err)
	}
}

func benchRead(b *testing.B, path string) {
	buf := make([]byte, 1<<20)
	must(b, os.WriteFile(path, make([]byte, 64<<20), 0o600))
	b.SetBytes(1 << 20)
	var f *os.File
	for b.Loop() {
		if f == nil {
			var err error
			f, err = os.Open(path) // drops the guest's cache
			must(b, err)
		}
		if n, err := f.Read(buf); err == io.EOF || n == 0 {
			f.Close()
			f = nil
		}
	}
	if f != nil {
		f.Close()
	}
}

func benchMeta(b *testing.B, dir string) {
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("%s/f%d", dir, i)
		f, err := os.Create(name)
		must(b, err)
		must(b, f.Close())
		_, err = os.Stat(name)
		must(b, err)
		must(b, os.Remove(name))
	}
}

func benchSmall(b *testing.B, path string) {
	f, err := os.Create(path)
	must(b, err)
	defer f.Close()
	buf := make([]byte, 4096)
	b.SetBytes(4096)
	for i := 0; b.Loop(); i++ {
		_, err := f.WriteAt(buf, int64(i%1000)*4096)
		must(b, err)
	}
}
