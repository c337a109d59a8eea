package imageservice

import (
	"context"
	"os"
	"testing"

	"github.com/paddock-run/paddock/guest"
)

// TestLeaseOfTwoImages has one owner hold two removed images, as a container with an image volume does.
func TestLeaseOfTwoImages(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	shared := reg.layer(t, "app", fileTar(t, "shared", randomBytes(1<<16, 1)), "gzip")
	root := t.TempDir()
	s := newTestStore(t, root, nil)
	var held []Layer
	var ids []string
	for i, tag := range []string{"a", "b"} {
		own := reg.layer(t, "app", fileTar(t, tag, randomBytes(1<<16, int64(i)+2)), "gzip")
		reg.image(t, "app", tag, linuxAMD64, shared, own)
		img, err := s.Pull(ctx, reg.host+"/app:"+tag, guest.Linux, nil)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := s.Layers(ctx, img.ID, "c1")
		if err != nil || len(layers) != 2 {
			t.Fatalf("layers %v, %v", layers, err)
		}
		held, ids = append(held, layers...), append(ids, img.ID)
	}
	for _, id := range ids {
		if err := s.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newTestStore(t, root, nil) // collects garbage
	for _, l := range held {
		if _, err := os.Stat(l.Path); err != nil {
			t.Errorf("a leased layer: %v", err)
		}
	}
	if err := s.ReleaseLayers(ctx, "c1"); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left after release: %v", left)
	}
}
