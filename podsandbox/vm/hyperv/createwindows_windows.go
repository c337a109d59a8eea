package hyperv

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	// windowsScratch is a Windows VM's own disk, a copy of systemTemplate.
	windowsScratch = "sandbox.vhdx"
	systemTemplate = "SystemTemplate.vhdx"
	bootManager    = `Files\EFI\Microsoft\Boot\bootmgfw.efi`
	// leastWindowsMemory is what Microsoft's runtime gives a Windows VM without a size.
	leastWindowsMemory = 1024 * mib
)

// utilityVM is the folder that Windows VMs boot from, if all is there.
func (h *Host) utilityVM(ctx context.Context) (string, error) {
	if h.cfg.UtilityVM == nil {
		return "", fmt.Errorf("this host has no image to boot Windows VMs from: %w", vm.ErrUnsupported)
	}
	dir, err := h.cfg.UtilityVM(ctx)
	if err != nil {
		return "", fmt.Errorf("the image to boot Windows VMs from: %w", err)
	}
	for _, file := range []string{bootManager, systemTemplate} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			return "", fmt.Errorf("the image to boot Windows VMs from: %w: %w", vm.ErrUnsupported, err)
		}
	}
	return dir, nil
}

// bootWindows makes and starts the compute system and waits for the guest service.
func (v *VM) bootWindows(ctx context.Context, m machine) error {
	scratch := filepath.Join(v.dir, windowsScratch)
	if err := copyFile(ctx, filepath.Join(m.utilityVM, systemTemplate), scratch); err != nil {
		return fmt.Errorf("the VM's disk: %w", err)
	}
	document := windowsDocument(windowsMachine{
		files: filepath.Join(m.utilityVM, "Files"), scratch: scratch, memory: m.memory, processors: m.processors, limit: m.limit,
	})
	if err := v.makeSystem(ctx, document); err != nil {
		return err
	}
	if err := v.openGuest(false); err != nil { // before the guest dials
		return err
	}
	if err := v.compute().Start(ctx); err != nil {
		return v.orExited(typed(err))
	}
	if err := v.awaitAgent(ctx); err != nil {
		return err
	}
	if m.endpoint == "" {
		return nil
	}
	return v.bear(ctx, m)
}

// copyFile copies a file, to one that is not there yet, until ctx ends.
func copyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(out, in, 16*mib); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
