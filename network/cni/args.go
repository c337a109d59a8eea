package cni

import (
	"github.com/containernetworking/cni/libcni"
	cnitypes "github.com/containernetworking/cni/pkg/types/100"

	"github.com/paddock-run/paddock/network"
)

// IfName is the pod's first interface, as Kubernetes expects it.
const IfName = "eth0"

// RuntimeConf is what CNI plugins are told of a sandbox. Capability and argument
// names are those that containerd uses.
func RuntimeConf(req network.Request, netns string) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{
		ContainerID: req.SandboxID,
		NetNS:       netns,
		IfName:      IfName,
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", req.PodNamespace},
			{"K8S_POD_NAME", req.PodName},
			{"K8S_POD_INFRA_CONTAINER_ID", req.SandboxID},
			{"K8S_POD_UID", req.PodUID},
		},
		CapabilityArgs: map[string]any{},
	}
	if len(req.Annotations) > 0 {
		rt.CapabilityArgs["io.kubernetes.cri.pod-annotations"] = req.Annotations
	}
	if req.CgroupParent != "" {
		rt.CapabilityArgs["cgroupPath"] = req.CgroupParent
	}
	if ports := portMappings(req.PortMappings); len(ports) > 0 {
		rt.CapabilityArgs["portMappings"] = ports
	}
	if dns := dnsArgs(req.DNS); len(dns) > 0 {
		rt.CapabilityArgs["dns"] = dns
	}
	if bw := bandwidth(req); len(bw) > 0 {
		rt.CapabilityArgs["bandwidth"] = bw
	}
	return rt
}

// portMapping is the portMappings capability's entry (CNI conventions).
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
}

func portMappings(in []network.PortMapping) []portMapping {
	var out []portMapping
	for _, m := range in {
		if m.HostPort == 0 {
			continue
		}
		p := portMapping{HostPort: int(m.HostPort), ContainerPort: int(m.ContainerPort)}
		switch m.Protocol {
		case network.UDP:
			p.Protocol = "udp"
		case network.SCTP:
			p.Protocol = "sctp"
		default:
			p.Protocol = "tcp"
		}
		if m.HostIP.IsValid() {
			p.HostIP = m.HostIP.String()
		}
		out = append(out, p)
	}
	return out
}

func dnsArgs(d network.DNS) map[string][]string {
	out := map[string][]string{}
	for key, values := range map[string][]string{"servers": d.Servers, "searches": d.Searches, "options": d.Options} {
		if len(values) > 0 {
			out[key] = values
		}
	}
	return out
}

// maxBurst is what the bandwidth plugin takes as the largest burst.
const maxBurst = 1<<31 - 1

func bandwidth(req network.Request) map[string]uint64 {
	out := map[string]uint64{}
	if req.IngressBits > 0 {
		out["ingressRate"], out["ingressBurst"] = req.IngressBits, maxBurst
	}
	if req.EgressBits > 0 {
		out["egressRate"], out["egressBurst"] = req.EgressBits, maxBurst
	}
	return out
}

// DNSOf is the resolver configuration of a result; empty if it gave none.
func DNSOf(res *cnitypes.Result) network.DNS {
	dns := network.DNS{Servers: res.DNS.Nameservers, Searches: res.DNS.Search, Options: res.DNS.Options}
	if d := res.DNS.Domain; d != "" {
		dns.Searches = append([]string{d}, dns.Searches...)
	}
	return dns
}
