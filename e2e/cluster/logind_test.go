package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
	"golang.org/x/sys/unix"
)

// logind stands in for systemd's on a message bus of its own, as far as kubelet
// uses it for a graceful shutdown of the node: there is no systemd in a
// container, and none can be asked to shut the machine down. See
// org.freedesktop.login1(5).
type logind struct {
	bus  *process
	addr string
	conn *dbus.Conn

	mu    sync.Mutex
	locks []*os.File // the read ends of inhibitors; EOF when the taker lets go
}

const (
	loginName  = "org.freedesktop.login1"
	loginIface = loginName + ".Manager"
	loginPath  = dbus.ObjectPath("/org/freedesktop/login1")
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
`

// startLogind runs a message bus in dir, with logind on it. maxDelay is the longest that inhibitors may delay a shutdown.
func startLogind(ctx context.Context, dir string, maxDelay time.Duration) (*logind, error) {
	socket := filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(busConfig, socket)), 0o644); err != nil {
		return nil, err
	}
	bus, err := startProcess("dbus-daemon", "dbus-daemon", filepath.Join(dir, "bus.log"), "--nofork", "--nopidfile", "--config-file="+config)
	if err != nil {
		return nil, err
	}
	l := &logind{bus: bus, addr: "unix:path=" + socket}
	for {
		if l.conn, err = dbus.Connect(l.addr); err == nil {
			break
		}
		if ended := bus.ended(); ended != nil || ctx.Err() != nil {
			return nil, errors.Join(err, ended, l.stop())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := l.export(maxDelay); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	return l, nil
}

func (l *logind) export(maxDelay time.Duration) error {
	if err := l.conn.Export((*loginManager)(l), loginPath, loginIface); err != nil {
		return err
	}
	if _, err := prop.Export(l.conn, loginPath, prop.Map{loginIface: {
		"InhibitDelayMaxUSec": {Value: uint64(maxDelay.Microseconds()), Emit: prop.EmitConst},
	}}); err != nil {
		return err
	}
	reply, err := l.conn.RequestName(loginName, dbus.NameFlagDoNotQueue)
	if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		err = fmt.Errorf("the bus has a %s already", loginName)
	}
	return err
}

// loginManager has the methods of the interface.
type loginManager logind

// Inhibit takes a lock, which lasts until the descriptor is closed.
func (m *loginManager) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	if what != "shutdown" || mode != "delay" || who == "" || why == "" {
		return 0, dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{fmt.Sprintf("%q %q %q %q", what, who, why, mode)})
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locks = append(m.locks, os.NewFile(uintptr(ends[0]), "inhibitor"))
	// Sent after this returns: the writer's end is closed here in a while, the taker has its own by then.
	time.AfterFunc(5*time.Second, func() { unix.Close(ends[1]) })
	return dbus.UnixFD(ends[1]), nil
}

// prepareForShutdown tells everyone that the machine is about to go down, or that it is not.
func (l *logind) prepareForShutdown(going bool) error {
	return l.conn.Emit(loginPath, loginIface+".PrepareForShutdown", going)
}

// released waits until every lock that was taken has been let go.
func (l *logind) released(ctx context.Context) error {
	l.mu.Lock()
	locks := append([]*os.File(nil), l.locks...)
	l.mu.Unlock()
	if len(locks) == 0 {
		return errors.New("nobody has taken a lock")
	}
	for _, f := range locks {
		done := make(chan error, 1)
		go func() { _, err := f.Read(make([]byte, 1)); done <- err }()
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("a lock is still held: %w", ctx.Err())
		}
	}
	return nil
}

func (l *logind) stop() error {
	var errs []error
	if l.conn != nil {
		errs = append(errs, l.conn.Close())
	}
	return errors.Join(append(errs, l.bus.stop(5*time.Second))...)
}
