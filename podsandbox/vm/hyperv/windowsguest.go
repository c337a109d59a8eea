package hyperv

import (
	"fmt"
	"strings"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/windowsagent"
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
	limit      uint32 // processors' worth of time it may use; 0: all
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
				Processor: schema.Processor{Count: m.processors, Limit: processorLimit(m.limit, m.processors)},
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

// sharePrefix begins the path of every share in a Windows guest.
const sharePrefix = `\\?\VMSMB\VSMB-{dcc079ae-60ba-4d07-847c-3493609c0870}\`

const sharesPath = "VirtualMachine/Devices/VirtualSmb/Shares"

// shareName names a share within its VM.
func shareName(a vm.DiskAddress) string { return fmt.Sprintf("s%x", a.LUN) }

// shareRequest shows a Windows guest a folder, or one file of a folder.
func shareRequest(a vm.DiskAddress, d vm.Disk, isFile bool) schema.ModifySettingRequest {
	share := schema.VirtualSmbShare{Name: shareName(a), Path: d.Path, Options: &schema.VirtualSmbShareOptions{}}
	o := share.Options
	if d.ReadOnly {
		o.ReadOnly, o.ShareRead, o.CacheIo, o.PseudoOplocks = true, true, true, true
	}
	o.TakeBackupPrivilege = d.Content == vm.LayerContent
	o.NoDirectmap = d.Content == vm.FileContent
	if isFile {
		dir, _ := splitPath(d.Path)
		share.Path, share.AllowedFiles = dir, []string{d.Path}
		o.RestrictFileAccess, o.SingleFileMapping = true, true
	}
	return schema.ModifySettingRequest{ResourcePath: sharesPath, RequestType: schema.Add, Settings: share}
}

func unshareRequest(a vm.DiskAddress) schema.ModifySettingRequest {
	return schema.ModifySettingRequest{ResourcePath: sharesPath, RequestType: schema.Remove, Settings: schema.VirtualSmbShare{Name: shareName(a)}}
}

// splitPath splits a clean Windows path, on every OS, into a folder and a name in it.
func splitPath(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '\\')
	if dir = path[:max(i, 0)]; strings.HasSuffix(dir, ":") {
		dir += `\`
	}
	return dir, path[i+1:]
}

// folderOf is what the guest sees of a share.
func folderOf(d *disk, isFile bool) windowsagent.Folder {
	path := sharePrefix + shareName(d.Address)
	if isFile {
		_, name := splitPath(d.Path)
		path += `\` + name
	}
	return windowsagent.Folder{Path: path, LayerID: d.LayerID}
}
