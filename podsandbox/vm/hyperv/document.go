package hyperv

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

const mib = 1 << 20

// owner marks our systems among the host's.
const owner = "paddock"

// Slots of every Linux VM.
const (
	controllers        = len(guest.HyperVControllers)
	lunsPerController  = 64
	diskSlots          = controllers * lunsPerController
	maxShares          = 1024 // vSMB, of a Windows VM; far above what a pod has
	nicSlots           = 8    // synthetic network adapters of a generation 2 VM
	maxGuestProcessors = 64
)

// Who may do what with a VM's sockets. The host dials the guest, SYSTEM and
// Administrators only and two services only. Nobody on the host can listen for this
// guest, so that it reaches nothing there.
const (
	nobody         = "D:P(D;;FA;;;WD)"
	administrators = "D:P(A;;FA;;;SY)(A;;FA;;;BA)"
)

// Builds of Windows from which on the service knows what is asked for.
const (
	buildColdDiscardHint = 18967
	buildKernelDirect    = 18286
	buildProcessorLimits = 19042
)

// machine is what a VM's document is made of.
type machine struct {
	kernel, initrd  string
	memory          uint64 // bytes
	processors      uint32
	limit           uint32 // processors' worth of time it may use; 0: all
	build           uint32 // of Windows
	endpoint        string // HCN's id; "": no network interface from the start
	mac             string // of that interface
	extraKernelArgs string
	utilityVM       string // of a Windows VM: the folder that it boots from
}

// linuxDocument is a Linux VM, not running: its kernel is entered directly, its
// disks and interfaces come later.
func linuxDocument(m machine) *schema.ComputeSystem {
	scsi := make(map[string]schema.Scsi, controllers)
	for _, id := range guest.HyperVControllers {
		scsi[id] = schema.Scsi{}
	}
	var nics map[string]schema.NetworkAdapter
	if m.endpoint != "" {
		nics = map[string]schema.NetworkAdapter{nicGUID(bornNIC): {EndpointID: m.endpoint, MacAddress: m.mac}}
	}
	return &schema.ComputeSystem{
		Owner:         owner,
		SchemaVersion: schema.Version{Major: 2, Minor: 1},
		VirtualMachine: &schema.VirtualMachine{
			StopOnReset: true,
			Chipset: schema.Chipset{LinuxKernelDirect: &schema.LinuxKernelDirect{
				KernelFilePath: m.kernel, InitRdPath: m.initrd, KernelCmdLine: kernelArgs(m),
			}},
			ComputeTopology: schema.Topology{
				Memory: schema.Memory{
					SizeInMB: evenMiB(m.memory), AllowOvercommit: true, EnableDeferredCommit: true,
					EnableColdDiscardHint: m.build >= buildColdDiscardHint,
				},
				Processor: schema.Processor{Count: m.processors, Limit: processorLimit(m.limit, m.processors)},
			},
			Devices: schema.Devices{Scsi: scsi, NetworkAdapters: nics, HvSocket: guestSockets(api.ControlPort, api.StreamPort)},
		},
	}
}

// kernelArgs is the Linux guest's command line. It has no PCI bus, no serial port and
// no PM timer; the rest is what panics, memory that is added, and processors need.
func kernelArgs(m machine) string {
	args := []string{
		"quiet", "panic=-1", "pci=off", "8250.nr_uarts=0", "pmtmr=0", "cryptomgr.notests",
		fmt.Sprintf("nr_cpus=%d", m.processors), "memhp_default_state=online",
	}
	if m.extraKernelArgs != "" {
		args = append(args, m.extraKernelArgs)
	}
	return strings.Join(args, " ")
}

// guestSockets admits the host's administrators to ports of the guest, and nothing else.
func guestSockets(ports ...uint32) *schema.HvSocket {
	table := make(map[string]schema.HvSocketService, len(ports))
	for _, port := range ports {
		table[serviceGUID(port)] = schema.HvSocketService{BindSecurityDescriptor: nobody, ConnectSecurityDescriptor: administrators}
	}
	return &schema.HvSocket{HvSocketConfig: schema.HvSocketConfig{
		DefaultBindSecurityDescriptor: nobody, DefaultConnectSecurityDescriptor: nobody, ServiceTable: table,
	}}
}

// serviceGUID is the socket service of a guest's vsock port, as Linux' hv_sock has it.
func serviceGUID(port uint32) string { return fmt.Sprintf("%08x-facb-11e6-bd58-64006a7986d3", port) }

// evenMiB is bytes in MiB; the service wants an even number.
func evenMiB(bytes uint64) uint64 { return (bytes + 2*mib - 1) / (2 * mib) * 2 }

// wholeLimit is the limit of a VM that may use all its processors.
const wholeLimit = 100_000

// processorLimit is a limit of so many processors' worth of time in a VM of count; 0: none.
func processorLimit(processors, count uint32) uint64 {
	if processors == 0 || processors >= count {
		return 0
	}
	return uint64(processors) * wholeLimit / uint64(count)
}

// bornNIC is the id of the interface that a VM has from the start.
const bornNIC = "born"

// nicNamespace makes NICs' GUIDs from their ids, so that a later process finds them.
var nicNamespace = uuid.MustParse("5d0c7b3a-6a1c-4f0e-9d55-2c0f1e8a4b61")

// nicGUID names a NIC within its VM.
func nicGUID(id string) string { return uuid.NewSHA1(nicNamespace, []byte(id)).String() }
