package fileshare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare/ntfs"
	"github.com/paddock-run/paddock/guest/channel"
)

func serverMain(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: %s STATE-DIR CHANNEL-ADDRESS (run by the daemon)", ServerCommand)
	}
	dir, addr := args[0], channel.Address(args[1])
	if _, err := channel.Parse(args[1]); err != nil {
		return err
	}
	if err := confine(); err != nil {
		return fmt.Errorf("confine the share server: %w", err)
	}
	listener, err := listenControl(dir)
	if err != nil {
		return err
	}
	guest := newGuestLink(addr)
	srv := &shareServer{hostState: hostState{budget: ntfs.NewBudget(maxHandles, maxNodes)}, guest: guest, shares: map[string]*share{}}
	go srv.accept(listener)
	return waitForEnd(guest, dir)
}

// waitForEnd returns when the state directory has been removed, or with an
// error when the guest has gone.
func waitForEnd(guest *guestLink, dir string) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-guest.gone:
			return fmt.Errorf("guest %s is gone: no answer for %v", guest.addr, guestGoneAfter)
		case <-tick.C:
			if _, err := os.Stat(recordPath(dir)); errors.Is(err, os.ErrNotExist) && startedBefore(startTime) {
				return nil
			}
		}
	}
}

var begin = time.Now()

// startedBefore tells whether the process has run for so long: its record is written while it starts.
func startedBefore(d time.Duration) bool { return time.Since(begin) > d }

// accept answers control connections.
func (s *shareServer) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			klog.ErrorS(err, "Accept control connection")
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go s.answer(conn)
	}
}

func (s *shareServer) answer(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	var req controlRequest
	if err := json.NewDecoder(io.LimitReader(conn, maxControl)).Decode(&req); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var reply controlReply
	var err error
	switch req.Op {
	case opPing:
	case opAdd:
		reply.Info, err = s.add(ctx, req)
	case opRemove:
		s.remove(req.ShareID)
	case opList:
		reply.Shares = s.list()
	default:
		err = fmt.Errorf("unknown control request %q", req.Op)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(reply) // who asked is gone, or hears it
}
