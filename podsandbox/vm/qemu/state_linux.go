package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Files of a VM's directory. Root owns them all; QEMU gets what it needs as
// open descriptors.
const (
	stateFile      = "state.json" // written before anything else of the VM exists
	exitFile       = "exit.json"  // how it ended, once known
	terminatedFile = "terminated" // Terminate was called
	logFile        = "qemu.log"   // QEMU's own words and traces
	consoleFile    = "console.log"
	qmpSocket      = "qmp.sock"
	agentSocket    = "agent.sock"
	shareSocket    = "share.sock"
)

// state is what a later process needs to take a VM over.
type state struct {
	ID     string
	UUID   string // in QEMU's name, to find it by
	BootID string // the host's boot in which it ran
	Config vm.Config
	Slot   uint32 // its user id's and vsock context's place
	CID    uint32 // 0: virtio-serial
	UID    uint32 // 0: the daemon's
	// PID and Started (clock ticks after boot) are 0 until QEMU runs.
	PID     int
	Started uint64
	Memory  uint64 // bytes at boot
	Hot     uint64 // bytes that can be added
	CPUs    uint32
	NIC     bool     // it was born with one
	Cgroups []string // directories made for it
}

func writeState(dir string, s *state) error { return writeJSON(filepath.Join(dir, stateFile), s) }

// readState reads a VM's state; ErrNotFound if the VM, or its state, does not exist.
func readState(dir string) (*state, error) {
	s := new(state)
	if err := readJSON(filepath.Join(dir, stateFile), s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("VM %s: %w", filepath.Base(dir), vm.ErrNotFound)
		}
		return nil, fmt.Errorf("VM %s: %w", filepath.Base(dir), err)
	}
	return s, nil
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// writeJSON replaces the file as a whole.
func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".tmp-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Close()); err != nil {
		os.Remove(tmp.Name())
		return err
	}
	return os.Rename(tmp.Name(), file)
}
