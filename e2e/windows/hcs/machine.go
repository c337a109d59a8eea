package hcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu/qmp"
)

const (
	scsiControllers = 4
	nicSlots        = 8
	hotMemoryMB     = 2048 // how much can be added
	commandTime     = time.Minute
)

// ending is how a machine ended.
type ending string

// Endings, by what QEMU says last.
const (
	poweredOff ending = "guest-shutdown"
	reset      ending = "guest-reset"
	panicked   ending = "guest-panic"
	quit       ending = "host-qmp-quit"
	killed     ending = "" // it said nothing
)

// machine is one QEMU.
type machine struct {
	dir     string
	cmd     *exec.Cmd
	monitor *qmp.Conn
	ended   chan struct{}
	how     ending
	console string // its last lines, when it has ended
	stopped bool   // see boot

	mu      sync.Mutex
	reason  string
	deleted map[string]chan struct{}

	dialing sync.Mutex // held while the agent's channel is opened
	dialer  channel.Dialer
}

// boot is what a machine starts with.
type boot struct {
	kernel, initrd, args string
	memoryMB             uint64
	processors           uint32
	// stopped: its processors never run. It is a machine for its devices only.
	stopped bool
}

// dropped are kernel arguments for Hyper-V's machine that QEMU's cannot do with.
var dropped = map[string]bool{"pci=off": true, "8250.nr_uarts=0": true, "pmtmr=0": true}

func kernelArgs(args string) string {
	kept := []string{"console=ttyS0", "8250.nr_uarts=1", "mitigations=off", "paddock.emulated"}
	for _, a := range strings.Fields(args) {
		if !dropped[a] {
			kept = append(kept, a)
		}
	}
	return strings.Join(kept, " ")
}

