package fileshare

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/guest/channel"
)

// Descriptors a server inherits.
const (
	listenerFD = 3
	stateFD    = 4
)

// reservedFDs are the descriptors a server keeps for itself beside those of its shares.
const reservedFDs = 256

func serverMain(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: %s STATE-DIR CHANNEL-ADDRESS (run by the daemon)", ServerCommand)
	}
	listener, err := net.FileListener(os.NewFile(listenerFD, "control"))
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	limit, err := raiseFileLimit()
	if err != nil {
		return err
	}
	addr, err := reachable(channel.Address(args[1]))
	if err != nil {
		return err
	}
	if err := confine(args[0]); err != nil {
		return fmt.Errorf("confine the share server: %w", err)
	}
	guest := newGuestLink(addr)
	srv := &shareServer{
		hostState: hostState{
			budget:  posix.NewBudget(limit - reservedFDs),
			watcher: sync.OnceValue(newWatcher),
			exports: map[string]*exported{},
		},
		guest:  guest,
		shares: map[string]*share{},
	}
	go srv.accept(listener.(*net.UnixListener))
	return waitForEnd(guest)
}

func newWatcher() *posix.Watcher {
	w, err := posix.NewWatcher()
	if err != nil {
		klog.ErrorS(err, "Changes of the host cannot be watched: they are seen within a second, without inotify events")
		return nil
	}
	return w
}

// raiseFileLimit allows as many descriptors as the process may have.
func raiseFileLimit() (int, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	lim.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("raise the limit of open files: %w", err)
	}
	return int(min(lim.Max, 1<<20)), nil
}

// waitForEnd returns when the state directory has been removed, or with an
// error when the guest has gone.
func waitForEnd(guest *guestLink) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-guest.gone:
			return fmt.Errorf("guest %s is gone: no answer for %v", guest.addr, guestGoneAfter)
		case <-tick.C:
			var st unix.Stat_t
			if err := unix.Fstat(stateFD, &st); err != nil || st.Nlink == 0 {
				return nil
			}
		}
	}
}

// accept answers control connections.
func (s *shareServer) accept(listener *net.UnixListener) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			klog.ErrorS(err, "Accept control connection")
			time.Sleep(100 * time.Millisecond) // out of descriptors: let some go
			continue
		}
		go s.answer(conn)
	}
}

func (s *shareServer) answer(conn *net.UnixConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	req, fds, err := receive(conn)
	if err != nil {
		return
	}
	defer closeAll(fds)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var reply controlReply
	switch req.Op {
	case opPing:
	case opAdd:
		reply.Info, err = s.add(ctx, req, fds)
	case opRemove:
		s.remove(req.ShareID)
	case opList:
		reply.Shares = s.list()
	case opExport:
		err = s.export(ctx, req.Export, fds)
	case opUnexport:
		s.unexport(req.ExportID)
	case opExports:
		reply.Exports = s.exportIDs()
	default:
		err = fmt.Errorf("unknown control request %q", req.Op)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	if data, err := json.Marshal(reply); err == nil {
		conn.Write(data)
	}
}
