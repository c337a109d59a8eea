package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Config says where CNI's parts are.
type Config struct {
	// ConfDir holds CNI configurations; the first by name is used, read anew for each sandbox.
	ConfDir string
	// BinDirs hold the plugins.
	BinDirs []string
	// StateDir is ours: records, and CNI's result cache.
	StateDir string
}

// record is what StateDir keeps of a sandbox, from before its set-up until after its tear-down.
type record struct {
	Request network.Request
	// Prepared: the sandbox is expected, and has nothing yet.
	Prepared bool
	// Namespace is the GUID of its HCN namespace, noted before that is made; "" if none is wanted yet.
	Namespace string
	// Conf is the CNI configuration list in use; DEL gets the one that ADD got.
	Conf json.RawMessage
	// Attachment is set once all is set up, Endpoints with it: HCN's ids, by interface.
	Attachment *network.Attachment
	Endpoints  []string
}

var validID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

func checkID(id string) error {
	if !validID.MatchString(id) {
		return fmt.Errorf("%w: sandbox id %q", vm.ErrInvalid, id)
	}
	return nil
}

func (c *Config) recordsDir() string          { return filepath.Join(c.StateDir, "sandboxes") }
func (c *Config) recordPath(id string) string { return filepath.Join(c.recordsDir(), id+".json") }
func (c *Config) cacheDir() string            { return filepath.Join(c.StateDir, "cache") }

// save writes a record so that a reader sees the old one or the new one.
func (c *Config) save(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := c.recordPath(r.Request.SandboxID)
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return fmt.Errorf("write network record: %w", err)
	}
	return os.Rename(path+".tmp", path)
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
		return nil, fmt.Errorf("network record %s: %w", c.recordPath(id), err)
	}
	return r, nil
}

func (c *Config) forget(id string) error {
	for _, path := range []string{c.recordPath(id) + ".tmp", c.recordPath(id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// list names every sandbox with a record.
func (c *Config) list() ([]string, error) {
	entries, err := os.ReadDir(c.recordsDir())
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, e := range entries {
		if id, found := strings.CutSuffix(e.Name(), ".json"); found {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
