package podsandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/klog/v2"
)

// reap removes what belongs to no sandbox or container of the store. What cannot be removed is left for the next start.
func (m *Manager) reap(ctx context.Context) error {
	sandboxes, vms, containers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	records, err := m.sandboxRec.All()
	if err != nil {
		return err
	}
	for id, r := range records {
		sandboxes[id], vms[r.VMID] = true, true
	}
	kept, err := m.ctrRec.All()
	if err != nil {
		return err
	}
	for id := range kept {
		containers[id] = true
	}
	if m.cfg.WindowsBaseImage != "" {
		containers[WindowsBaseOwner] = true
	}
	for _, kind := range []struct {
		name   string
		known  map[string]bool
		list   func(context.Context) ([]string, error)
		remove func(context.Context, string) error
	}{
		{"VM", vms, m.deps.VMs.List, m.removeVM},
		{"share server", sandboxes, m.deps.Shares.List, m.deps.Shares.Stop},
		{"network", sandboxes, m.deps.Network.List, m.deps.Network.Teardown},
		{"image lease", containers, m.deps.Images.LeaseOwners, m.deps.Images.ReleaseLayers},
		{"sandbox folder", sandboxes, m.listSandboxDirs, m.removeSandboxDir},
		{"log record", containers, m.listLogRecords, m.removeLogRecord},
	} {
		ids, err := kind.list(ctx)
		if err != nil {
			return fmt.Errorf("list every %s: %w", kind.name, err)
		}
		for _, id := range ids {
			if kind.known[id] {
				continue
			}
			klog.InfoS("Removing a stray", "kind", kind.name, "id", id)
			if err := kind.remove(ctx, id); err != nil {
				klog.ErrorS(err, "Cannot remove a stray", "kind", kind.name, "id", id)
			}
		}
	}
	return nil
}

func (m *Manager) listSandboxDirs(context.Context) ([]string, error) {
	return fileNames(filepath.Join(m.cfg.Root, "sandboxes"), "")
}

func (m *Manager) removeSandboxDir(_ context.Context, id string) error {
	return os.RemoveAll(m.sandboxDir(id))
}

func (m *Manager) listLogRecords(context.Context) ([]string, error) {
	return fileNames(filepath.Join(m.cfg.StateDir, "logs"), ".json")
}

func (m *Manager) removeLogRecord(_ context.Context, id string) error {
	return os.Remove(m.logRecordPath(id))
}

// fileNames lists the names in dir that end in suffix, without it. No folder: none.
func fileNames(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			names = append(names, name)
		}
	}
	return names, nil
}
