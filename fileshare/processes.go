//go:build linux || windows

package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Config says where server processes live.
type Config struct {
	// StateDir holds a directory per sandbox: control socket, process record,
	// log. A server ends when its directory is removed.
	StateDir string
	// Exe is the program that calls ServerMain for its first argument
	// ServerCommand; "" is the running one.
	Exe string
}

// Processes implements Servers with a process per sandbox.
type Processes struct {
	cfg Config
	mu  sync.Mutex // one Start or Stop at a time
}

var _ Servers = (*Processes)(nil)

// New prepares the state directory.
func New(cfg Config) (*Processes, error) {
	if cfg.Exe == "" {
		exe, err := ownProgram()
		if err != nil {
			return nil, err
		}
		cfg.Exe = exe
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the share servers' state directory: %w", err)
	}
	return &Processes{cfg: cfg}, nil
}

var idPattern = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func checkID(what, id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%s %q: %w: must be 1 to 64 characters of [a-z0-9-]", what, id, vm.ErrInvalid)
	}
	return nil
}

func (p *Processes) dir(sandboxID string) string { return filepath.Join(p.cfg.StateDir, sandboxID) }

// Start implements Servers.
func (p *Processes) Start(ctx context.Context, sandboxID string, addr channel.Address) (Server, error) {
	if err := checkID("sandbox id", sandboxID); err != nil {
		return nil, err
	}
	if _, err := channel.Parse(string(addr)); err != nil {
		return nil, fmt.Errorf("start share server of %s: %w", sandboxID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	dir := p.dir(sandboxID)
	if proc, err := openProcess(dir); err == nil {
		return p.newServer(sandboxID, proc), nil
	}
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, sharesDir), 0o700)
	}
	if err == nil {
		err = replaceFile(filepath.Join(dir, addressFile), []byte(addr))
	}
	var proc *process
	if err == nil {
		proc, err = p.start(ctx, dir, addr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start share server of %s: %w", sandboxID, err), p.stop(ctx, sandboxID))
	}
	return p.newServer(sandboxID, proc), nil
}

// ping waits until the process answers, or has ended.
func ping(ctx context.Context, dir string, proc *process) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-proc.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := call(ctx, dir, controlRequest{Op: opPing}); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// withLog adds the end of what a server has logged.
func withLog(dir string, err error) error {
	const most = 2048
	text, readErr := os.ReadFile(filepath.Join(dir, "log"))
	if readErr != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w; it logged: %s", err, text[max(0, len(text)-most):])
}

// ended waits for the end of a process that was killed, or for done.
func (p *process) ended(done <-chan struct{}) error {
	select {
	case <-p.exited:
		return nil
	case <-done:
		return fmt.Errorf("wait for its end: cancelled")
	case <-time.After(10 * time.Second):
		return fmt.Errorf("it did not end within 10 s of being killed: is the storage of a share hanging?")
	}
}

// Open implements Servers.
func (p *Processes) Open(_ context.Context, sandboxID string) (Server, error) {
	if err := checkID("sandbox id", sandboxID); err != nil {
		return nil, err
	}
	proc, err := openProcess(p.dir(sandboxID))
	if err != nil {
		if _, err := os.Stat(filepath.Join(p.dir(sandboxID), addressFile)); err != nil {
			return nil, fmt.Errorf("open share server of %s: %w: %w", sandboxID, vm.ErrNotFound, err)
		}
		proc = nil // to be started again
	}
	return p.newServer(sandboxID, proc), nil
}

// List implements Servers.
func (p *Processes) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(p.cfg.StateDir)
	if err != nil {
		return nil, fmt.Errorf("list share servers: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && idPattern.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Stop implements Servers.
func (p *Processes) Stop(ctx context.Context, sandboxID string) error {
	if err := checkID("sandbox id", sandboxID); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop(ctx, sandboxID)
}

func (p *Processes) stop(ctx context.Context, sandboxID string) error {
	dir := p.dir(sandboxID)
	if err := unmountExports(dir, ""); err != nil {
		return err
	}
	if proc, err := openProcess(dir); err == nil {
		defer proc.close()
		if err := proc.kill(ctx.Done()); err != nil {
			return fmt.Errorf("kill share server of %s: %w", sandboxID, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the files of the share server of %s: %w", sandboxID, err)
	}
	return nil
}
