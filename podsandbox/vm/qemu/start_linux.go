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
func (i *inherited) listen(path string) (int, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return 0, err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return 0, err
	}
	return i.add(f), nil
}

func (i *inherited) open(path string, flags int) (int, error) {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return 0, err
	}
	return i.add(f), nil
}

// start runs QEMU and returns the VM, not yet connected to.
func (h *Host) start(ctx context.Context, s *state) (*VM, error) {
	dir := h.dir(s.ID)
	var files inherited
	defer files.close()
	p, err := h.prepare(s, dir, &files)
	if err != nil {
		return nil, fmt.Errorf("prepare QEMU's files: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command(h.binary, args(h.shape(s.Config), p)...)
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

func (h *Host) prepare(s *state, dir string, files *inherited) (paths, error) {
	p := paths{name: s.ID, uuid: s.UUID, guestCID: s.CID}
	listen := func(fd *int, name string) error {
		n, err := files.listen(filepath.Join(dir, name))
		*fd = n
		return err
	}
	kernel, err := files.open(h.cfg.Kernel, os.O_RDONLY)
	if err != nil {
		return p, err
	}
	initrd, err := files.open(h.cfg.Initrd, os.O_RDONLY)
	if err != nil {
		return p, err
	}
	p.kernel, p.initrd = fmt.Sprintf("/dev/fd/%d", kernel), fmt.Sprintf("/dev/fd/%d", initrd)
	if err := errors.Join(listen(&p.qmpFD, qmpSocket), listen(&p.consoleFD, consoleSocket)); err != nil {
		return p, err
	}
	if s.CID != 0 {
		p.vhostFD, err = files.open("/dev/vhost-vsock", os.O_RDWR)
		return p, err
	}
	return p, errors.Join(listen(&p.agentFD, agentSocket), listen(&p.shareFD, shareSocket))
}

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
