package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// template is a booted machine in which no pod has been: clones map its memory
// privately and resume from its device state. Both files are sealed, so that no
// clone's QEMU can change what the others start from.
type template struct {
	key    string
	memory *os.File
	state  *os.File
}

func (t *template) close() {
	t.memory.Close()
	t.state.Close()
}

// dup is the template for a user of its own, who closes it.
func (t *template) dup() (*template, error) {
	memory, err := dupFile(t.memory)
	if err != nil {
		return nil, err
	}
	state, err := dupFile(t.state)
	if err != nil {
		memory.Close()
		return nil, err
	}
	return &template{key: t.key, memory: memory, state: state}, nil
}

func dupFile(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// templatePrefix begins the ids of machines that become templates.
const templatePrefix = "template-"

// settlePause lets what a boot set off in the guest come to its end.
const settlePause = 300 * time.Millisecond

// templateTime bounds the making of one template.
const templateTime = 3 * time.Minute

// build boots a machine of the shape and takes its memory and state.
func (ts *templates) build(ctx context.Context, sh shape, key string) (_ *template, err error) {
	ctx, cancel := context.WithTimeout(ctx, templateTime)
	defer cancel()
	t := &template{key: key}
	if t.memory, err = memfd("paddock-template", int64(sh.memory)); err != nil {
		return nil, err
	}
	if t.state, err = memfd("paddock-template-state", 0); err != nil {
		t.memory.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err := ts.host.bootTemplate(ctx, sh, t); err != nil {
		return nil, err
	}
	return t, errors.Join(seal(t.memory), seal(t.state))
}

func (h *Host) bootTemplate(ctx context.Context, sh shape, t *template) (err error) {
	l := launch{shape: sh, origin: asTemplate, memory: t.memory}
	if sh.nic {
		tap, err := templateTap()
		if err != nil {
			return err
		}
		defer tap.Close()
		l.tap = tap
	}
	id := templatePrefix + t.key[:16] + "-" + uuid.NewString()[:8]
	s, err := h.reserve(vm.Config{ID: id, GuestOS: guest.Linux}, sh)
	if err != nil {
		return err
	}
	defer h.unreserve(s)
	v, err := h.start(ctx, s, l)
	if err != nil {
		return errors.Join(err, removeVM(h.dir(id), s))
	}
	defer func() {
		if err != nil {
			err = v.explain(err)
		}
		_ = v.process.kill()
		<-v.exited
		err = errors.Join(err, v.Close(), v.Release())
	}()
	if err := v.connect(ctx); err != nil {
		return err
	}
	if err := v.awaitListening(ctx); err != nil {
		return err
	}
	return v.save(ctx, t.state)
}

// awaitListening returns once the agent accepts calls and shares. It makes no
// call: what the agent reads to answer one (the boot id) would be the same in every clone.
func (v *VM) awaitListening(ctx context.Context) error {
	err := v.awaitReady(ctx, func(ctx context.Context) error {
		conn, err := v.Dial(ctx, api.ControlPort)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return err
	}
	err = v.awaitReady(ctx, func(ctx context.Context) error {
		shares, err := channel.Open(ctx, v.ShareChannel())
		if err != nil {
			return err
		}
		defer shares.Close()
		conn, err := shares.Dial(ctx, api.StreamPort)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return err
	}
	v.hangUp()
	select {
	case <-time.After(settlePause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// save stops the machine and writes its state, but not its memory, to f.
func (v *VM) save(ctx context.Context, f *os.File) error {
	if err := v.execute(ctx, "stop", nil, nil); err != nil {
		return err
	}
	if err := v.ignoreShared(ctx); err != nil {
		return err
	}
	if err := v.executeFile(ctx, f, "getfd", qmpArgs{"fdname": "template"}, nil); err != nil {
		return err
	}
	if err := v.execute(ctx, "migrate", qmpArgs{"uri": "fd:template"}, nil); err != nil {
		return err
	}
	return v.awaitMigration(ctx)
}

// ignoreShared keeps memory out of the stream: it is in the template's file.
func (v *VM) ignoreShared(ctx context.Context) error {
	return v.execute(ctx, "migrate-set-capabilities", qmpArgs{
		"capabilities": []qmpArgs{{"capability": "x-ignore-shared", "state": true}},
	}, nil)
}

// migrationPause is how long to wait before asking again how far a migration is.
const migrationPause = time.Millisecond

func (v *VM) awaitMigration(ctx context.Context) error {
	for {
		var m struct {
			Status string
			Desc   string `json:"error-desc"`
		}
		if err := v.execute(ctx, "query-migrate", nil, &m); err != nil {
			return err
		}
		switch m.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("QEMU cannot move the machine's state: %s %s", m.Status, m.Desc)
		}
		select {
		case <-time.After(migrationPause):
		case <-ctx.Done():
			return fmt.Errorf("QEMU moves the machine's state (%s): %w", m.Status, ctx.Err())
		}
	}
}

// resume gives a clone its template's state and lets it run.
func (v *VM) resume(ctx context.Context, t *template) error {
	// Opened anew: each reader has a position of its own.
	state, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", t.state.Fd()))
	if err != nil {
		return err
	}
	defer state.Close()
	if err := v.ignoreShared(ctx); err != nil {
		return err
	}
	if err := v.executeFile(ctx, state, "getfd", qmpArgs{"fdname": "template"}, nil); err != nil {
		return err
	}
	if err := v.execute(ctx, "migrate-incoming", qmpArgs{"uri": "fd:template"}, nil); err != nil {
		return err
	}
	if err := v.awaitMigration(ctx); err != nil {
		return err
	}
	return v.execute(ctx, "cont", nil, nil) // the template was stopped when it was saved
}

// templateTap is a tap for the time a template boots, in no network: what the
// guest agrees on with it is what a clone's tap has to offer.
func templateTap() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w; load the tun module", err)
	}
	f := os.NewFile(uintptr(fd), "/dev/net/tun")
	ifr, err := unix.NewIfreq("pdktpl%d")
	if err == nil {
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make a tap: %w", err)
	}
	return f, nil
}

func memfd(name string, size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:"+name)
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// seal makes a memory file immutable for everybody. Private mappings may still be written.
func seal(f *os.File) error {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal %s: %w", f.Name(), err)
	}
	return nil
}
