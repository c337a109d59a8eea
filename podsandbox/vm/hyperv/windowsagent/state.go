package windowsagent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/google/uuid"
)

// noted is what is written of a container, for an agent after this.
type noted struct {
	// ID is the pod's name for it, GuestID the guest's.
	ID, GuestID string
	// Root is where its layers are combined, on the disk at LUN. Empty: they are not, any more.
	Root string
	LUN  int32
	// Process is what its first process runs, which later ones begin with.
	Process command
	// PID is of its first process; 0: not started.
	PID     uint32
	Started int64 // Unix nanoseconds
	Exit    *exit
}

// command is what a process runs.
type command struct {
	Line, Dir, User string
	Env             map[string]string
	Terminal, Stdin bool
	Window          uint32 // of output, in bytes
}

// exit is how a process ended.
type exit struct {
	Code  uint32
	Ended int64 // Unix nanoseconds
}

// guestNamespace makes containers' GUIDs of their ids.
var guestNamespace = uuid.MustParse("0f3a5d0e-6a35-4c1f-9c0b-7f1d5b2e9c44")

func guestID(id string) string { return uuid.NewSHA1(guestNamespace, []byte(id)).String() }

// notes are the state file's contents.
type notes struct {
	Sandbox    sandbox
	Containers []noted
}

// sandbox is what every container of the pod is told.
type sandbox struct {
	Hostname string
	Searches []string // of its resolver
}

// load reads what an earlier agent noted.
func (a *Agent) load() error {
	data, err := os.ReadFile(a.cfg.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var all notes
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	a.sandbox = all.Sandbox
	for _, n := range all.Containers {
		a.containers[n.ID] = a.restored(n)
	}
	return nil
}

// save writes everything down. Callers hold mu.
func (a *Agent) save() error {
	all := notes{Sandbox: a.sandbox}
	for _, c := range a.containers {
		all.Containers = append(all.Containers, c.noted)
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	tmp := a.cfg.StateFile + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, a.cfg.StateFile)
}

// note changes what is noted of a container; on error it is as before.
func (a *Agent) note(c *container, change func(*noted)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := c.noted
	change(&c.noted)
	if a.containers[c.ID] != c {
		return nil // deleted meanwhile
	}
	if err := a.save(); err != nil {
		c.noted = was
		return err
	}
	return nil
}
