package cri

import runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

// checkUserNamespace refuses a user namespace that a pod cannot have. As with
// containerd a mapping has one line; here users and groups have the same.
func checkUserNamespace(field string, o *runtimeapi.NamespaceOption) error {
	u := o.GetUsernsOptions()
	if u == nil {
		return nil
	}
	options := field + ".userns_options"
	if err := checkEnum(options+".mode", u.GetMode()); err != nil {
		return err
	}
	switch u.GetMode() {
	case runtimeapi.NamespaceMode_NODE:
		if len(u.GetUids())+len(u.GetGids()) > 0 {
			return invalid(options, "has mappings although its mode is NODE")
		}
		return nil
	case runtimeapi.NamespaceMode_POD:
	default:
		return invalid(options+".mode", "cannot be %s", u.GetMode())
	}
	if err := checkMappings(options+".uids", u.GetUids(), options+".gids", u.GetGids()); err != nil {
		return err
	}
	for _, ns := range []struct {
		name string
		mode runtimeapi.NamespaceMode
	}{{"network", o.GetNetwork()}, {"pid", o.GetPid()}, {"ipc", o.GetIpc()}} {
		if ns.mode == runtimeapi.NamespaceMode_NODE {
			return invalid(field+"."+ns.name, "cannot be NODE in a pod with a user namespace")
		}
	}
	return nil
}

// checkMappings refuses mappings that are not one line, the same for users and groups.
func checkMappings(uidField string, uids []*runtimeapi.IDMapping, gidField string, gids []*runtimeapi.IDMapping) error {
	for _, list := range []struct {
		field string
		lines []*runtimeapi.IDMapping
	}{{uidField, uids}, {gidField, gids}} {
		if n := len(list.lines); n != 1 {
			return invalid(list.field, "has %d mappings; exactly one is supported", n)
		}
		if err := mappingRange(list.lines).Check(); err != nil {
			return invalid(list.field, "is not a mapping: %v", err)
		}
	}
	if mappingRange(uids) != mappingRange(gids) {
		return invalid(gidField, "differs from the mapping of users; it must be the same")
	}
	return nil
}
