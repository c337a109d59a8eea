package hyperv

import (
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// logService is where the guest's own service of a Windows VM sends its log.
const logService = "172dad59-976d-45f2-8b6c-6d1b13f2ac4d"

// directMapMiB is how much of a Windows guest's files may be mapped into it at once.
const directMapMiB = 1024

// windowsMachine is what a Windows VM's document is made of.
type windowsMachine struct {
	// files is the image's UtilityVM\Files, from which the VM boots.
	files string
	// scratch is the VM's own copy of UtilityVM\SystemTemplate.vhdx.
	scratch    string
	memory     uint64 // bytes
	processors uint32
}

// windowsDocument is a Windows VM of a Hyper-V isolated pod. Its guest is Microsoft's:
// unlike ours it dials the host, on two services.
func windowsDocument(m windowsMachine) *schema.ComputeSystem {
	sockets := schema.HvSocketConfig{
		DefaultBindSecurityDescriptor: administrators, DefaultConnectSecurityDescriptor: administrators,
		ServiceTable: map[string]schema.HvSocketService{
			bridge.BridgeService: {BindSecurityDescriptor: administrators, ConnectSecurityDescriptor: administrators},
			logService:           {BindSecurityDescriptor: administrators, ConnectSecurityDescriptor: administrators},
		},
	}
	return &schema.ComputeSystem{
		Owner:         owner,
		SchemaVersion: schema.Version{Major: 2, Minor: 1},
		VirtualMachine: &schema.VirtualMachine{
			StopOnReset: true,
			Chipset: schema.Chipset{Uefi: &schema.Uefi{BootThis: &schema.UefiBootEntry{
				DeviceType: "VmbFs", DevicePath: `\EFI\Microsoft\Boot\bootmgfw.efi`,
			}}},
			ComputeTopology: schema.Topology{
				Memory:    schema.Memory{SizeInMB: evenMiB(m.memory), AllowOvercommit: true, EnableHotHint: true},
				Processor: schema.Processor{Count: m.processors},
			},
			RegistryChanges: &schema.RegistryChanges{AddValues: []schema.RegistryValue{{
				Key:  schema.RegistryKey{Hive: "System", Name: `CurrentControlSet\Services\gns`},
				Name: "EnableCompartmentNamespace", Type: "DWord", DWordValue: 1,
			}}},
			Devices: schema.Devices{
				Scsi: map[string]schema.Scsi{guest.HyperVControllers[0]: {Attachments: map[string]schema.Attachment{
					"0": {Type: virtualDisk, Path: m.scratch},
				}}},
				HvSocket: &schema.HvSocket{HvSocketConfig: sockets},
				VirtualSmb: &schema.VirtualSmb{DirectFileMappingInMB: directMapMiB, Shares: []schema.VirtualSmbShare{{
					Name: "os", Path: m.files, Options: &schema.VirtualSmbShareOptions{
						ReadOnly: true, ShareRead: true, CacheIo: true, PseudoOplocks: true, TakeBackupPrivilege: true,
					},
				}}},
			},
		},
	}
}
