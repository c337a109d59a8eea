//go:build linux

package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// PodCgroup is the parent of every container's cgroup.
const PodCgroup = CgroupRoot + "/pod"

// Run prepares the machine. It is called once, by PID 1, before anything else.
func Run() error {
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	unix.Umask(0o022)
	if err := enterMovableRoot(); err != nil {
		return fmt.Errorf("make a root that containers can pivot from: %w", err)
	}
	if err := sealPrograms(); err != nil {
		return err
	}
	if err := mountKernelFileSystems(); err != nil {
		return err
	}
	linkDevices()
	hastenGracePeriods()
	logToKernel()
	if err := loadModules(); err != nil {
		return fmt.Errorf("load modules of %s: %w", moduleList, err)
	}
	if err := enableControllers(CgroupRoot, PodCgroup); err != nil {
		return fmt.Errorf("set up cgroups: %w", err)
	}
	preferAgent()
	// Every copy of a mount that the agent hands to a container starts private.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

func logf(format string, args ...any) { klog.InfofDepth(1, format, args...) }
