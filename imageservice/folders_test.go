package imageservice

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/guest"
)

// fakeFolders notes what a layer was unpacked over, and keeps its tar.
type fakeFolders struct{ fail error }

func (f *fakeFolders) Unpack(_ context.Context, layer io.Reader, dir string, below []string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, b := range below {
		if _, err := os.Stat(filepath.Join(b, "tar")); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(layer)
	return errors.Join(err, f.fail, os.WriteFile(filepath.Join(dir, "tar"), b, 0o600),
		os.WriteFile(filepath.Join(dir, "below"), []byte(strings.Join(below, "\n")), 0o600))
}

func (f *fakeFolders) Remove(_ context.Context, dir string) error { return os.RemoveAll(dir) }

func newFolderStore(t *testing.T, root string, f *fakeFolders) *Store {
	return newTestStore(t, root, func(c *Config) { c.WindowsFolders = f })
}

// Folders lie on those below them, whatever else the layers are used for, and go with the last user.
func TestWindowsFolders(t *testing.T) {
	ctx, reg, root := context.Background(), newTestRegistry(t), t.TempDir()
	base := reg.layer(t, "app", fileTar(t, "Files/base", []byte("base")), "gzip")
	other := reg.layer(t, "app", fileTar(t, "Files/other", []byte("other")), "gzip")
	top := reg.layer(t, "app", fileTar(t, "Files/top", []byte("top")), "gzip")
	reg.image(t, "app", "a", windowsAMD64, base, top)
	reg.image(t, "app", "b", windowsAMD64, other, top)
	s := newFolderStore(t, root, &fakeFolders{})
	var all [][]Layer
	for _, tag := range []string{"a", "b"} {
		img, err := s.Pull(ctx, reg.host+"/app:"+tag, guest.Windows, nil)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := s.Layers(ctx, img.ID, "c-"+tag)
		if err != nil || len(layers) != 2 {
			t.Fatalf("%v, %v", layers, err)
		}
		below, err := os.ReadFile(filepath.Join(layers[1].Path, "below"))
		if err != nil || string(below) != layers[0].Path || layers[1].ID != top.diffID || layers[0].FSType != "" {
			t.Errorf("%s: %+v lies on %q, %v", tag, layers, below, err)
		}
		all = append(all, layers)
		if err := s.Remove(ctx, img.ID); err != nil {
			t.Fatal(err)
		}
	}
	if all[0][1].Path == all[1][1].Path {
		t.Error("a layer on another base is the same folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newFolderStore(t, root, &fakeFolders{}) // collects garbage
	if err := s.ReleaseLayers(ctx, "c-b"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		for _, l := range all[i] {
			if _, err := os.Stat(l.Path); (err == nil) != want {
				t.Errorf("layer %s of image %d: %v", l.Path, i, err)
			}
		}
	}
	if err := s.ReleaseLayers(ctx, "c-a"); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestHalfMadeFolders(t *testing.T) {
	ctx, reg, root := context.Background(), newTestRegistry(t), t.TempDir()
	layer := reg.layer(t, "app", fileTar(t, "Files/a", []byte("a")), "gzip")
	reg.image(t, "app", "v", windowsAMD64, layer)
	broken := errors.New("the service is busy")
	f := &fakeFolders{fail: broken}
	s := newFolderStore(t, root, f)
	if _, err := s.Pull(ctx, reg.host+"/app:v", guest.Windows, nil); !errors.Is(err, broken) {
		t.Errorf("pull: %v", err)
	}
	if left := leftovers(t, s); slices.ContainsFunc(left, func(n string) bool { return strings.Contains(n, folderExtension) }) {
		t.Errorf("left by a failure: %v", left)
	}
	f.fail = nil
	img, err := s.Pull(ctx, reg.host+"/app:v", guest.Windows, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := s.Layers(ctx, img.ID, "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A process that was killed while it unpacked has left this.
	if err := errors.Join(os.Remove(strings.TrimSuffix(layers[0].Path, folderExtension)+doneExtension), os.Remove(filepath.Join(layers[0].Path, "tar"))); err != nil {
		t.Fatal(err)
	}
	s = newFolderStore(t, root, f)
	if _, err := os.Stat(layers[0].Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a half-made folder stays: %v", err)
	}
	if layers, err = s.Layers(ctx, img.ID, "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(layers[0].Path, "tar")); err != nil {
		t.Error(err)
	}
}
