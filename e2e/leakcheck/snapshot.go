package leakcheck

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
)

// Scope limits what is looked at to what belongs to one runtime, so that
// others may use the machine at the same time.
type Scope struct {
	// Dirs are the runtime's own folders. A process is its own if its program,
	// command line, root or working folder lies in one; so is a mount.
	Dirs []string
	// Network is the pods'. Of the machine's network, only what belongs to it is looked at.
	Network *cninet.Network
	// IDs returns the sandboxes and containers that were made; no file below
	// Dirs and no packet filter rule may carry one of them.
	IDs func() []string
	// Cgroup is the name of the group, in each hierarchy, below which the runtime's are; "": not looked at.
	Cgroup string
}

// Snapshot is what there was at one moment: by kind, a set of descriptions.
type Snapshot map[string]map[string]bool

// Take looks at the machine.
func Take(s Scope) (Snapshot, error) {
	snap := Snapshot{}
	for kind, look := range map[string]func(Scope) ([]string, error){
		"process": processes, "mount": mounts, "interface": interfaces,
		"packet filter rule": rules, "address lease": leases, "file": filesByID,
		"cgroup": cgroups,
	} {
		found, err := look(s)
		if err != nil {
			return nil, fmt.Errorf("look for each %s: %w", kind, err)
		}
		snap[kind] = map[string]bool{}
		for _, f := range found {
			snap[kind][f] = true
		}
	}
	return snap, nil
}

// since lists what is in the snapshot and was not in an earlier one.
func (s Snapshot) since(before Snapshot) []string {
	var left []string
	for kind, found := range s {
		for f := range found {
			if !before[kind][f] {
				left = append(left, kind+": "+f)
			}
		}
	}
	sort.Strings(left)
	return left
}

// Check compares the machine with what it was before. What is on its way out
// gets until ctx ends.
func Check(ctx context.Context, s Scope, before Snapshot) error {
	for {
		now, err := Take(s)
		if err != nil {
			return err
		}
		left := now.since(before)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d left behind:\n  %s", len(left), strings.Join(left, "\n  "))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
