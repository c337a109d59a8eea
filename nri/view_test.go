package nri

import (
	"net/netip"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox"
)

func TestPodView(t *testing.T) {
	p := &podEntry{status: podsandbox.SandboxStatus{
		ID: "p",
		Config: podsandbox.SandboxConfig{
			Meta: podsandbox.Meta{Name: "n", UID: "u", Namespace: "ns"}, RuntimeHandler: "lcow", CgroupParent: "/kubepods/x",
			Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"},
			Overhead: podsandbox.Resources{MemoryLimit: 5}, Resources: podsandbox.Resources{CPUShares: 7, CPUPeriod: 8, CPUQuota: 9},
		},
		Network: &network.Attachment{NetNS: "/run/netns/x", Interfaces: []network.Interface{{Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")}}}},
	}}
	want := &api.PodSandbox{
		Id: "p", Name: "n", Uid: "u", Namespace: "ns", RuntimeHandler: "lcow", Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"},
		Ips: []string{"10.1.2.3"},
		Linux: &api.LinuxPodSandbox{
			PodOverhead:  &api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(int64(5))}, Cpu: &api.LinuxCPU{}},
			PodResources: &api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(7)), Period: api.UInt64(uint64(8)), Quota: api.Int64(int64(9))}},
			CgroupParent: "/kubepods/x", Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/run/netns/x"}},
		},
	}
	if diff := cmp.Diff(want, p.view(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestContainerView(t *testing.T) {
	st := *made()
	st.Created, st.ImageID, st.ImageRef = time.Unix(1, 0), "sha256:i", "host/x@sha256:d"
	st.Config.Image, st.Config.Meta.Name = "host/x:1", "main"
	st.Config.Annotations = map[string]string{"kubelet": "says"}
	st.Config.Mounts = append(st.Config.Mounts, podsandbox.Mount{ContainerPath: "/t", Tmpfs: true, Options: []string{"size=1m"}})
	st.User = &podsandbox.User{UID: 1, GID: 2, Groups: []int64{3}}
	st.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}}
	got := (&containerEntry{status: st, state: api.ContainerState_CONTAINER_CREATED}).view()
	oom := 0
	want := &api.Container{
		Id: "c", PodSandboxId: "s", Name: "main", State: api.ContainerState_CONTAINER_CREATED, CreatedAt: 1e9,
		Annotations: map[string]string{"old": "1", "kubelet": "says"}, Args: []string{"/bin/sh"}, Env: []string{"A=1", "B=2"},
		Mounts: []*api.Mount{
			{Destination: "/proc", Type: "proc"}, {Destination: "/dev/mqueue", Type: "mqueue"},
			{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "rprivate", "rw"}},
			{Destination: "/t", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=1m"}},
		},
		Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}},
		User:    &api.User{Uid: 1, Gid: 2, AdditionalGids: []uint32{3}},
		Image:   &api.Image{Name: "host/x:1", Digest: "sha256:d", ConfigDigest: "sha256:i"},
		Linux: &api.LinuxContainer{
			OomScoreAdj: api.Int(&oom), SeccompProfile: &api.SecurityProfile{},
			Devices: []*api.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}},
			Resources: &api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(int64(100))}, Cpu: &api.LinuxCPU{},
				Unified: map[string]string{"memory.high": "90"}, Devices: []*api.LinuxDeviceCgroup{{Access: "rwm"}}},
			Namespaces: []*api.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}, {Type: "cgroup"}},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	st.Spec = nil // of before it was kept
	if got := (&containerEntry{status: st}).view(); got.Id != "c" || got.Linux.Resources.Memory.Limit.GetValue() != 100 {
		t.Errorf("view without a specification: %v", got)
	}
}
