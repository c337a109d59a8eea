package hyperv

import (
	"fmt"
	"net"
	"strings"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// virtualDisk is the kind of attachments that are VHD and VHDX files.
const virtualDisk = "VirtualDisk"

func diskPath(a vm.DiskAddress) string {
	return fmt.Sprintf("VirtualMachine/Devices/Scsi/%s/Attachments/%d", guest.HyperVControllers[a.Controller], a.LUN)
}

func attachDiskRequest(a vm.DiskAddress, d vm.Disk) schema.ModifySettingRequest {
	return schema.ModifySettingRequest{
		ResourcePath: diskPath(a), RequestType: schema.Add,
		Settings: schema.Attachment{Type: virtualDisk, Path: d.Path, ReadOnly: d.ReadOnly, IgnoreFlushes: d.Ephemeral},
	}
}

func detachDiskRequest(a vm.DiskAddress) schema.ModifySettingRequest {
	return schema.ModifySettingRequest{ResourcePath: diskPath(a), RequestType: schema.Remove}
}

func nicPath(id string) string { return "VirtualMachine/Devices/NetworkAdapters/" + nicGUID(id) }

func attachNICRequest(id, endpoint string, mac net.HardwareAddr) schema.ModifySettingRequest {
	return schema.ModifySettingRequest{
		ResourcePath: nicPath(id), RequestType: schema.Add,
		Settings: schema.NetworkAdapter{EndpointID: endpoint, MacAddress: dashed(mac)},
	}
}

// detachNICRequest names the endpoint too: the service wants to know what it removes.
func detachNICRequest(id, endpoint string, mac net.HardwareAddr) schema.ModifySettingRequest {
	r := attachNICRequest(id, endpoint, mac)
	r.RequestType = schema.Remove
	return r
}

func memoryRequest(mb uint64) schema.ModifySettingRequest {
	return schema.ModifySettingRequest{ResourcePath: "VirtualMachine/ComputeTopology/Memory/SizeInMB", Settings: mb}
}

func limitRequest(limit uint64) schema.ModifySettingRequest {
	if limit == 0 {
		limit = wholeLimit
	}
	return schema.ModifySettingRequest{
		ResourcePath: "VirtualMachine/ComputeTopology/Processor/Limits", RequestType: schema.Update,
		Settings: schema.ProcessorLimits{Limit: limit},
	}
}

// dashed is a hardware address as the service writes it.
func dashed(mac net.HardwareAddr) string {
	return strings.ReplaceAll(strings.ToUpper(mac.String()), ":", "-")
}
