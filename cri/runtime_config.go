package cri

import (
	"context"
	"net/netip"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
)

// RuntimeConfig tells kubelet which cgroup driver to use. A Windows node has none.
func (s *Server) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	if s.cfg.HostOS == guest.Windows {
		return &runtimeapi.RuntimeConfigResponse{}, nil
	}
	return &runtimeapi.RuntimeConfigResponse{
		Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: s.cfg.CgroupDriver},
	}, nil
}

// UpdateRuntimeConfig takes note of the node's pod CIDR. The pod network comes
// from CNI configuration, so nothing is changed by it.
func (s *Server) UpdateRuntimeConfig(ctx context.Context, r *runtimeapi.UpdateRuntimeConfigRequest) (*runtimeapi.UpdateRuntimeConfigResponse, error) {
	cidr := r.GetRuntimeConfig().GetNetworkConfig().GetPodCidr()
	for part := range strings.SplitSeq(cidr, ",") {
		if part == "" {
			continue
		}
		if _, err := netip.ParsePrefix(strings.TrimSpace(part)); err != nil {
			return nil, invalid("runtime_config.network_config.pod_cidr", "%q is not a list of CIDRs", cidr)
		}
	}
	klog.FromContext(ctx).Info("Pod CIDR announced; the pod network is configured by CNI", "podCIDR", cidr)
	return &runtimeapi.UpdateRuntimeConfigResponse{}, nil
}
