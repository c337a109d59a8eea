package podsandbox

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// usualContainer is like those that kubelet asks for.
var usualContainer = ocispec.Container{
	ID: "rehearsal", Command: []string{"true"}, NoNewPrivs: true,
	MaskedPaths: []string{"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"},
	ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
	Resources:     ocispec.Resources{CPUShares: 102, CPUPeriod: 100000, CPUQuota: 50000, MemoryLimit: 128 << 20, OOMScoreAdj: 999},
}

// rehearse has an emulated guest's code translated before the pod waits for it:
// a container like the pod's is made, run and removed.
func (b *base) rehearse(ctx context.Context) error {
	if !b.m.deps.VMs.Info().Emulated {
		return nil
	}
	spec, err := ocispec.Generate(usualContainer)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	path, err := b.m.rehearsalLayer(ctx)
	if err != nil {
		return err
	}
	disk, err := b.s.vm.AttachDisk(ctx, vm.Disk{Path: path, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("attach a layer to rehearse with: %w", err)
	}
	request := &guestapi.RehearseRequest{Mac: b.s.vm.BornMAC(), Container: &guestapi.CreateContainerRequest{
		Id: usualContainer.ID, Spec: raw, Layers: []*guestapi.Layer{{Disk: guestDisk(disk), FsType: "ext4"}},
		User: &guestapi.User{User: "root"}, Mounts: sandboxFiles(false),
	}}
	err = b.s.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.Rehearse(ctx, request)
		return fromAgent(err)
	})
	return errors.Join(err, b.s.vm.DetachDisk(ctx, disk))
}

// rehearsalLayer is a disk with the few files that the making of a container
// reads or changes. It is made once.
func (m *Manager) rehearsalLayer(ctx context.Context) (string, error) {
	if err := m.rehearsal.lock(ctx); err != nil {
		return "", err
	}
	defer m.rehearsal.unlock()
	path := filepath.Join(m.cfg.Root, "rehearsal-v1.ext4")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	tmp, err := os.CreateTemp(m.cfg.Root, "rehearsal-")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	err = writeRehearsalLayer(tmp)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("layer to rehearse with: %w", err)
	}
	return path, os.Rename(tmp.Name(), path)
}

func writeRehearsalLayer(w io.ReadWriteSeeker) error {
	var image bytes.Buffer
	t := tar.NewWriter(&image)
	for _, dir := range []string{"dev/", "proc/", "sys/", "etc/"} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/hosts": "\n"} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, text); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return tar2ext4.ConvertTarToExt4(&image, w, tar2ext4.ConvertWhiteout)
}
