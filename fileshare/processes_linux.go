package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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
		cfg.Exe = "/proc/self/exe"
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
	if s, err := openServer(p.dir(sandboxID)); err == nil {
		return s, nil
	}
	s, err := p.start(ctx, sandboxID, addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start share server of %s: %w", sandboxID, err), p.stop(ctx, sandboxID))
	}
	return s, nil
}

func (p *Processes) start(ctx context.Context, sandboxID string, addr channel.Address) (Server, error) {
	dir := p.dir(sandboxID)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	listener, err := listenControl(dir)
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	defer listener.Close()
	state, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	logFile, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := exec.Command(p.cfg.Exe, ServerCommand, dir, string(addr))
	cmd.ExtraFiles = []*os.File{listener, state} // descriptors 3 and 4
	cmd.Stderr = logFile
	cmd.Env = []string{"GODEBUG=" + os.Getenv("GODEBUG")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait() // reap it; its end is seen through the pidfd
	if err := writeRecord(dir, cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	s, err := openServer(dir)
	if err != nil {
		return nil, withLog(dir, err)
	}
	if err := s.ping(ctx); err != nil {
		return nil, errors.Join(withLog(dir, err), s.Close(), cmd.Process.Kill())
	}
	return s, nil
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

// Open implements Servers.
func (p *Processes) Open(_ context.Context, sandboxID string) (Server, error) {
	if err := checkID("sandbox id", sandboxID); err != nil {
		return nil, err
	}
	s, err := openServer(p.dir(sandboxID))
	if err != nil {
		return nil, fmt.Errorf("open share server of %s: %w", sandboxID, err)
	}
	return s, nil
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
	if s, err := openServer(dir); err == nil {
		defer s.Close()
		if err := unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
			return fmt.Errorf("kill share server of %s: %w", sandboxID, err)
		}
		select {
		case <-s.Exited():
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the share server of %s: %w", sandboxID, ctx.Err())
		case <-time.After(10 * time.Second):
			return fmt.Errorf("share server of %s did not end within 10 s of SIGKILL: is the storage of a share hanging?", sandboxID)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the files of the share server of %s: %w", sandboxID, err)
	}
	return nil
}
