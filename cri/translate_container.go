package cri

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// containerConfig translates a checked request for a pod's OS.
func (s *Server) containerConfig(c *runtimeapi.ContainerConfig, os guest.OS) podsandbox.ContainerConfig {
	out := podsandbox.ContainerConfig{
		Meta:             podsandbox.ContainerMeta{Name: c.GetMetadata().GetName(), Attempt: c.GetMetadata().GetAttempt()},
		Image:            c.GetImage().GetImage(),
		UserImage:        c.GetImage().GetUserSpecifiedImage(),
		ImageHandler:     c.GetImage().GetRuntimeHandler(),
		ImageAnnotations: c.GetImage().GetAnnotations(),
		Command:          c.GetCommand(),
		Args:             c.GetArgs(),
		WorkingDir:       c.GetWorkingDir(),
		Labels:           c.GetLabels(),
		Annotations:      c.GetAnnotations(),
		LogPath:          c.GetLogPath(),
		Stdin:            c.GetStdin(),
		StdinOnce:        c.GetStdinOnce(),
		TTY:              c.GetTty(),
		Resources:        resources(c.GetLinux().GetResources()),
		Security:         security(c.GetLinux().GetSecurityContext()),
		StopSignal:       signalName(c.GetStopSignal()),
	}
	if os == guest.Windows {
		s.windowsConfig(c.GetWindows(), &out)
	}
	for _, e := range c.GetEnvs() {
		out.Env = append(out.Env, podsandbox.EnvVar{Key: e.GetKey(), Value: string(e.GetValue())})
	}
	for _, d := range c.GetCDIDevices() {
		out.CDIDevices = append(out.CDIDevices, d.GetName())
	}
	for _, m := range c.GetMounts() {
		out.Mounts = append(out.Mounts, mount(m))
	}
	for _, d := range c.GetDevices() {
		out.Devices = append(out.Devices, podsandbox.Device{
			ContainerPath: d.GetContainerPath(), HostPath: d.GetHostPath(), Permissions: d.GetPermissions(),
		})
	}
	return out
}

func mount(m *runtimeapi.Mount) podsandbox.Mount {
	return podsandbox.Mount{
		ContainerPath:     m.GetContainerPath(),
		HostPath:          m.GetHostPath(),
		Image:             m.GetImage().GetImage(),
		SubPath:           m.GetImageSubPath(),
		UserImage:         m.GetImage().GetUserSpecifiedImage(),
		ImageHandler:      m.GetImage().GetRuntimeHandler(),
		ImageAnnotations:  m.GetImage().GetAnnotations(),
		ReadOnly:          m.GetReadonly(),
		RecursiveReadOnly: m.GetRecursiveReadOnly(),
		Propagation:       podsandbox.Propagation(m.GetPropagation()),
		IDs:               optionalRange(m.GetUidMappings()),
		SELinuxRelabel:    m.GetSelinuxRelabel(),
		Options:           m.GetMountOptions(),
	}
}

// criMount is mount turned around: statuses tell mounts as they were asked for.
func criMount(m *podsandbox.Mount) *runtimeapi.Mount {
	out := &runtimeapi.Mount{
		ContainerPath:     m.ContainerPath,
		HostPath:          m.HostPath,
		Readonly:          m.ReadOnly,
		SelinuxRelabel:    m.SELinuxRelabel,
		Propagation:       runtimeapi.MountPropagation(m.Propagation),
		RecursiveReadOnly: m.RecursiveReadOnly,
		ImageSubPath:      m.SubPath,
		MountOptions:      m.Options,
		UidMappings:       criMappings(m.IDs),
		GidMappings:       criMappings(m.IDs),
	}
	if m.Image != "" {
		out.Image = &runtimeapi.ImageSpec{
			Image: m.Image, UserSpecifiedImage: m.UserImage, RuntimeHandler: m.ImageHandler, Annotations: m.ImageAnnotations,
		}
	}
	return out
}

func containerState(s podsandbox.ContainerStateKind) runtimeapi.ContainerState {
	switch s {
	case podsandbox.ContainerCreated:
		return runtimeapi.ContainerState_CONTAINER_CREATED
	case podsandbox.ContainerRunning:
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	case podsandbox.ContainerExited:
		return runtimeapi.ContainerState_CONTAINER_EXITED
	}
	return runtimeapi.ContainerState_CONTAINER_UNKNOWN
}

func containerMetadata(c *podsandbox.ContainerConfig) *runtimeapi.ContainerMetadata {
	return &runtimeapi.ContainerMetadata{Name: c.Meta.Name, Attempt: c.Meta.Attempt}
}

// containerImage is the image as the request named it.
func containerImage(c *podsandbox.ContainerConfig) *runtimeapi.ImageSpec {
	return &runtimeapi.ImageSpec{
		Image:              c.Image,
		UserSpecifiedImage: c.UserImage,
		RuntimeHandler:     c.ImageHandler,
		Annotations:        c.ImageAnnotations,
	}
}

func listedContainer(st *podsandbox.ContainerStatus) *runtimeapi.Container {
	return &runtimeapi.Container{
		Id:           st.ID,
		PodSandboxId: st.SandboxID,
		Metadata:     containerMetadata(&st.Config),
		Image:        containerImage(&st.Config),
		ImageRef:     st.ImageRef,
		State:        containerState(st.State),
		CreatedAt:    nanos(st.Created),
		Labels:       st.Config.Labels,
		Annotations:  st.Config.Annotations,
		ImageId:      st.ImageID,
	}
}

func (s *Server) containerStatus(st *podsandbox.ContainerStatus) *runtimeapi.ContainerStatus {
	out := &runtimeapi.ContainerStatus{
		Id:          st.ID,
		Metadata:    containerMetadata(&st.Config),
		State:       containerState(st.State),
		CreatedAt:   nanos(st.Created),
		StartedAt:   nanos(st.Started),
		FinishedAt:  nanos(st.Finished),
		ExitCode:    st.ExitCode,
		Image:       containerImage(&st.Config),
		ImageRef:    st.ImageRef,
		Reason:      st.Reason,
		Message:     st.Message,
		Labels:      st.Config.Labels,
		Annotations: st.Config.Annotations,
		LogPath:     st.LogPath,
		Resources:   s.containerResources(st),
		ImageId:     st.ImageID,
		StopSignal:  criSignal(stopSignal(st)),
	}
	for i := range st.Config.Mounts {
		m := criMount(&st.Config.Mounts[i])
		if m.Image != nil {
			m.Image.ImageRef = st.MountImages[m.ContainerPath]
		}
		out.Mounts = append(out.Mounts, m)
	}
	if st.User != nil { // none on Windows, where CRI has no field for it
		out.User = &runtimeapi.ContainerUser{Linux: &runtimeapi.LinuxContainerUser{
			Uid: st.User.UID, Gid: st.User.GID, SupplementalGroups: st.User.Groups,
		}}
	}
	return out
}

func (s *Server) containerResources(st *podsandbox.ContainerStatus) *runtimeapi.ContainerResources {
	out := &runtimeapi.ContainerResources{}
	windows := s.cfg.hasWindows() && s.containerOS(st) == guest.Windows
	if windows {
		out.Windows = s.criWindowsResources(&st.Config.Resources)
	}
	if !windows || s.cfg.HostOS == guest.Linux { // which a Linux node's kubelet reads
		out.Linux = criResources(&st.Config.Resources)
	}
	return out
}

// stopSignal is the signal in use, or the one asked for before it is known.
func stopSignal(st *podsandbox.ContainerStatus) string {
	if st.StopSignal != "" {
		return st.StopSignal
	}
	return st.Config.StopSignal
}
