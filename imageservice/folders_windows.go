package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/Microsoft/go-winio"
	"github.com/Microsoft/hcsshim/computestorage"
	"github.com/Microsoft/hcsshim/pkg/ociwclayer"
)

// Disks of a base layer: the empty ones of containers and of VMs, on which theirs begin.
const (
	containerBase = "blank-base.vhdx"
	vmTemplate    = "SystemTemplate.vhdx"
	vmBase        = "SystemTemplateBase.vhdx"

	// containerGB and vmGB are the most that they hold, as with Microsoft's runtime.
	containerGB, vmGB = 20, 10
)

// WindowsLayers unpacks layers with what Windows itself has for it: hcsshim's ociwclayer
// and the storage part of the Host Compute Service. Its process must be an administrator's.
type WindowsLayers struct{}

var _ LayerFolders = WindowsLayers{}

// Unpack implements LayerFolders.
func (WindowsLayers) Unpack(ctx context.Context, layer io.Reader, dir string, below []string) error {
	if err := winio.EnableProcessPrivileges([]string{winio.SeBackupPrivilege, winio.SeRestorePrivilege}); err != nil {
		return fmt.Errorf("privileges to restore files with their access lists: %w", err)
	}
	if _, err := ociwclayer.ImportLayerFromTar(ctx, layer, dir, below); err != nil {
		return fmt.Errorf("import the layer: %w", err)
	}
	if len(below) > 0 {
		return nil
	}
	return makeTemplates(ctx, dir)
}

// makeTemplates makes the disks that the import of a base layer has not made.
func makeTemplates(ctx context.Context, dir string) error {
	template := filepath.Join(dir, ContainerTemplate)
	if _, err := os.Stat(template); errors.Is(err, fs.ErrNotExist) {
		if err := computestorage.SetupContainerBaseLayer(ctx, dir, filepath.Join(dir, containerBase), template, containerGB); err != nil {
			return fmt.Errorf("make the disk that containers begin with: %w", err)
		}
	}
	vm := filepath.Join(dir, windowsUtilityVM)
	if _, err := os.Stat(vm); errors.Is(err, fs.ErrNotExist) {
		return nil // an image for containers without isolation
	}
	template = filepath.Join(vm, vmTemplate)
	if _, err := os.Stat(template); errors.Is(err, fs.ErrNotExist) {
		if err := computestorage.SetupUtilityVMBaseLayer(ctx, vm, filepath.Join(vm, vmBase), template, vmGB); err != nil {
			return fmt.Errorf("make the disk that VMs begin with: %w", err)
		}
	}
	return nil
}

// Remove implements LayerFolders: its files may be opened by nobody but the service.
func (WindowsLayers) Remove(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := computestorage.DestroyLayer(ctx, dir); err != nil {
		return fmt.Errorf("remove layer %s: %w", dir, err)
	}
	return nil
}
