//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/winproc"
)

const (
	// foldersInside is where a container sees its processes' folders.
	foldersInside = "/run/paddock"
	// initFolder is that of its first process; those of execs are named after their directories.
	initFolder = "init"
	// windowsStartTime bounds the wait for a Windows process to run.
	windowsStartTime = 2 * time.Minute
)

// wineEnv is what Wine is told. Windows processes have an environment of their own.
var wineEnv = []string{
	"WINEPREFIX=" + guest.WinePrefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=d", "HOME=/", "TERM=xterm", "LANG=C.UTF-8",
}

// runByWine makes a Linux process one that starts the Windows process of a folder.
func runByWine(p *specs.Process, folder string) {
	p.Args = []string{guest.WineLoader, guest.WineInit, `\\?\unix` + filepath.Join(foldersInside, folder)}
	p.Env, p.Cwd = wineEnv, guest.WineDrive
}

// folders holds the folders of the container's Windows processes. The
// container can write there: nothing is to be followed out of it.
func (c *container) folders() string { return filepath.Join(c.writable(), "p") }

// folderName is a process's folder; none in a Linux container.
func (c *container) folderName(name string) string {
	if c.windows == nil {
		return ""
	}
	return name
}

// processFolder is one of them, opened.
type processFolder struct{ *os.Root }

func (c *container) openFolder(name string) (processFolder, error) {
	all, err := os.OpenRoot(c.folders())
	if err != nil {
		return processFolder{}, err
	}
	defer all.Close()
	one, err := all.OpenRoot(name)
	return processFolder{one}, err
}

// ReadFile reads a regular file, and never waits for one that is something else.
func (f processFolder) ReadFile(name string) ([]byte, error) {
	file, err := f.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > winproc.MaxFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, winproc.MaxFile)
	}
	return io.ReadAll(io.LimitReader(file, winproc.MaxFile))
}

// makeFolder asks for a Windows process.
func (c *container) makeFolder(name string, p *api.WindowsProcess) error {
	dir := filepath.Join(c.folders(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := c.openFolder(name)
	if err != nil {
		return err
	}
	defer f.Close()
	err = winproc.WriteRequest(f, winproc.Request{Args: p.Args, CommandLine: p.CommandLine, Env: p.Env, Dir: p.Dir})
	if err != nil {
		return err
	}
	return f.Chown(".", int(c.user.Uid), int(c.user.Gid))
}

// removeFolder removes the folder of a process that has ended, if it has one. It
// may still be the container's to spoil: what is left goes with that.
func (c *container) removeFolder(name string) {
	if name == "" {
		return
	}
	all, err := os.OpenRoot(c.folders())
	if err != nil {
		return
	}
	defer all.Close()
	_ = all.RemoveAll(name)
}

// windowsExit replaces an exit code, of which Linux keeps the low 8 bits, by
// Windows'. A process that was killed has none.
func (c *container) windowsExit(folder string, exit *api.Exit) {
	if folder == "" || exit.Signal != 0 {
		return
	}
	f, err := c.openFolder(folder)
	if err != nil {
		return
	}
	defer f.Close()
	if code, err := winproc.ReadExit(f); err == nil {
		exit.Code = code
	}
}

// execWindows is Exec in a Windows container.
func (a *Agent) execWindows(ctx context.Context, c *container, req *api.ExecRequest) (*api.ExecResponse, error) {
	process := &api.WindowsProcess{Args: req.Windows.Args, CommandLine: req.Windows.CommandLine, Env: req.Windows.Env, Dir: req.Windows.Dir}
	if process.Env == nil {
		process.Env = c.windows.Env
	}
	if process.Dir == "" {
		process.Dir = c.windows.Dir
	}
	if err := checkWindowsProcess(process); err != nil {
		return nil, err
	}
	dir, err := c.reserveExec(req.ExecId)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := a.launchWindows(ctx, c, req, dir, process)
	if err != nil {
		c.forgetExec(req.ExecId)
		return nil, err
	}
	return c.execStarted(req, p), nil
}

func (a *Agent) launchWindows(ctx context.Context, c *container, req *api.ExecRequest, dir string, process *api.WindowsProcess) (*process, error) {
	if err := c.makeFolder(filepath.Base(dir), process); err != nil {
		return nil, err
	}
	spec := &specs.Process{}
	runByWine(spec, filepath.Base(dir))
	if err := c.spec.fill(spec, req.Terminal, req.Width, req.Height); err != nil {
		return nil, err
	}
	p, err := a.exec(ctx, c, req, dir, spec)
	if err != nil {
		return nil, err
	}
	if err := c.awaitWindows(ctx, p); err != nil {
		a.reaper.Signal(p.proc, unix.SIGKILL)
		p.discard()
		return nil, err
	}
	return p, nil
}

// awaitWindows returns when a Windows process runs, or has run.
func (c *container) awaitWindows(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, windowsStartTime)
	defer cancel()
	f, err := c.openFolder(p.folder)
	if err != nil {
		return err
	}
	defer f.Close()
	changes, err := watchFolder(f)
	if err != nil {
		return err
	}
	defer changes.Close()
	defer context.AfterFunc(ctx, func() { changes.Close() })()
	go func() {
		select {
		case <-p.ended:
			changes.Close()
		case <-ctx.Done():
		}
	}()
	for buf := make([]byte, 4096); ; {
		if why, failed := winproc.Failed(f); failed {
			return invalid("cannot run the program in the container: %s", why)
		}
		if winproc.Started(f) {
			return nil
		}
		if exit := p.ending(); exit != nil {
			return wrongState("the process ended before it ran, with code %d", exit.Code)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the Windows process to run: %w", ctx.Err())
		}
		if _, err := changes.Read(buf); err != nil && !errors.Is(err, os.ErrClosed) {
			return fmt.Errorf("wait for the Windows process to run: %w", err)
		}
	}
}

// rawTerminal has a terminal pass on what is typed as it is, which Wine's console
// wants: that it sets so itself, too late for what is typed at once.
func rawTerminal(master *os.File) error {
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var mode *unix.Termios
		if mode, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS); failed != nil {
			return
		}
		mode.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INPCK | unix.ISTRIP | unix.IXON
		mode.Oflag &^= unix.OPOST
		mode.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN
		failed = unix.IoctlSetTermios(int(fd), unix.TCSETS, mode)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("set the terminal's mode: %w", err)
	}
	return nil
}

// watchFolder is readable whenever a file appears in the folder.
func watchFolder(f processFolder) (*os.File, error) {
	dir, err := f.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch the process's folder: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch the process's folder: %w", err)
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}

// events are the console events by their names in the protocol.
var events = map[api.ControlEvent]winproc.Event{
	api.ControlEvent_CONTROL_EVENT_CTRL_C:        winproc.CtrlC,
	api.ControlEvent_CONTROL_EVENT_CTRL_BREAK:    winproc.CtrlBreak,
	api.ControlEvent_CONTROL_EVENT_CTRL_CLOSE:    winproc.CtrlClose,
	api.ControlEvent_CONTROL_EVENT_CTRL_LOGOFF:   winproc.CtrlLogoff,
	api.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN: winproc.CtrlShutdown,
}

// sendEvent says which event a process is to get; the interrupt that has it
// delivered is the caller's to send.
func (c *container) sendEvent(p *process, e api.ControlEvent) error {
	event, ok := events[e]
	if !ok || p.folder == "" {
		return invalid("event %v for a process of container %q: want a console event, and a Windows process", e, c.id)
	}
	f, err := c.openFolder(p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound("the process has ended")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return winproc.WriteEvent(f, event)
}