// startMachine runs QEMU; onEnd is called when it has ended.
func startMachine(b boot, onEnd func(*machine)) (*machine, error) {
	dir, err := os.MkdirTemp("", "hcs")
	if err != nil {
		return nil, err
	}
	m := &machine{dir: dir, stopped: b.stopped, ended: make(chan struct{}), deleted: map[string]chan struct{}{}}
	log, err := os.Create(filepath.Join(dir, "qemu.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m.cmd = exec.Command("qemu-system-x86_64", m.args(b)...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	waited, running := context.WithCancel(context.Background())
	go func() {
		_ = m.cmd.Wait()
		running()
	}()
	if err := m.connect(waited); err != nil {
		_ = m.cmd.Process.Kill()
		<-waited.Done()
		text, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w: %s", err, text), os.RemoveAll(dir))
	}
	go func() {
		<-waited.Done()
		<-m.monitor.Done() // its last words
		m.finish()
		onEnd(m)
	}()
	return m, nil
}

// finish settles how the machine ended.
func (m *machine) finish() {
	m.mu.Lock()
	m.how = ending(m.reason)
	text, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	m.console = string(text[max(0, len(text)-2000):])
	m.mu.Unlock()
	close(m.ended)
	m.dialing.Lock()
	if m.dialer != nil {
		m.dialer.Close()
	}
	m.dialing.Unlock()
	os.RemoveAll(m.dir)
}

func (m *machine) args(b boot) []string {
	socket := func(id, name string) string {
		return fmt.Sprintf("socket,id=%s,path=%s,server=on,wait=off", id, filepath.Join(m.dir, name))
	}
	a := []string{
		"-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
		"-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off,memory-backend=mem",
		"-accel", "tcg,tb-size=128", "-cpu", "Nehalem,-spec-ctrl",
		"-smp", strconv.Itoa(int(b.processors)),
		"-m", fmt.Sprintf("size=%dM,maxmem=%dM", b.memoryMB, b.memoryMB+hotMemoryMB),
		"-object", fmt.Sprintf("memory-backend-ram,id=mem,size=%dM", b.memoryMB),
		"-object", fmt.Sprintf("memory-backend-ram,id=hotmem,size=%dM,reserve=off", hotMemoryMB),
		"-device", "virtio-mem-pci,id=vmem,memdev=hotmem,requested-size=0",
		"-chardev", socket("qmp", "qmp"), "-mon", "chardev=qmp,mode=control",
		"-serial", "file:" + filepath.Join(m.dir, "console"),
		"-device", "virtio-serial-pci,id=serial0,max_ports=2",
		"-chardev", socket("agent", "agent"), "-device", "virtserialport,bus=serial0.0,nr=1,chardev=agent,name=paddock.agent",
		"-device", "virtio-rng-pci",
	}
	if b.stopped {
		a = append(a, "-S")
	} else {
		a = append(a, "-kernel", b.kernel, "-initrd", b.initrd, "-append", kernelArgs(b.args))
	}
	for i := range scsiControllers {
		a = append(a, "-device", fmt.Sprintf("virtio-scsi-pci,id=scsi%d,num_queues=1,virtqueue_size=64,cmd_per_lun=16", i))
	}
	for i := range nicSlots {
		a = append(a, "-device", fmt.Sprintf("pcie-root-port,id=port%d,chassis=%d,slot=%d", i, i+1, i+1))
	}
	return a
}

// connect opens the monitor, which answers once QEMU has set the machine up; waited ends with QEMU.
func (m *machine) connect(waited context.Context) error {
	ctx, cancel := context.WithTimeout(waited, commandTime)
	defer cancel()
	for {
		c, err := qmp.Dial(ctx, filepath.Join(m.dir, "qmp"), m.onEvent)
		if err == nil {
			m.monitor = c
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (m *machine) onEvent(e qmp.Event) {
	var d struct{ Reason, Device string }
	_ = json.Unmarshal(e.Data, &d)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Name {
	case "SHUTDOWN":
		m.reason = d.Reason
	case "DEVICE_DELETED":
		if gone := m.deleted[d.Device]; gone != nil {
			close(gone)
			delete(m.deleted, d.Device)
		}
	}
}

type arguments map[string]any

func (m *machine) do(command string, a arguments, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	var args any
	if a != nil {
		args = a
	}
	return m.monitor.Execute(ctx, command, args, result)
}

// unplug removes a device and waits until the guest has let it go.
func (m *machine) unplug(id string) error {
	gone := make(chan struct{})
	m.mu.Lock()
	m.deleted[id] = gone
	m.mu.Unlock()
	if err := m.do("device_del", arguments{"id": id}, nil); err != nil {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-m.ended:
		return errors.New("the machine ended")
	case <-time.After(commandTime):
		return fmt.Errorf("the guest does not let %s go", id)
	}
}

// formats are QEMU's drivers of disk files, by the names that Hyper-V demands.
var formats = map[string]string{".vhd": "raw", ".vhdx": "vhdx"}

func (m *machine) plugDisk(controller, lun int, file string, readOnly bool) error {
	id := fmt.Sprintf("disk-%d-%d", controller, lun)
	format := formats[strings.ToLower(filepath.Ext(file))]
	node := arguments{
		"driver": format, "node-name": id, "read-only": readOnly,
		"file": arguments{"driver": "file", "filename": file, "read-only": readOnly, "locking": "off"},
	}
	if format == "raw" {
		size, err := fixedVHD(file)
		if err != nil {
			return err
		}
		node["size"] = size
	}
	if err := m.do("blockdev-add", node, nil); err != nil {
		return err
	}
	err := m.do("device_add", arguments{
		"driver": "scsi-hd", "id": "dev-" + id, "drive": id, "bus": fmt.Sprintf("scsi%d.0", controller), "channel": 0, "scsi-id": 0, "lun": lun,
	}, nil)
	if err != nil {
		return errors.Join(err, m.do("blockdev-del", arguments{"node-name": id}, nil))
	}
	return nil
}

func (m *machine) unplugDisk(controller, lun int) error {
	id := fmt.Sprintf("disk-%d-%d", controller, lun)
	if err := m.unplug("dev-" + id); err != nil {
		return err
	}
	return m.do("blockdev-del", arguments{"node-name": id}, nil)
}

// plugNIC, like unplugNIC, does nothing to a machine that is stopped: nobody there would use it or let it go.
func (m *machine) plugNIC(slot int, id, tap, mac string) error {
	if m.stopped {
		return nil
	}
	if err := m.do("netdev_add", arguments{"type": "tap", "id": "net-" + id, "ifname": tap, "script": "no", "downscript": "no"}, nil); err != nil {
		return err
	}
	err := m.do("device_add", arguments{
		"driver": "virtio-net-pci", "id": "nic-" + id, "netdev": "net-" + id, "mac": mac, "bus": fmt.Sprintf("port%d", slot), "romfile": "",
	}, nil)
	if err != nil {
		return errors.Join(err, m.do("netdev_del", arguments{"id": "net-" + id}, nil))
	}
	return nil
}

func (m *machine) unplugNIC(id string) error {
	if m.stopped {
		return nil
	}
	if err := m.unplug("nic-" + id); err != nil {
		return err
	}
	return m.do("netdev_del", arguments{"id": "net-" + id}, nil)
}

// resize gives the guest so much more memory than it started with.
func (m *machine) resize(moreMB uint64) error {
	if moreMB > hotMemoryMB {
		return errNoMemory
	}
	want := (moreMB + 127) / 128 * 128 << 20
	if err := m.do("qom-set", arguments{"path": "/machine/peripheral/vmem", "property": "requested-size", "value": want}, nil); err != nil {
		return err
	}
	for range 1000 {
		var size uint64
		if err := m.do("qom-get", arguments{"path": "/machine/peripheral/vmem", "property": "size"}, &size); err != nil {
			return err
		}
		if size >= want {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the guest does not take the memory")
}

var errNoMemory = errors.New("more memory than the machine can have")

// dial connects to a port of the agent.
func (m *machine) dial(ctx context.Context, port uint32) (net.Conn, error) {
	for {
		d, err := m.session(ctx)
		if err != nil {
			return nil, err
		}
		conn, err := d.Dial(ctx, port)
		select {
		case <-d.Done(): // the guest's end began anew
			if err != nil && ctx.Err() == nil {
				continue
			}
		default:
		}
		return conn, err
	}
}

func (m *machine) session(ctx context.Context) (channel.Dialer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-m.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	m.dialing.Lock()
	defer m.dialing.Unlock()
	if m.dialer != nil {
		select {
		case <-m.dialer.Done():
		default:
			return m.dialer, nil
		}
	}
	d, err := channel.Open(ctx, channel.MuxAddress(filepath.Join(m.dir, "agent")))
	if err != nil {
		return nil, err
	}
	m.dialer = d
	return d, nil
}

// processorTime is what QEMU has used, in units of 100 ns.
func (m *machine) processorTime() uint64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks uint64
	for _, i := range []int{11, 12} { // utime, stime, in 1/100 s
		n, _ := strconv.ParseUint(fields[i], 10, 64)
		ticks += n
	}
	return ticks * 100_000
}
