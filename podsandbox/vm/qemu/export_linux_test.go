package qemu

import (
	"context"
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
