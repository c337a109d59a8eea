package qemu

import (
	"fmt"
	"strings"

	"github.com/paddock-run/paddock/guest"
)

const mib = 1 << 20

// Slots of every machine; the guest sees them empty until something is plugged.
const (
	diskSlots = 255 // LUNs 0 to 254 of the one SCSI controller
	nicSlots  = 4   // PCIe root ports
)

// memoryBlock is the unit in which a guest's memory grows.
const memoryBlock = 128 * mib

// shape is what determines the machine that the guest sees. Two VMs of the
// same shape have the same devices at the same places.
type shape struct {
	accel     string // "kvm" or "tcg"
	memory    uint64 // bytes at boot, a multiple of 1 MiB
	hotMemory uint64 // bytes that can be added, a multiple of memoryBlock; 0: none
	cpus      uint32
	maxCPUs   uint32 // with those that can be added
	tscKHz    uint64 // the host's, for TCG; 0: let the guest find out
	vsock     bool
	nic       bool   // an interface is plugged from the start
	extraArgs string // for the guest's kernel
}

// origin is where a VM's memory comes from.
type origin uint8

const (
	coldBoot   origin = iota // nowhere: it boots
	asTemplate               // it boots, into memory that clones will map
	asClone                  // a template's memory and state
)

// paths is what differs between VMs of one shape. Numbers are file descriptors
// that QEMU inherits.
type paths struct {
	name             string // see processName
	origin           origin
	kernel, initrd   string // not for a clone
	memory           string // of a template: its memory's file
	qmpFD, consoleFD int
	agentFD, shareFD int // without vsock
	vhostFD          int // with vsock
	guestCID         uint32
	tapFD            int // with a NIC from the start
	vhostNetFD       int // 0: QEMU moves the packets
}

// args is QEMU's command line, without the program's name.
func args(s shape, p paths) []string {
	a := []string{
		"-name", p.name,
		"-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		// Two trace lines tell how the VM ended to a daemon that was away.
		"-trace", "enable=qemu_system_shutdown_request", "-trace", "enable=runstate_set",
		"-M", "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off,memory-backend=mem",
	}
	a = append(a, cpuArgs(s)...)
	a = append(a, memoryArgs(s, p)...)
	if p.origin == asClone {
		a = append(a, "-incoming", "defer")
	} else {
		a = append(a, "-kernel", p.kernel, "-initrd", p.initrd, "-append", kernelArgs(s))
	}
	a = append(a,
		"-chardev", socketChardev("qmp", p.qmpFD), "-mon", "chardev=qmp,mode=control",
		"-chardev", socketChardev("console", p.consoleFD), "-serial", "chardev:console",
	)
	a = append(a, channelArgs(s, p)...)
	a = append(a, "-device", "virtio-scsi-pci,id=scsi0,num_queues=1", "-device", "virtio-rng-pci")
	for i := range nicSlots {
		a = append(a, "-device", fmt.Sprintf("pcie-root-port,id=%s,chassis=%d,slot=%d", nicBus(i), i+1, i+1))
	}
	return append(a, bornNICArgs(s, p)...)
}

// A NIC's device is named after its port and its id, so that QEMU itself is the
// record of what is attached.
func nicDevice(slot int, id string) string { return fmt.Sprintf("nic%d-%s", slot, id) }

func netdevName(id string) string { return "net-" + id }

// bornNIC is the id of the NIC that a VM has from the start.
const bornNIC = "born"

// bornMAC is the hardware address of every NIC plugged from the start: clones
// have their template's.
const bornMAC = "02:70:64:6b:00:01"

func bornNICArgs(s shape, p paths) []string {
	if !s.nic {
		return nil
	}
	backend := fmt.Sprintf("tap,id=%s,fd=%d", netdevName(bornNIC), p.tapFD)
	if p.vhostNetFD != 0 {
		backend += fmt.Sprintf(",vhost=on,vhostfd=%d", p.vhostNetFD)
	}
	return []string{
		"-netdev", backend,
		"-device", fmt.Sprintf("virtio-net-pci,id=%s,netdev=%s,mac=%s,bus=%s,romfile=", nicDevice(0, bornNIC), netdevName(bornNIC), bornMAC, nicBus(0)),
	}
}

