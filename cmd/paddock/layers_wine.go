//go:build windows && wine

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox/vhdx"
)

// windowsLayers unpacks layers for tests under Wine, which has no backup streams and
// nothing of the Host Compute Service's storage: plain files, and empty disks.
var windowsLayers imageservice.LayerFolders = wineLayers{}

type wineLayers struct{}

func (wineLayers) Unpack(ctx context.Context, layer io.Reader, dir string, below []string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for r := tar.NewReader(layer); ; {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(dir, hdr, r); err != nil {
			return err
		}
	}
	if len(below) > 0 {
		return nil
	}
	return errors.Join(emptyDisk(ctx, filepath.Join(dir, imageservice.ContainerTemplate)),
		emptyDisk(ctx, filepath.Join(dir, "UtilityVM", "SystemTemplate.vhdx")))
}

func unpackEntry(dir string, hdr *tar.Header, r io.Reader) error {
	if !filepath.IsLocal(filepath.FromSlash(hdr.Name)) {
		return fmt.Errorf("entry %q is not within the layer", hdr.Name)
	}
	path := filepath.Join(dir, filepath.FromSlash(hdr.Name))
	if hdr.Typeflag == tar.TypeDir {
		return os.MkdirAll(path, 0o700)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func emptyDisk(ctx context.Context, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	const size = 64 << 20
	return vhdx.Create(ctx, file, size, strings.NewReader(""))
}

func (wineLayers) Remove(_ context.Context, dir string) error { return os.RemoveAll(dir) }
