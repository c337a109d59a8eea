package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

// Capability is something of CRI that this build does not have. Asking for it is answered with codes.Unimplemented.
type Capability struct {
	// Name is the RPC or the field of a request.
	Name string
	// Missing says what is not there, for people.
	Missing string
}

// The capabilities that are missing, each used where it is asked for.
var (
	missingCheckpointContainer = Capability{"CheckpointContainer", "checkpoints of containers are not available"}
	missingCheckpointPod       = Capability{"CheckpointPod", "checkpoints of pods are not available"}
	missingRestorePod          = Capability{"RestorePod", "restoring pods from checkpoints is not available"}
	missingWindowsPods         = Capability{"runtime handler wcow", "Windows pods need Wine's disk in the guest image (make guest)"}
	missingCredentialSpec      = Capability{"credential specs of Windows containers", "a pod's VM has no part in group managed service accounts; use a RuntimeClass of another runtime on that node"}
	missingHostNetwork         = Capability{"host network", "the node's network is not available to pods by this configuration (hostNetwork.mode); use the pod network with hostPort"}
	missingHostNetworkWindows  = Capability{"host network", "a VM cannot join a Windows node's network; use the pod network with hostPort, and what has to be on the node's own network as a Windows service of the node"}
	missingMountOptions        = Capability{"mount options", "mount options are not applied yet"}
	missingHostProcess         = Capability{"host process containers", "HostProcess containers run on the node itself, which is never shared with a pod; use a Windows service or a scheduled task of the node, or a RuntimeClass of another runtime on that node"}
)

// Unimplemented lists every capability of CRI that a server with this Config lacks, for documentation.
func Unimplemented(cfg Config) []Capability {
	list := []Capability{
		missingCheckpointContainer, missingCheckpointPod, missingRestorePod,
		missingCredentialSpec, missingHostProcess,
	}
	if !cfg.hasWindows() {
		list = append(list, missingWindowsPods)
	}
	if !cfg.HostNetwork {
		list = append(list, cfg.missingHostNetwork())
	}
	if !cfg.MountOptions {
		list = append(list, missingMountOptions)
	}
	return list
}

// missingHostNetwork tells what to use instead, on this host.
func (c Config) missingHostNetwork() Capability {
	if c.HostOS == guest.Windows {
		return missingHostNetworkWindows
	}
	return missingHostNetwork
}

// String is the capability's line in documentation.
func (c Capability) String() string { return c.Name + ": " + c.Missing }

// err is the answer to a request that needs the capability.
func (c Capability) err() error { return errorf(codes.Unimplemented, "%s", c.String()) }

// CheckpointContainer is not available.
func (s *Server) CheckpointContainer(_ context.Context, r *runtimeapi.CheckpointContainerRequest) (*runtimeapi.CheckpointContainerResponse, error) {
	if err := checkID("container_id", r.GetContainerId()); err != nil {
		return nil, err
	}
	return nil, missingCheckpointContainer.err()
}

// CheckpointPod is not available.
func (s *Server) CheckpointPod(_ context.Context, r *runtimeapi.CheckpointPodRequest) (*runtimeapi.CheckpointPodResponse, error) {
	if err := checkID("pod_sandbox_id", r.GetPodSandboxId()); err != nil {
		return nil, err
	}
	return nil, missingCheckpointPod.err()
}

// RestorePod is not available.
func (s *Server) RestorePod(context.Context, *runtimeapi.RestorePodRequest) (*runtimeapi.RestorePodResponse, error) {
	return nil, missingRestorePod.err()
}
