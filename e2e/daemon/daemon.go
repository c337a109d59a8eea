// Package daemon runs `paddock serve` for tests, samples and benchmarks, with
// state, sockets, pod network and registry mirrors of its own.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
)

// Options of a daemon.
type Options struct {
	// Root holds what lives on disk, State what lives in memory (short: sockets lie in it).
	Root, State string
	// Socket serves CRI.
	Socket string
	// CertsDir holds the registry mirrors: see registry.WriteMirror.
	CertsDir string
	// Network is the pods'.
	Network *cninet.Network
	// LogLevel is klog's verbosity.
	LogLevel int
	// NoPool has no sandboxes made ahead, NoTemplates has every VM boot.
	NoPool, NoTemplates bool
	// CDISpecDirs hold specs of CDI devices, PinnedImages are references to keep. Both may be nil.
	CDISpecDirs, PinnedImages []string
	// DefaultHandler is for sandboxes and images that name none; "" leaves it to the daemon.
	DefaultHandler string
}

// Daemon is a `paddock serve` that may be killed and started again.
type Daemon struct {
	opts Options
	// Exe is a copy of the program within Root: by it, every process of this daemon is told from others.
	Exe string
	// LogFile collects what the daemon prints, over all its runs.
	LogFile string

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// New prepares a daemon; it does not run yet.
func New(o Options) (*Daemon, error) {
	exe, err := checkout.Built("paddock", "build")
	if err != nil {
		return nil, err
	}
	if _, err := checkout.Built("guest/initrd.img", "guest"); err != nil {
		return nil, err
	}
	d := &Daemon{opts: o, Exe: filepath.Join(o.Root, "bin", "paddock"), LogFile: filepath.Join(o.Root, "daemon.log")}
	for _, dir := range []string{o.Root, o.State, o.CertsDir, filepath.Dir(d.Exe)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		return nil, err
	}
	// An earlier copy may be running: replaced, not overwritten.
	if err := os.WriteFile(d.Exe+".new", program, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(d.Exe+".new", d.Exe); err != nil {
		return nil, err
	}
	return d, d.writeConfig(filepath.Join(filepath.Dir(exe), "guest"))
}

func (d *Daemon) configFile() string { return filepath.Join(d.opts.Root, "config.yaml") }

// NRIPluginDir holds the NRI plugins that the daemon launches, if it is made; their configurations are in the folder with ".conf" added.
func (d *Daemon) NRIPluginDir() string { return filepath.Join(d.opts.Root, "nri") }

// NRISocket is where other NRI plugins connect.
func (d *Daemon) NRISocket() string { return filepath.Join(d.opts.State, "nri", "nri.sock") }

func (d *Daemon) writeConfig(guestDir string) error {
	poolMin, poolMax := 1, 8 // the defaults
	if d.opts.NoPool {
		poolMin, poolMax = 0, 0
	}
	text := fmt.Sprintf(`root: %q
state: %q
socket: %q
guestDir: %q
logLevel: %d
cni:
  confDir: %q
  binDirs: [%q]
registry:
  certsDir: %q
vm:
  templates: %t
  pool: {min: %d, max: %d}
images:
  pinned: %s
cdi:
  enabled: %t
  specDirs: %s
nri:
  pluginDir: %q
  pluginConfigDir: %q
  registrationTimeout: 60s # of a loaded machine
  requestTimeout: 60s
`, filepath.Join(d.opts.Root, "data"), d.opts.State, "unix://"+d.opts.Socket, guestDir, d.opts.LogLevel,
		d.opts.Network.ConfDir, cninet.PluginDir, d.opts.CertsDir,
		!d.opts.NoTemplates, poolMin, poolMax,
		yamlList(d.opts.PinnedImages), len(d.opts.CDISpecDirs) > 0, yamlList(d.opts.CDISpecDirs),
		d.NRIPluginDir(), d.NRIPluginDir()+".conf")
	if d.opts.DefaultHandler != "" {
		text += "defaultHandler: " + d.opts.DefaultHandler + "\n"
	}
	return os.WriteFile(d.configFile(), []byte(text), 0o644)
}

func yamlList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = strconv.Quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Start runs the daemon and waits until it is ready.
func (d *Daemon) Start(ctx context.Context) error {
	log, err := os.OpenFile(d.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// Not bound to ctx: that limits the start only.
	d.cmd = exec.Command(d.Exe, "serve", "--config", d.configFile())
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is ours to handle
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.Exe, err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(d.cmd, d.exited)
	return d.awaitReady(ctx)
}

// awaitReady gives up at once when the daemon has ended.
func (d *Daemon) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-d.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := d.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.WaitReady(ctx); err != nil {
		return fmt.Errorf("paddock serve: %w\n%s", err, d.LogTail(30))
	}
	return nil
}

// Dial makes a client of the daemon.
func (d *Daemon) Dial() (*criclient.Client, error) { return criclient.Dial(d.opts.Socket) }

// PID is the process's.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Kill ends the daemon with SIGKILL, as a crash would.
func (d *Daemon) Kill() error {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-d.exited
	return nil
}

// Wait waits until ctx ends; an error says that the daemon has ended before that.
func (d *Daemon) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.exited:
		return fmt.Errorf("paddock serve has ended\n%s", d.LogTail(30))
	}
}

// Stop ends the daemon with SIGTERM and waits. Its pods go on running.
func (d *Daemon) Stop() error {
	if d.cmd == nil {
		return nil
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.exited:
	case <-time.After(30 * time.Second):
		_ = d.Kill()
		return fmt.Errorf("paddock serve did not end within 30 s of SIGTERM\n%s", d.LogTail(30))
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("paddock serve ended with exit code %d\n%s", code, d.LogTail(30))
	}
	return nil
}
