package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// inherited are the files that QEMU starts with, numbered as it sees them.
type inherited struct{ files []*os.File }

func (i *inherited) add(f *os.File) int {
	i.files = append(i.files, f)
	return 2 + len(i.files)
}

func (i *inherited) close() {
	for _, f := range i.files {
		f.Close()
	}
}

// listen opens a socket for QEMU to serve. It exists, and can be connected to,
// before QEMU runs; and QEMU needs no right to the directory.
func (i *inherited) listen(fd *int, path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return err
	}
	*fd = i.add(f)
	return nil
}

func (i *inherited) open(fd *int, path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	*fd = i.add(f)
	return nil
}

// dup hands on a file that the caller keeps.
func (i *inherited) dup(fd *int, f *os.File) error {
	d, err := dupFile(f)
	if err != nil {
		return err
	}
	*fd = i.add(d)
	return nil
}

// launch is how a VM comes to be.
type launch struct {
	shape    shape
	origin   origin
	template *template // of a clone
	memory   *os.File  // of a template
	tap      *os.File  // of a shape with a NIC
}

// launchOf is how a VM of this configuration boots.
func (h *Host) launchOf(cfg vm.Config) (launch, error) {
	l := launch{shape: h.shape(cfg)}
	if cfg.Endpoint == nil {
		return l, nil
	}
	tap, ok := cfg.Endpoint.(vm.TapEndpoint)
	if !ok || tap.File == nil {
		return l, fmt.Errorf("want an open tap device, not %T: %w", cfg.Endpoint, vm.ErrInvalid)
	}
	l.tap = tap.File
	return l, nil
}

// from is the launch as a clone.
func (l launch) from(t *template) launch {
	l.origin, l.template, l.memory = asClone, t, t.memory
	return l
}

// start runs QEMU and returns the VM, not yet connected to.
func (h *Host) start(ctx context.Context, s *state, l launch) (*VM, error) {
	dir := h.dir(s.ID)
	var files inherited
	defer files.close()
	p, err := h.prepare(s, l, dir, &files)
	if err != nil {
		return nil, fmt.Errorf("prepare QEMU's files: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command(h.binary, args(l.shape, p)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = files.files
	cmd.SysProcAttr = h.isolation(s)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	done := make(chan struct{})
	reaped.Store(cmd.Process.Pid, done)
	started, err := startTime(cmd.Process.Pid) // it is ours and not waited for: the pid is its
	proc, openErr := openProcess(cmd.Process.Pid, started)
	go func() {
		_ = cmd.Wait() // the VM's log and traces tell more than the status
		reaped.Delete(cmd.Process.Pid)
		close(done)
	}()
	if err := errors.Join(err, openErr); err != nil {
		_ = cmd.Process.Kill()
		<-done
		return nil, fmt.Errorf("QEMU: %w%s", err, quoteTail(filepath.Join(dir, logFile)))
	}
	s.PID, s.Started = cmd.Process.Pid, started
	s.Cgroups = joinCgroups(ctx, s.Config.CgroupParent, s.ID, s.PID)
	v, err := newVM(h, s, proc)
	if err != nil {
		_ = proc.kill()
		<-done
		proc.pidfd.Close()
		return nil, err
	}
	if err := writeState(dir, s); err != nil {
		_ = proc.kill()
		<-v.exited
		v.Close()
		return nil, err
	}
	return v, nil
}

func (h *Host) prepare(s *state, l launch, dir string, files *inherited) (paths, error) {
	p := paths{name: processName(s.ID, s.UUID), origin: l.origin, guestCID: s.CID}
	err := errors.Join(
		h.prepareMemory(l, &p, files),
		files.listen(&p.qmpFD, filepath.Join(dir, qmpSocket)),
		files.listen(&p.consoleFD, filepath.Join(dir, consoleSocket)),
	)
	if s.CID != 0 {
		err = errors.Join(err, files.open(&p.vhostFD, "/dev/vhost-vsock", os.O_RDWR))
	} else {
		err = errors.Join(err,
			files.listen(&p.agentFD, filepath.Join(dir, agentSocket)),
			files.listen(&p.shareFD, filepath.Join(dir, shareSocket)))
	}
	if l.tap == nil {
		return p, err
	}
	if canOpen(vhostNet) {
		err = errors.Join(err, files.open(&p.vhostNetFD, vhostNet, os.O_RDWR))
	}
	return p, errors.Join(err, files.dup(&p.tapFD, l.tap))
}

// prepareMemory gives QEMU what it boots, or the memory that it maps.
func (h *Host) prepareMemory(l launch, p *paths, files *inherited) error {
	var err error
	if l.origin != asClone {
		var kernel, initrd int
		err = errors.Join(files.open(&kernel, h.cfg.Kernel, os.O_RDONLY), files.open(&initrd, h.cfg.Initrd, os.O_RDONLY))
		p.kernel, p.initrd = inheritedPath(kernel), inheritedPath(initrd)
	}
	if l.memory != nil {
		var memory int
		err = errors.Join(err, files.dup(&memory, l.memory))
		p.memory = inheritedPath(memory)
	}
	return err
}

// inheritedPath is a path by which QEMU opens an inherited file.
func inheritedPath(fd int) string { return fmt.Sprintf("/dev/fd/%d", fd) }

// isolation is what QEMU is kept apart by: a session of its own, so that it
// outlives the daemon; namespaces without a network; a user of its own.
func (h *Host) isolation(s *state) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if s.UID != 0 {
		attr.Credential = &syscall.Credential{Uid: s.UID, Gid: s.UID}
		if gid, ok := kvmGroup(); ok && h.accel == "kvm" {
			attr.Credential.Groups = []uint32{gid}
		}
	}
	return attr
}

// kvmGroup is the group that may use /dev/kvm, if one may.
func kvmGroup() (uint32, bool) {
	var st unix.Stat_t
	if err := unix.Stat("/dev/kvm", &st); err != nil {
		return 0, false
	}
	return st.Gid, st.Mode&0o060 == 0o060 || st.Mode&0o006 == 0o006
}
