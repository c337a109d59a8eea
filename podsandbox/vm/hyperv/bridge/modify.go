package bridge

import "github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"

// Modification is a change of the VM's or a container's settings: of the kinds that
// internal/uvm and internal/hcsoci of hcsshim ask Windows guests for.
type Modification struct {
	// ResourceType names what the VM changes, ResourcePath what a container does.
	ResourceType string             `json:",omitempty"`
	ResourcePath string             `json:",omitempty"`
	RequestType  schema.RequestType `json:",omitempty"`
	Settings     any                `json:",omitempty"`
}

// Addresses tells the guest its VM's socket address and the host's.
func Addresses(runtimeID string) Modification {
	return Modification{ResourceType: "HvSocket", RequestType: schema.Update, Settings: struct {
		LocalAddress, ParentAddress string
	}{runtimeID, ParentAddress}}
}

// Layer is a read-only layer of an image, by its path in the guest.
type Layer = schema.Layer

// CombinedLayers lays the layers under the scratch disk mounted at root, topmost
// first. The filter is left to the guest, whose default it is: guests before schema 2.9
// refuse its name.
func CombinedLayers(root string, layers []Layer) Modification {
	return Modification{ResourceType: "CombinedLayers", RequestType: schema.Add, Settings: struct {
		ContainerRootPath string
		Layers            []Layer
	}{root, layers}}
}

// UncombineLayers takes CombinedLayers back.
func UncombineLayers(root string) Modification {
	return Modification{ResourceType: "CombinedLayers", RequestType: schema.Remove, Settings: struct {
		ContainerRootPath string
	}{root}}
}

type virtualDisk struct {
	ContainerPath string `json:",omitempty"`
	Lun           int32
}

// MountDisk mounts the disk at a LUN of the only controller.
func MountDisk(lun int32, path string) Modification {
	return Modification{ResourceType: "MappedVirtualDisk", RequestType: schema.Add, Settings: virtualDisk{path, lun}}
}

// UnmountDisk takes MountDisk back.
func UnmountDisk(lun int32, path string) Modification {
	return Modification{ResourceType: "MappedVirtualDisk", RequestType: schema.Remove, Settings: virtualDisk{path, lun}}
}

// mappedDirectories is where a running container has its directories.
const mappedDirectories = "Container/MappedDirectories"

// MapDirectory shows a container a directory of its VM, such as a share of the host.
func MapDirectory(vmPath, containerPath string, readOnly bool) Modification {
	return Modification{ResourcePath: mappedDirectories, RequestType: schema.Add, Settings: schema.MappedDirectory{HostPath: vmPath, ContainerPath: containerPath, ReadOnly: readOnly}}
}

// UnmapDirectory takes MapDirectory back.
func UnmapDirectory(containerPath string) Modification {
	return Modification{ResourcePath: mappedDirectories, RequestType: schema.Remove, Settings: schema.MappedDirectory{ContainerPath: containerPath}}
}

// LimitMemory changes how much memory a container may use.
func LimitMemory(mib uint64) Modification {
	return Modification{ResourcePath: "Container/Memory/SizeInMB", RequestType: schema.Update, Settings: mib}
}

// LimitProcessor changes how much of the processors a container may use.
func LimitProcessor(p schema.ContainerProcessor) Modification {
	return Modification{ResourcePath: "Container/Processor", RequestType: schema.Update, Settings: p}
}

// AddNamespace makes a network namespace (a compartment) in the guest, of the
// document of the host's.
func AddNamespace(namespace any) Modification {
	return Modification{ResourceType: "NetworkNamespace", RequestType: schema.Add, Settings: namespace}
}

// RemoveNamespace takes AddNamespace back.
func RemoveNamespace(namespace any) Modification {
	return Modification{ResourceType: "NetworkNamespace", RequestType: schema.Remove, Settings: namespace}
}

type adapter struct {
	AdapterID   string `json:"AdapterId"`
	RequestType string
	Settings    any `json:",omitempty"`
}

// ExpectAdapter tells the guest of the endpoint whose adapter comes next: before
// the host adds that, and AddAdapter after.
func ExpectAdapter(id string, endpoint any) Modification {
	return network(schema.Add, adapter{id, "PreAdd", endpoint})
}

// AddAdapter has the guest use an adapter.
func AddAdapter(id string) Modification {
	return network(schema.Add, adapter{AdapterID: id, RequestType: "Add"})
}

// RemoveAdapter has the guest let go of an adapter, before the host removes it.
func RemoveAdapter(id string) Modification {
	return network(schema.Remove, adapter{AdapterID: id, RequestType: "Remove"})
}

func network(r schema.RequestType, a adapter) Modification {
	return Modification{ResourceType: "Network", RequestType: r, Settings: a}
}
