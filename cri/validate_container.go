package cri

import (
	"bytes"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// mountOptions are the bind mount options that a request may name.
var mountOptions = setOf("noexec", "exec", "nodev", "dev", "nosuid", "suid", "noatime", "nodiratime", "relatime", "strictatime")

// checkContainerConfig refuses a container that can never be made, whatever the pod's OS.
func (c Config) checkContainerConfig(cfg *runtimeapi.ContainerConfig) error {
	if cfg == nil {
		return invalid("config", "is required")
	}
	if cfg.GetMetadata() == nil {
		return invalid("config.metadata", "is required")
	}
	if err := checkName("config.metadata.name", cfg.GetMetadata().GetName()); err != nil {
		return err
	}
	if err := checkImage("config.image", cfg.GetImage()); err != nil {
		return err
	}
	if err := checkLogPath(cfg.GetLogPath()); err != nil {
		return err
	}
	if err := checkEnvs(cfg.GetEnvs()); err != nil {
		return err
	}
	if err := checkProcessWords(cfg); err != nil {
		return err
	}
	if err := checkLabels("config.labels", cfg.GetLabels()); err != nil {
		return err
	}
	if err := checkAnnotations("config.annotations", cfg.GetAnnotations()); err != nil {
		return err
	}
	if err := checkEnum("config.stop_signal", cfg.GetStopSignal()); err != nil {
		return err
	}
	if cfg.GetStdinOnce() && !cfg.GetStdin() {
		return invalid("config.stdin_once", "needs stdin")
	}
	for i, d := range cfg.GetCDIDevices() {
		if n := d.GetName(); n == "" || len(n) > maxNameLength || hasControl(n) {
			return invalid(at("config.CDI_devices", i, "name"), "%q is not a CDI device", clip(n))
		}
	}
	if cfg.GetWindows().GetSecurityContext().GetHostProcess() {
		return missingHostProcess.err()
	}
	if cfg.GetWindows().GetSecurityContext().GetCredentialSpec() != "" {
		return missingCredentialSpec.err()
	}
	if err := checkLinuxResources("config.linux.resources", cfg.GetLinux().GetResources()); err != nil {
		return err
	}
	if err := checkWindowsResources("config.windows.resources", cfg.GetWindows().GetResources()); err != nil {
		return err
	}
	return checkContainerSecurity(cfg.GetLinux().GetSecurityContext())
}

// checkContainerPaths refuses paths that are none on the pod's OS or the node's.
func (c Config) checkContainerPaths(cfg *runtimeapi.ContainerConfig, os guest.OS) error {
	if dir := cfg.GetWorkingDir(); dir != "" {
		if err := checkPath("config.working_dir", dir, os); err != nil {
			return err
		}
	}
	for i, m := range cfg.GetMounts() {
		if err := c.checkMount(i, m, os); err != nil {
			return err
		}
		bidirectional := m.GetPropagation() == runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
		if os == guest.Linux && bidirectional && !cfg.GetLinux().GetSecurityContext().GetPrivileged() {
			return invalid(at("config.mounts", i, "propagation"), "to the node needs a privileged container")
		}
	}
	for i, d := range cfg.GetDevices() {
		if err := c.checkDevice(i, d, os); err != nil {
			return err
		}
	}
	return nil
}

// checkContainerPath refuses paths that are none on the pod's OS. Kubelet on a Windows
// node gives some of a Linux pod's paths a drive, such as c:/dev/termination-log.
func (c Config) checkContainerPath(field, path string, os guest.OS) error {
	if os == guest.Linux && c.HostOS == guest.Windows && drivePattern.MatchString(path) {
		return checkPath(field, path, guest.Windows)
	}
	return checkPath(field, path, os)
}

func (c Config) checkMount(i int, m *runtimeapi.Mount, os guest.OS) error {
	const field = "config.mounts"
	if err := c.checkContainerPath(at(field, i, "container_path"), m.GetContainerPath(), os); err != nil {
		return err
	}
	if os == guest.Linux && podsandbox.GuestPath(m.GetContainerPath(), c.HostOS) == "/" {
		return invalid(at(field, i, "container_path"), "is the root of the container")
	}
	if err := checkEnum(at(field, i, "propagation"), m.GetPropagation()); err != nil {
		return err
	}
	if m.GetRecursiveReadOnly() && (!m.GetReadonly() || m.GetPropagation() != runtimeapi.MountPropagation_PROPAGATION_PRIVATE) {
		return invalid(at(field, i, "recursive_read_only"), "needs readonly and private propagation")
	}
	if m.GetImage() == nil && m.GetImageSubPath() != "" {
		return invalid(at(field, i, "image_sub_path"), "needs an image")
	}
	for _, o := range m.GetMountOptions() {
		if !mountOptions[o] {
			return invalid(at(field, i, "mount_options"), "%q is not an option of bind mounts", clip(o))
		}
	}
	if len(m.GetUidMappings())+len(m.GetGidMappings()) > 0 {
		if os != guest.Linux {
			return invalid(at(field, i, "uid_mappings"), "are for Linux pods")
		}
		if err := checkMappings(at(field, i, "uid_mappings"), m.GetUidMappings(), at(field, i, "gid_mappings"), m.GetGidMappings()); err != nil {
			return err
		}
	}
	if m.GetImage() != nil {
		if err := checkImageVolume(i, m, os); err != nil {
			return err
		}
	} else if err := checkPath(at(field, i, "host_path"), m.GetHostPath(), c.HostOS); err != nil {
		return err
	}
	if len(m.GetMountOptions()) > 0 && !c.MountOptions {
		return missingMountOptions.err()
	}
	return nil
}

// checkImageVolume refuses what is no mount of an image. It is read-only by definition (KEP-4639).
func checkImageVolume(i int, m *runtimeapi.Mount, os guest.OS) error {
	const field = "config.mounts"
	if err := checkImage(at(field, i, "image"), m.GetImage()); err != nil {
		return err
	}
	switch sub := m.GetImageSubPath(); {
	case m.GetHostPath() != "":
		return invalid(at(field, i, "host_path"), "and image exclude each other")
	case !m.GetReadonly():
		return invalid(at(field, i, "readonly"), "must be true: an image is mounted read-only")
	case len(sub) > maxPathLength || strings.ContainsRune(sub, 0) || isAbs(sub, os) || hasDotDot(sub):
		return invalid(at(field, i, "image_sub_path"), "%q is not a path within an image", clip(sub))
	}
	return nil
}

func (c Config) checkDevice(i int, d *runtimeapi.Device, os guest.OS) error {
	const field = "config.devices"
	if os == guest.Linux { // on Windows both may be class names
		if err := checkPath(at(field, i, "container_path"), d.GetContainerPath(), os); err != nil {
			return err
		}
		if err := checkPath(at(field, i, "host_path"), d.GetHostPath(), c.HostOS); err != nil {
			return err
		}
	}
	if strings.Trim(d.GetPermissions(), "rwm") != "" || len(d.GetPermissions()) > len("rwm") {
		return invalid(at(field, i, "permissions"), "%q is not made of r, w and m", clip(d.GetPermissions()))
	}
	return nil
}

// checkLogPath keeps a container's log within the pod's log directory.
func checkLogPath(path string) error {
	if path == "" {
		return nil
	}
	const field = "config.log_path"
	switch {
	case len(path) > maxPathLength || hasControl(path):
		return invalid(field, "%q is not a path", clip(path))
	case isAbs(path, guest.Linux) || isAbs(path, guest.Windows):
		return invalid(field, "%q must be relative to the pod's log directory", clip(path))
	case hasDotDot(path):
		return invalid(field, "%q contains ..", clip(path))
	}
	return nil
}

func checkEnvs(envs []*runtimeapi.KeyValue) error {
	for i, e := range envs {
		if k := e.GetKey(); k == "" || strings.ContainsAny(k, "=\x00") {
			return invalid(at("config.envs", i, "key"), "%q is not the name of a variable", clip(k))
		}
		if bytes.IndexByte(e.GetValue(), 0) >= 0 {
			return invalid(at("config.envs", i, "value"), "of %q contains a NUL", clip(e.GetKey()))
		}
	}
	return nil
}

func checkProcessWords(cfg *runtimeapi.ContainerConfig) error {
	if err := checkCommand("config.command", cfg.GetCommand()); err != nil {
		return err
	}
	return checkCommand("config.args", cfg.GetArgs())
}

// checkCommand refuses arguments that no process can get.
func checkCommand(field string, words []string) error {
	for _, w := range words {
		if strings.ContainsRune(w, 0) {
			return invalid(field, "%q contains a NUL", clip(w))
		}
	}
	return nil
}
