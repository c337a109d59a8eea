package hyperv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/guestsockets"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/windowsagent"
)

const (
	// containersFile is what the agent of a Windows VM notes.
	containersFile = "containers.json"
	// negotiateTime bounds what is said before the bridge can be used.
	negotiateTime = 30 * time.Second
)

// windowsGuest is what the host has for the guest service of a Windows VM.
type windowsGuest struct {
	sockets *guestsockets.Sockets
	agent   *windowsagent.Agent
	once    sync.Once
}

func (g *windowsGuest) close() {
	g.once.Do(func() {
		g.agent.Close()
		g.sockets.Close() // the bridge with them
	})
}

// openGuest awaits the guest service. Redialled: it was connected to an earlier process.
func (v *VM) openGuest(redialled bool) error {
	sockets, err := guestsockets.Open(v.state.RuntimeID)
	if err != nil {
		return err
	}
	agent, err := windowsagent.New(windowsagent.Config{
		StateFile: filepath.Join(v.dir, containersFile), Folder: v.folder, Namespace: v.namespace, Processors: v.state.Processors,
	})
	if err != nil {
		return errors.Join(err, sockets.Close())
	}
	g := &windowsGuest{sockets: sockets, agent: agent}
	listener, err := sockets.Service(bridge.BridgeService)
	if err != nil {
		g.close()
		return err
	}
	v.guest = g
	go func() {
		<-v.exited
		g.close()
	}()
	go v.serveGuest(g, listener, redialled)
	return nil
}

// serveGuest takes the guest service's connections, one after the other, until the
// VM's end, or Close.
func (v *VM) serveGuest(g *windowsGuest, l net.Listener, redialled bool) {
	defer l.Close()
	for again := redialled; ; again = true {
		stop := func() bool { return true } // the first time whoever makes the VM waits
		if again {
			stop = time.AfterFunc(v.host.cfg.RedialTime, v.giveUp).Stop
		}
		client, err := v.meet(g, l, again)
		stop()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				klog.ErrorS(err, "The guest service of a Windows VM can be listened for no more", "vm", v.state.ID)
			}
			return
		}
		<-client.Done()
		if v.running() == nil {
			klog.InfoS("The connection to a VM's guest service has ended", "vm", v.state.ID, "err", client.Err())
		}
	}
}

// meet returns when the agent has its guest; a connection that comes to nothing is dropped for the next.
func (v *VM) meet(g *windowsGuest, l net.Listener, again bool) (*bridge.Client, error) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), negotiateTime)
		client, err := bridge.Connect(ctx, bridge.Config{Wire: conn, Listen: g.sockets.Port, Address: v.state.RuntimeID, TimeZone: hostTimeZone(), Reconnected: again})
		cancel()
		if err == nil {
			if err = g.agent.Connect(client); err == nil {
				return client, nil
			}
			client.Close()
		}
		if v.running() == nil {
			klog.ErrorS(err, "A VM's guest service was not understood", "vm", v.state.ID)
		}
	}
}

// giveUp ends a VM whose guest cannot be reached: what runs in it could neither be
// watched nor stopped.
func (v *VM) giveUp() {
	if v.running() != nil {
		return
	}
	why := fmt.Sprintf("its guest service has not called again for %v", v.host.cfg.RedialTime)
	v.mu.Lock()
	v.verdict = why
	v.mu.Unlock()
	klog.InfoS("A VM is ended", "vm", v.state.ID, "why", why)
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if err := v.compute().Terminate(ctx); err != nil && v.running() == nil {
		klog.ErrorS(err, "A VM that cannot be reached cannot be ended", "vm", v.state.ID)
	}
}

// folder tells the agent what share is at an address.
func (v *VM) folder(controller, lun uint32) (windowsagent.Folder, bool) {
	v.devices.Lock()
	defer v.devices.Unlock()
	d := v.state.diskAt(vm.DiskAddress{Controller: controller, LUN: lun})
	if d == nil || d.Content == vm.DiskContent || !d.Attached {
		return windowsagent.Folder{}, false
	}
	st, err := os.Stat(d.Path)
	return folderOf(d, err == nil && !st.IsDir()), true
}

func (v *VM) namespace() string {
	v.devices.Lock()
	defer v.devices.Unlock()
	return v.state.Namespace
}
