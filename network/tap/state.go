package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/containernetworking/cni/libcni"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// record is what StateDir keeps of a sandbox, from before its set-up until after its tear-down.
type record struct {
	Request network.Request
	// Prepared: the namespace and the first tap are there, and Setup has not begun.
	Prepared bool
	// Tapped: the first tap is Prepare's.
	Tapped bool
	// Conf is the CNI configuration list in use; DEL gets the one that ADD got.
	Conf json.RawMessage
	// Host is set in host mode, instead of Conf.
	Host *hostRecord `json:",omitempty"`
	// Attachment is set once all is set up.
	Attachment *network.Attachment

	// cached is what ADD was told, where Request is lost.
	cached *libcni.RuntimeConf
}

// errDamaged: a record cannot be read, as a loss of power may leave it.
var errDamaged = errors.New("damaged network record")

var validID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

func checkID(id string) error {
	if !validID.MatchString(id) {
		return fmt.Errorf("%w: sandbox id %q", vm.ErrInvalid, id)
	}
	return nil
}

func (c *Config) recordPath(id string) string {
	return filepath.Join(c.StateDir, "sandboxes", id+".json")
}
func (c *Config) netnsPath(id string) string { return filepath.Join(c.StateDir, "netns", id) }
func (c *Config) cacheDir() string           { return filepath.Join(c.StateDir, "cache") }

func (c *Config) makeDirs() error {
	for _, dir := range []string{"sandboxes", "netns", "cache"} {
		if err := os.MkdirAll(filepath.Join(c.StateDir, dir), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// save writes a record so that a reader sees the old one or the new one.
func (c *Config) save(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := c.recordPath(r.Request.SandboxID)
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write network record: %w", err)
	}
	return os.Rename(tmp, path)
}

// load returns nil without an error when there is no record.
func (c *Config) load(id string) (*record, error) {
	data, err := os.ReadFile(c.recordPath(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w %s: %w", errDamaged, c.recordPath(id), err)
	}
	return r, nil
}

func (c *Config) forget(id string) error {
	for _, path := range []string{c.recordPath(id), c.recordPath(id) + ".tmp"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// list names every sandbox with a record or a namespace.
func (c *Config) list() ([]string, error) {
	seen := map[string]bool{}
	for dir, suffix := range map[string]string{"sandboxes": ".json", "netns": ""} {
		entries, err := os.ReadDir(filepath.Join(c.StateDir, dir))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if name := e.Name(); suffix == "" || filepath.Ext(name) == suffix {
				seen[name[:len(name)-len(suffix)]] = true
			}
		}
	}
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	return ids, nil
}
