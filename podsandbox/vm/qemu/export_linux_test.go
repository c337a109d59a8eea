package qemu

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/paddock-run/paddock/podsandbox/vm/qemu/qmp"
)

// Inject has the machine's kernel panic through an NMI (it is booted with
// unknown_nmi_panic), whether or not this process has the VM open.
func (v *VM) Inject(ctx context.Context) error {
	if c, err := v.conn(); err == nil {
		return c.Execute(ctx, "inject-nmi", nil, nil)
	}
	c, err := qmp.Dial(ctx, filepath.Join(v.dir, qmpSocket), nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Execute(ctx, "inject-nmi", nil, nil)
}

// ForgetProcess makes the VM's state what it is just before QEMU's pid is noted.
func (v *VM) ForgetProcess() error {
	s := *v.state
	s.PID, s.Started = 0, 0
	return writeState(v.dir, &s)
}

// BreakTemplates empties the state of every template.
func (h *Host) BreakTemplates() error {
	h.templates.mu.Lock()
	defer h.templates.mu.Unlock()
	for _, set := range h.templates.sets {
		if set.ready == nil {
			continue
		}
		empty, err := memfd("broken", 0)
		if err != nil {
			return err
		}
		set.ready.state.Close()
		set.ready.state = empty
	}
	return nil
}

// TemplateFiles are paths to the files that clones get.
func (h *Host) TemplateFiles() []string {
	h.templates.mu.Lock()
	defer h.templates.mu.Unlock()
	var files []string
	for _, set := range h.templates.sets {
		if set.ready != nil {
			files = append(files, fmt.Sprintf("/proc/self/fd/%d", set.ready.memory.Fd()), fmt.Sprintf("/proc/self/fd/%d", set.ready.state.Fd()))
		}
	}
	return files
}
