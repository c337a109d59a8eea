package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
)

// LayerFolders turns the layers of Windows images into folders, for VMs whose guest is
// Windows. Unlike a disk a layer's folder depends on those below it, by their names.
type LayerFolders interface {
	// Unpack writes a layer, an uncompressed tar, to dir, which does not exist yet,
	// and does to the lowest layer what makes VMs boot from it and containers begin on it. What
	// it read is verified by the caller, who has dir removed on any error.
	Unpack(ctx context.Context, layer io.Reader, dir string, below []string) error
	// Remove removes a folder that Unpack has made, wholly or not. One that is not there is no error.
	Remove(ctx context.Context, dir string) error
}

// ContainerTemplate is a file of a lowest layer's folder: the empty disk that is copied
// for a container's own.
const ContainerTemplate = "blank.vhdx"

const (
	// folderExtension ends the names of layers' folders.
	folderExtension = ".windows"
	// doneExtension ends that of the file beside a folder that is whole: a layer is known
	// by its folder's name, so that it is made in its place and never renamed.
	doneExtension = folderExtension + ".done"
)

// inFolders tells whether layers for an OS are folders.
func (s *Store) inFolders(os guest.OS) bool {
	return os == guest.Windows && s.cfg.WindowsFolders != nil
}

func (s *Store) folderPath(chain digest.Digest) string {
	return filepath.Join(s.cfg.layersDir(), chain.Encoded()+folderExtension)
}

// ensureFolders unpacks the layers of an image that are not there yet, lowest first.
// They must be pinned. img may be nil, of an image that was removed: all are there then.
func (s *Store) ensureFolders(ctx context.Context, img *loadedImage, diffIDs []digest.Digest) ([]Layer, error) {
	chains := identity.ChainIDs(append([]digest.Digest(nil), diffIDs...))
	out := make([]Layer, len(diffIDs))
	var below []string
	for i, id := range diffIDs {
		var blob ocispec.Descriptor
		if img != nil {
			blob = img.layers[i]
		}
		dir := s.folderPath(chains[i])
		if err := s.ensureFolder(ctx, blob, id, dir, below); err != nil {
			return nil, fmt.Errorf("unpacking layer %d of %d, %s: %w", i+1, len(diffIDs), id, classify(err))
		}
		out[i] = Layer{ID: id, Path: dir}
		below = append(below, dir)
	}
	return out, nil
}

func (s *Store) ensureFolder(ctx context.Context, desc ocispec.Descriptor, id digest.Digest, dir string, below []string) error {
	unlock, err := s.unpacks.lock(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	done := strings.TrimSuffix(dir, folderExtension) + doneExtension
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if err := s.unpackSlots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.unpackSlots.Release(1)
	if err := s.cfg.WindowsFolders.Remove(ctx, dir); err != nil {
		return fmt.Errorf("what is left of an attempt: %w", err)
	}
	if err := s.fillFolder(ctx, desc, id, dir, below); err != nil {
		return errors.Join(err, s.cfg.WindowsFolders.Remove(context.WithoutCancel(ctx), dir))
	}
	f, err := os.OpenFile(done, os.O_CREATE|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(done))
}

// fillFolder unpacks a blob and verifies what was read.
func (s *Store) fillFolder(ctx context.Context, desc ocispec.Descriptor, id digest.Digest, dir string, below []string) error {
	blob, err := s.content.ReaderAt(ctx, desc)
	if err != nil {
		return fmt.Errorf("its blob cannot be opened, pull the image again: %w", err)
	}
	defer blob.Close()
	stream, err := openLayerStream(ctx, blob, s.cfg.MaxLayerBytes)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := s.cfg.WindowsFolders.Unpack(ctx, stream, dir, below); err != nil {
		return err
	}
	return stream.verify(id)
}

// removeLayer removes a layer's disk, or its folder and what says that it is whole; that first.
func (s *Store) removeLayer(ctx context.Context, e fs.DirEntry) error {
	path := filepath.Join(s.cfg.layersDir(), e.Name())
	if !e.IsDir() {
		return ignoreGone(os.Remove(path))
	}
	if s.cfg.WindowsFolders == nil {
		return os.RemoveAll(path)
	}
	done := strings.TrimSuffix(path, folderExtension) + doneExtension
	return errors.Join(ignoreGone(os.Remove(done)), s.cfg.WindowsFolders.Remove(ctx, path))
}

// removeUnfinished removes the folders that a process that died has not finished.
func (s *Store) removeUnfinished(ctx context.Context) error {
	entries, err := os.ReadDir(s.cfg.layersDir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isFolder := strings.CutSuffix(e.Name(), folderExtension)
		if !isFolder || !e.IsDir() {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.cfg.layersDir(), name+doneExtension)); err == nil {
			continue
		}
		if err := s.removeLayer(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
