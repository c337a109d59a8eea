package cri

import (
	"net/netip"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox"
)

// sandboxConfig translates a checked request; named is the handler as the request has it.
func sandboxConfig(c *runtimeapi.PodSandboxConfig, h guest.Handler, named string) podsandbox.SandboxConfig {
	m, sc := c.GetMetadata(), c.GetLinux().GetSecurityContext()
	return podsandbox.SandboxConfig{
		Meta:           podsandbox.Meta{Name: m.GetName(), UID: m.GetUid(), Namespace: m.GetNamespace(), Attempt: m.GetAttempt()},
		Handler:        h,
		RuntimeHandler: named,
		Hostname:       c.GetHostname(),
		LogDirectory:   c.GetLogDirectory(),
		DNS:            dns(c.GetDnsConfig()),
		PortMappings:   portMappings(c.GetPortMappings()),
		Labels:         c.GetLabels(),
		Annotations:    c.GetAnnotations(),
		CgroupParent:   c.GetLinux().GetCgroupParent(),
		Sysctls:        c.GetLinux().GetSysctls(),
		Namespaces:     namespaces(sc.GetNamespaceOptions()),
		UserNamespace:  optionalRange(sc.GetNamespaceOptions().GetUsernsOptions().GetUids()),
		Overhead:       resources(c.GetLinux().GetOverhead()),
		Resources:      resources(c.GetLinux().GetResources()),
		Privileged:     sc.GetPrivileged(),
	}
}

// dns is nil for a config that says nothing: the host's is meant then.
func dns(d *runtimeapi.DNSConfig) *network.DNS {
	if len(d.GetServers())+len(d.GetSearches())+len(d.GetOptions()) == 0 {
		return nil
	}
	return &network.DNS{Servers: d.GetServers(), Searches: d.GetSearches(), Options: d.GetOptions()}
}

// portMappings leaves out ports that are only declared, without one of the host.
func portMappings(list []*runtimeapi.PortMapping) []network.PortMapping {
	var out []network.PortMapping
	for _, m := range list {
		if m.GetHostPort() == 0 {
			continue
		}
		ip, _ := netip.ParseAddr(m.GetHostIp())
		out = append(out, network.PortMapping{
			Protocol:      protocol(m.GetProtocol()),
			ContainerPort: uint16(m.GetContainerPort()),
			HostPort:      uint16(m.GetHostPort()),
			HostIP:        ip,
		})
	}
	return out
}

func protocol(p runtimeapi.Protocol) network.Protocol {
	switch p {
	case runtimeapi.Protocol_UDP:
		return network.UDP
	case runtimeapi.Protocol_SCTP:
		return network.SCTP
	}
	return network.TCP
}

func namespaces(o *runtimeapi.NamespaceOption) podsandbox.Namespaces {
	return podsandbox.Namespaces{
		Network: namespaceMode(o.GetNetwork()), PID: namespaceMode(o.GetPid()), IPC: namespaceMode(o.GetIpc()),
		TargetID: o.GetTargetId(),
	}
}

func namespaceMode(m runtimeapi.NamespaceMode) podsandbox.NamespaceMode {
	switch m {
	case runtimeapi.NamespaceMode_CONTAINER:
		return podsandbox.NamespaceContainer
	case runtimeapi.NamespaceMode_NODE:
		return podsandbox.NamespaceNode
	case runtimeapi.NamespaceMode_TARGET:
		return podsandbox.NamespaceTarget
	}
	return podsandbox.NamespacePod
}

func criNamespaceMode(m podsandbox.NamespaceMode) runtimeapi.NamespaceMode {
	switch m {
	case podsandbox.NamespaceContainer:
		return runtimeapi.NamespaceMode_CONTAINER
	case podsandbox.NamespaceNode:
		return runtimeapi.NamespaceMode_NODE
	case podsandbox.NamespaceTarget:
		return runtimeapi.NamespaceMode_TARGET
	}
	return runtimeapi.NamespaceMode_POD
}

func sandboxState(s podsandbox.SandboxState) runtimeapi.PodSandboxState {
	if s == podsandbox.SandboxReady {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

func sandboxMetadata(m *podsandbox.Meta) *runtimeapi.PodSandboxMetadata {
	return &runtimeapi.PodSandboxMetadata{Name: m.Name, Uid: m.UID, Namespace: m.Namespace, Attempt: m.Attempt}
}

func listedSandbox(st *podsandbox.SandboxStatus) *runtimeapi.PodSandbox {
	return &runtimeapi.PodSandbox{
		Id:             st.ID,
		Metadata:       sandboxMetadata(&st.Config.Meta),
		State:          sandboxState(st.State),
		CreatedAt:      nanos(st.Created),
		Labels:         st.Config.Labels,
		Annotations:    st.Config.Annotations,
		RuntimeHandler: st.Config.RuntimeHandler,
	}
}

func sandboxStatus(st *podsandbox.SandboxStatus) *runtimeapi.PodSandboxStatus {
	ns := &st.Config.Namespaces
	return &runtimeapi.PodSandboxStatus{
		Id:        st.ID,
		Metadata:  sandboxMetadata(&st.Config.Meta),
		State:     sandboxState(st.State),
		CreatedAt: nanos(st.Created),
		Network:   networkStatus(st.Network),
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: &runtimeapi.NamespaceOption{
			Network: criNamespaceMode(ns.Network), Pid: criNamespaceMode(ns.PID), Ipc: criNamespaceMode(ns.IPC),
			TargetId: ns.TargetID, UsernsOptions: criUserNamespace(st.Config.UserNamespace),
		}}},
		Labels:         st.Config.Labels,
		Annotations:    st.Config.Annotations,
		RuntimeHandler: st.Config.RuntimeHandler,
	}
}

// networkStatus is never nil: kubelet reads it of sandboxes without addresses too.
func networkStatus(a *network.Attachment) *runtimeapi.PodSandboxNetworkStatus {
	out := &runtimeapi.PodSandboxNetworkStatus{}
	if a == nil {
		return out
	}
	for i, ip := range a.IPs() {
		if i == 0 {
			out.Ip = ip.String()
			continue
		}
		out.AdditionalIps = append(out.AdditionalIps, &runtimeapi.PodIP{Ip: ip.String()})
	}
	return out
}

// interfaceInfo is one NIC in verbose info.
type interfaceInfo struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	MTU       int      `json:"mtu"`
	Addresses []string `json:"addresses"`
}

// networkInfo is an attachment without what is only for the VM, and in host
// mode what the node does not lead to the pod.
func networkInfo(st *podsandbox.SandboxStatus) any {
	a := st.Network
	list := make([]interfaceInfo, 0, len(a.Interfaces))
	for _, i := range a.Interfaces {
		info := interfaceInfo{Name: i.Name, MAC: i.MAC.String(), MTU: i.MTU}
		for _, p := range i.Addresses {
			info.Addresses = append(info.Addresses, p.String())
		}
		list = append(list, info)
	}
	var refused []string
	for _, r := range st.RefusedPorts {
		refused = append(refused, r.Port.String()+": "+r.Reason)
	}
	return struct {
		Host         bool            `json:"host"`
		RefusedPorts []string        `json:"refusedPorts,omitempty"`
		NetNS        string          `json:"netns"`
		Interfaces   []interfaceInfo `json:"interfaces"`
		DNS          network.DNS     `json:"dns"`
	}{a.Host(), refused, a.NetNS, list, a.DNS}
}

// nanos is a time as CRI has it; 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
