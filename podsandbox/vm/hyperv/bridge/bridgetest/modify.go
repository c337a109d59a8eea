package bridgetest

import (
	"encoding/json"
	"strings"
)

// modification is a change of the VM, by its type, or of a container, by a path.
type modification struct {
	ResourceType, ResourcePath, RequestType string
	Settings                                json.RawMessage
}

func (g *Guest) modify(id string, body []byte) *refusal {
	var r struct{ Request modification }
	if bad := unmarshal(body, &r); bad != nil {
		return bad
	}
	m := r.Request
	g.mu.Lock()
	defer g.mu.Unlock()
	if bad := g.note("Modify %s%s %s", m.ResourceType, m.ResourcePath, m.RequestType); bad != nil {
		return bad
	}
	if id != nullID {
		return g.modifyContainer(id, m)
	}
	switch m.ResourceType {
	case "HvSocket":
		return g.setAddresses(m)
	case "MappedVirtualDisk":
		return g.mapDisk(m)
	case "CombinedLayers":
		return g.combine(m)
	case "NetworkNamespace":
		return g.setNamespace(m)
	case "Network":
		return g.setAdapter(m)
	}
	return refuse(invalid, "resource type %q", m.ResourceType)
}

func (g *Guest) modifyContainer(id string, m modification) *refusal {
	if _, bad := g.container(id); bad != nil {
		return bad
	}
	switch m.ResourcePath {
	case "Container/Memory/SizeInMB":
		var mb uint64
		if bad := unmarshal(m.Settings, &mb); bad != nil || mb%2 != 0 {
			return refuse(invalid, "memory of %s MB", m.Settings)
		}
		return nil
	case "Container/Processor":
		var p struct{ Count, Maximum, Weight int32 }
		if bad := unmarshal(m.Settings, &p); bad != nil || p.Maximum < 0 || p.Maximum > 10_000 {
			return refuse(invalid, "processors %s", m.Settings)
		}
		return nil
	}
	return refuse(invalid, "resource path %q", m.ResourcePath)
}

func (g *Guest) setAddresses(m modification) *refusal {
	var a struct{ LocalAddress, ParentAddress string }
	if bad := unmarshal(m.Settings, &a); bad != nil {
		return bad
	}
	if m.RequestType != "Update" || a.LocalAddress == "" || a.ParentAddress != "894cc2d6-9d79-424f-93fe-42969ae6d8d1" {
		return refuse(invalid, "addresses %s", m.Settings)
	}
	g.addresses = true
	return nil
}

func (g *Guest) mapDisk(m modification) *refusal {
	var d struct {
		ContainerPath string
		Lun           int32
	}
	if bad := unmarshal(m.Settings, &d); bad != nil {
		return bad
	}
	switch {
	case m.RequestType == "Add" && g.disks[d.Lun] != "":
		return refuse(exists, "LUN %d is mounted", d.Lun)
	case m.RequestType == "Add":
		if g.cfg.Disk != nil {
			if err := g.cfg.Disk(d.Lun); err != nil {
				return refuse(fileNotFound, "%v", err)
			}
		}
		g.disks[d.Lun] = d.ContainerPath
	case g.disks[d.Lun] != d.ContainerPath:
		return refuse(notFound, "LUN %d is not mounted at %q", d.Lun, d.ContainerPath)
	case g.combined[d.ContainerPath]:
		return refuse(wrongState, "layers are combined at %q", d.ContainerPath)
	default:
		delete(g.disks, d.Lun)
	}
	return nil
}

func (g *Guest) combine(m modification) *refusal {
	var c struct {
		ContainerRootPath string
		Layers            []struct {
			ID   string `json:"Id"`
			Path string
		}
		FilterType string
	}
	if bad := unmarshal(m.Settings, &c); bad != nil {
		return bad
	}
	mounted := false
	for _, at := range g.disks {
		mounted = mounted || at == c.ContainerRootPath
	}
	switch {
	case c.FilterType != "":
		return refuse(invalid, "filter %q", c.FilterType) // guests of schema 2.1 do not know it
	case m.RequestType == "Remove" && !g.combined[c.ContainerRootPath]:
		return refuse(notFound, "nothing is combined at %q", c.ContainerRootPath)
	case m.RequestType == "Remove":
		for id, ctr := range g.containers {
			if !ctr.ended && ctr.root == c.ContainerRootPath {
				return refuse(wrongState, "container %s uses %q", id, c.ContainerRootPath)
			}
		}
		delete(g.combined, c.ContainerRootPath)
		return nil
	case !mounted:
		return refuse(fileNotFound, "no disk is mounted at %q", c.ContainerRootPath)
	case len(c.Layers) == 0:
		return refuse(invalid, "no layers")
	}
	for _, l := range c.Layers {
		if l.ID == "" {
			return refuse(invalid, "a layer without an id")
		}
		if bad := g.path(l.Path); bad != nil {
			return bad
		}
	}
	g.combined[c.ContainerRootPath] = true
	return nil
}

func (g *Guest) setNamespace(m modification) *refusal {
	var n struct {
		ID string `json:"ID"`
	}
	if bad := unmarshal(m.Settings, &n); bad != nil || n.ID == "" {
		return refuse(invalid, "namespace %s", m.Settings)
	}
	if m.RequestType == "Add" {
		g.namespaces[strings.ToLower(n.ID)] = true
	} else {
		delete(g.namespaces, strings.ToLower(n.ID))
	}
	return nil
}

// setAdapter follows an adapter: expected, added, removed.
func (g *Guest) setAdapter(m modification) *refusal {
	var a struct {
		AdapterID   string `json:"AdapterId"`
		RequestType string
		Settings    *struct {
			ID                   string `json:"ID"`
			HostComputeNamespace string
		}
	}
	if bad := unmarshal(m.Settings, &a); bad != nil {
		return bad
	}
	was := g.adapters[a.AdapterID]
	switch {
	case a.RequestType == "PreAdd" && was == "" && a.Settings != nil && g.namespaces[strings.ToLower(a.Settings.HostComputeNamespace)]:
	case a.RequestType == "Add" && was == "PreAdd":
	case a.RequestType == "Remove" && m.RequestType == "Remove" && was != "":
		delete(g.adapters, a.AdapterID)
		return nil
	default:
		return refuse(wrongState, "adapter %s is %q: %s", a.AdapterID, was, m.Settings)
	}
	g.adapters[a.AdapterID] = a.RequestType
	return nil
}