// processName is how a VM's process is found by a daemon that has only its state.
func processName(id, uuid string) string { return "guest=" + id + "." + uuid + ",debug-threads=on" }

func nicBus(slot int) string { return fmt.Sprintf("nicport%d", slot) }

func socketChardev(id string, fd int) string {
	return fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", id, fd)
}

func cpuArgs(s shape) []string {
	cpu, accel := "host", "kvm"
	if s.accel == "tcg" {
		// A processor without SMAP, which Wine needs: under QEMU's own translator the
		// guest's kernel fails on its iretq with it.
		cpu, accel = "Nehalem,-spec-ctrl", "tcg,tb-size=128"
	}
	return []string{"-accel", accel, "-cpu", cpu, "-smp", fmt.Sprintf("%d,maxcpus=%d", s.cpus, s.maxCPUs)}
}

func memoryArgs(s shape, p paths) []string {
	m := fmt.Sprintf("size=%dM", s.memory/mib)
	if s.hotMemory > 0 {
		m += fmt.Sprintf(",maxmem=%dM", (s.memory+s.hotMemory)/mib)
	}
	backend := fmt.Sprintf("memory-backend-ram,id=mem,size=%dM", s.memory/mib)
	switch p.origin {
	case asTemplate:
		backend = fmt.Sprintf("memory-backend-file,id=mem,size=%dM,mem-path=%s,share=on", s.memory/mib, p.memory)
	case asClone: // private: what it writes is its own
		backend = fmt.Sprintf("memory-backend-file,id=mem,size=%dM,mem-path=%s,share=off", s.memory/mib, p.memory)
	}
	a := []string{"-m", m, "-object", backend}
	if s.hotMemory > 0 {
		a = append(a,
			"-object", fmt.Sprintf("memory-backend-ram,id=hotmem,size=%dM,reserve=off", s.hotMemory/mib),
			"-device", "virtio-mem-pci,id=vmem,memdev=hotmem,requested-size=0",
		)
	}
	return a
}

func channelArgs(s shape, p paths) []string {
	if s.vsock {
		return []string{"-device", fmt.Sprintf("vhost-vsock-pci,guest-cid=%d,vhostfd=%d", p.guestCID, p.vhostFD)}
	}
	return []string{
		"-device", "virtio-serial-pci,id=serial0,max_ports=4",
		"-chardev", socketChardev("agent", p.agentFD),
		"-device", "virtserialport,bus=serial0.0,nr=1,chardev=agent,name=paddock.agent",
		"-chardev", socketChardev("share", p.shareFD),
		"-device", "virtserialport,bus=serial0.0,nr=2,chardev=share,name=paddock.share",
	}
}

func kernelArgs(s shape) string {
	// swiotlb: QEMU's devices reach all memory; the bounce buffer that a guest whose
	// memory may grow beyond 4 GiB makes else would take 64 MiB of each.
	// lsm: those of Debian's eleven security modules that a container can make use of. The
	// others have no policy in the guest, and are asked at every turn.
	k := []string{"quiet", "console=ttyS0", "panic=-1", "cryptomgr.notests", "noreplace-smp", "8250.nr_uarts=1", "swiotlb=noforce", "lsm=landlock,yama"}
	if s.accel == "tcg" {
		// KPTI and its like cost most of a system call under TCG, and guard
		// against nothing there: guest code does not run on the processor.
		k = append(k, "mitigations=off", guest.EmulatedArg)
		// Nor do the guest's kernel's checks of itself keep anything from the host.
		k = append(k, "init_on_alloc=0", "hardened_usercopy=off", "randomize_kstack_offset=off")
		if s.tscKHz > 0 {
			k = append(k, fmt.Sprintf("tsc_early_khz=%d", s.tscKHz))
		}
	}
	if s.cpus > 1 {
		k = remove(k, "noreplace-smp")
	}
	if s.hotMemory > 0 {
		k = append(k, "memhp_default_state=online")
	}
	if s.extraArgs != "" {
		k = append(k, s.extraArgs)
	}
	return strings.Join(k, " ")
}

func remove(list []string, what string) []string {
	kept := list[:0]
	for _, s := range list {
		if s != what {
			kept = append(kept, s)
		}
	}
	return kept
}
