// Package peer runs containerd with runc, the runtime that benchmarks measure
// Paddock against, with state and a pod network of its own.
package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
)

// Name is what tables call the peer.
const Name = "containerd + runc"

// Options of a peer.
type Options struct {
	// Root is the folder for everything.
	Root string
	// CertsDir holds the registry mirrors.
	CertsDir string
	// PauseImage is what containerd runs in every sandbox.
	PauseImage string
	Network    *cninet.Network
}

// Peer is a running containerd.
type Peer struct {
	Socket string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs containerd and waits until it is ready.
func Start(ctx context.Context, o Options) (*Peer, error) {
	program, err := checkout.Built("bin/containerd", "peers")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Root, 0o755); err != nil {
		return nil, err
	}
	p := &Peer{Socket: filepath.Join(o.Root, "containerd.sock"), exited: make(chan struct{})}
	config := filepath.Join(o.Root, "config.toml")
	if err := os.WriteFile(config, []byte(p.config(o, filepath.Dir(program))), 0o644); err != nil {
		return nil, err
	}
	logFile := filepath.Join(o.Root, "containerd.log")
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(program, "--config", config)
	p.cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	client, err := criclient.Dial(p.Socket)
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	defer client.Close()
	if err := client.WaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("containerd (log: %s): %w", logFile, err), p.Stop())
	}
	return p, nil
}

func (p *Peer) config(o Options, bin string) string {
	return fmt.Sprintf(`version = 3
root = %q
state = %q
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%q]
  conf_dir = %q
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = %q
[plugins.'io.containerd.internal.v1.opt']
  path = %q
`, filepath.Join(o.Root, "root"), filepath.Join(o.Root, "state"), p.Socket, p.Socket+".ttrpc", o.PauseImage, o.CertsDir,
		cninet.PluginDir, o.Network.ConfDir, filepath.Join(bin, "runc"), filepath.Join(o.Root, "opt"))
}

// PID is the process's.
func (p *Peer) PID() int { return p.cmd.Process.Pid }

// Stop ends containerd; its pods must have been removed.
func (p *Peer) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(20 * time.Second):
		return p.cmd.Process.Kill()
	}
}
