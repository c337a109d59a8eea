package cri

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest/idmap"
)

// mappingRange is a checked mapping.
func mappingRange(lines []*runtimeapi.IDMapping) idmap.Range {
	m := lines[0]
	return idmap.Range{Container: m.GetContainerId(), Host: m.GetHostId(), Size: m.GetLength()}
}

// optionalRange is a checked mapping; nil for none.
func optionalRange(lines []*runtimeapi.IDMapping) *idmap.Range {
	if len(lines) == 0 {
		return nil
	}
	r := mappingRange(lines)
	return &r
}

// criMappings is optionalRange turned around.
func criMappings(r *idmap.Range) []*runtimeapi.IDMapping {
	if r == nil {
		return nil
	}
	return []*runtimeapi.IDMapping{{ContainerId: r.Container, HostId: r.Host, Length: r.Size}}
}

// criUserNamespace tells a sandbox's user namespace as it was asked for; nil for none.
func criUserNamespace(r *idmap.Range) *runtimeapi.UserNamespace {
	if r == nil {
		return nil
	}
	return &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_POD, Uids: criMappings(r), Gids: criMappings(r)}
}
