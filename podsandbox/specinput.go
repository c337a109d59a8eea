package podsandbox

import (
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// maxProfile bounds a seccomp profile's file, in bytes.
const maxProfile = 4 << 20

// specInput translates a container's configuration for ocispec.
func (m *Manager) specInput(s *sandbox, id string, cfg *ContainerConfig, image imageservice.Image) (ocispec.Container, error) {
	sc := &cfg.Security
	pod := s.status.Load().Config
	filter, err := m.seccomp(sc.Seccomp)
	if err != nil {
		return ocispec.Container{}, err
	}
	in := ocispec.Container{
		ID: id, Image: image.Config, Command: cfg.Command, Args: cfg.Args, WorkingDir: cfg.WorkingDir,
		Hostname: podHostname(s.id, &pod), TTY: cfg.TTY,
		Privileged: sc.Privileged, AddCapabilities: sc.AddCapabilities, DropCapabilities: sc.DropCapabilities,
		AmbientCapabilities: sc.AmbientCapabilities, NoNewPrivs: sc.NoNewPrivs, ReadOnlyRootfs: sc.ReadOnlyRootfs,
		MaskedPaths: sc.MaskedPaths, ReadonlyPaths: sc.ReadonlyPaths, Seccomp: filter,
		Resources: specResources(cfg.Resources),
		Annotations: map[string]string{
			"io.kubernetes.cri.container-type":    "container",
			"io.kubernetes.cri.container-name":    cfg.Meta.Name,
			"io.kubernetes.cri.image-name":        cfg.UserImage,
			"io.kubernetes.cri.sandbox-id":        s.id,
			"io.kubernetes.cri.sandbox-name":      pod.Meta.Name,
			"io.kubernetes.cri.sandbox-namespace": pod.Meta.Namespace,
			"io.kubernetes.cri.sandbox-uid":       pod.Meta.UID,
		},
	}
	for _, e := range cfg.Env {
		in.Env = append(in.Env, e.Key+"="+e.Value)
	}
	for _, d := range cfg.Devices {
		if blockDevice(d.HostPath) != "" {
			continue // attached as a disk
		}
		in.Devices = append(in.Devices, ocispec.Device{ContainerPath: d.ContainerPath, GuestPath: d.HostPath, Permissions: d.Permissions})
	}
	return in, nil
}

func (m *Manager) seccomp(p Profile) (ocispec.Seccomp, error) {
	switch p.Kind {
	case ProfileUnconfined:
		return ocispec.Seccomp{Unconfined: true}, nil
	case ProfileRuntimeDefault:
		return ocispec.Seccomp{}, nil
	}
	path := p.Localhost
	if !filepath.IsAbs(path) {
		if !filepath.IsLocal(path) {
			return ocispec.Seccomp{}, fmt.Errorf("%w: seccomp profile %q leaves %s", ErrInvalid, path, m.cfg.SeccompProfileRoot)
		}
		path = filepath.Join(m.cfg.SeccompProfileRoot, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return ocispec.Seccomp{}, fmt.Errorf("%w: seccomp profile: %w", ErrInvalid, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxProfile {
		return ocispec.Seccomp{}, fmt.Errorf("%w: seccomp profile %s is no file of at most %d bytes", ErrInvalid, path, maxProfile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ocispec.Seccomp{}, fmt.Errorf("%w: seccomp profile: %w", ErrInvalid, err)
	}
	return ocispec.Seccomp{Profile: data}, nil
}

func specResources(r Resources) ocispec.Resources {
	out := ocispec.Resources{
		CPUPeriod: r.CPUPeriod, CPUQuota: r.CPUQuota, CPUShares: r.CPUShares, CpusetCpus: r.CpusetCpus, CpusetMems: r.CpusetMems,
		MemoryLimit: r.MemoryLimit, MemorySwapLimit: r.MemorySwapLimit,
		MemoryReservation: r.MemoryReservation, PidsLimit: r.PidsLimit, OOMScoreAdj: r.OOMScoreAdj, Unified: r.Unified,
	}
	for _, h := range r.HugepageLimits {
		out.Hugepages = append(out.Hugepages, specs.LinuxHugepageLimit{Pagesize: h.PageSize, Limit: h.Limit})
	}
	return out
}
