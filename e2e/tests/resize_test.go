package tests

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const mib = 1 << 20

// memTotal is the memory of the container's VM, in MiB.
func (c *container) memTotal() int {
	c.pod.t.Helper()
	kib, err := strconv.Atoi(strings.Fields(c.exec("grep MemTotal /proc/meminfo"))[1])
	if err != nil {
		c.pod.t.Fatal(err)
	}
	return kib / 1024
}

// limits are the container's as it sees them itself: memory, then CPU.
func (c *container) limits() string {
	c.pod.t.Helper()
	return strings.ReplaceAll(c.exec("cd /sys/fs/cgroup; cat memory.max cpu.max"), "\n", ", ")
}

func (c *container) update(r *runtimeapi.LinuxContainerResources) error {
	_, err := env.client.Runtime.UpdateContainerResources(c.pod.t.Context(), &runtimeapi.UpdateContainerResourcesRequest{ContainerId: c.id, Linux: r})
	return err
}

func (p *pod) update(r *runtimeapi.LinuxContainerResources) error {
	_, err := env.client.Runtime.UpdatePodSandboxResources(p.t.Context(), &runtimeapi.UpdatePodSandboxResourcesRequest{PodSandboxId: p.id, Resources: r})
	return err
}

// TestResizeContainer grows a container, restarts the daemon, and shrinks it again; the VM follows.
func TestResizeContainer(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "head -c 20000000 /dev/zero > /dev/shm/held; exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 * mib, CpuPeriod: 100000, CpuQuota: 50000}
	})
	before := c.memTotal()
	if got := c.limits(); got != "67108864, 50000 100000" {
		t.Fatalf("the container begins with %s", got)
	}
	for range 2 {
		if err := c.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 512 * mib, CpuPeriod: 100000, CpuQuota: 200000}); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.limits(); got != "536870912, 200000 100000" {
		t.Errorf("the container has %s", got)
	}
	if grown := c.memTotal(); grown < before+350 {
		t.Errorf("the VM had %d MiB, and has %d", before, grown)
	}
	if got, want := c.exec("nproc"), strconv.Itoa(min(2, runtime.NumCPU())); got != want {
		t.Errorf("%s processors, want %s", got, want)
	}
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	restart(t)
	if r := c.status().GetResources().GetLinux(); r.GetMemoryLimitInBytes() != 512*mib || r.GetCpuQuota() != 200000 {
		t.Errorf("after a restart the status has %v", r)
	}
	eventually(t, "the container holds 20 MB", func() bool { return c.exec("wc -c < /dev/shm/held") == "20000000" })
	if err := c.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 10 * mib}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a limit below the use: %v", err)
	}
	if got := c.limits(); got != "536870912, 200000 100000" {
		t.Errorf("then the container has %s", got)
	}
	if err := c.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 48 * mib, CpuQuota: 50000}); err != nil {
		t.Fatal(err)
	}
	if got := c.limits(); got != "50331648, 50000 100000" {
		t.Errorf("the container has %s", got)
	}
	eventually(t, "the VM gives memory back", func() bool { return c.memTotal() < before+50 })
	if r := c.status().GetResources().GetLinux(); r.GetMemoryLimitInBytes() != 48*mib || c.status().GetState() != runtimeapi.ContainerState_CONTAINER_RUNNING {
		t.Errorf("status: %v", c.status())
	}
	if err := c.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: -1, CpuQuota: -1}); err != nil {
		t.Fatal(err)
	}
	if got := c.limits(); got != "max, max 100000" {
		t.Errorf("without limits the container has %s", got)
	}
}

// TestResizePod changes a pod's own limits: a container without any is bound by them.
func TestResizePod(t *testing.T) {
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100 * mib, CpuPeriod: 100000, CpuQuota: 50000}
	})
	c := p.run("main", "exec sleep 1000", nil)
	eat := func(mibs string) int32 {
		return c.execSync("exec dd if=/dev/zero of=/dev/null bs=" + mibs + "M count=1").GetExitCode()
	}
	if code := eat("120"); code != 137 {
		t.Errorf("120 MiB of 100: exit code %d, want 137", code)
	}
	before := c.memTotal()
	if err := p.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 500 * mib, CpuPeriod: 100000, CpuQuota: 200000}); err != nil {
		t.Fatal(err)
	}
	if grown := c.memTotal(); grown < before+300 {
		t.Errorf("the VM had %d MiB, and has %d", before, grown)
	}
	if code := eat("120"); code != 0 {
		t.Errorf("120 MiB of 500: exit code %d", code)
	}
	if got, want := c.exec("nproc"), strconv.Itoa(min(2, runtime.NumCPU())); got != want {
		t.Errorf("%s processors, want %s", got, want)
	}
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	restart(t)
	if out := crictlOut(t, "inspectp", p.id); !strings.Contains(out, "524288000") {
		t.Errorf("inspectp does not tell the limit: %s", out)
	}
	if err := p.update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100 * mib}); err != nil {
		t.Fatal(err)
	}
	if code := eat("120"); code != 137 {
		t.Errorf("120 MiB of 100 again: exit code %d, want 137", code)
	}
	eventually(t, "the VM gives memory back", func() bool { return c.memTotal() < before+50 })
}

// TestLimitsOfAPodAreTheNodes: CRI's sum of limits leaves containers without one
// out; where kubelet has set the pod's cgroup, it is the limit.
func TestLimitsOfAPodAreTheNodes(t *testing.T) {
	const name = "paddock-e2e"
	for _, dir := range podCgroups(t, name) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("no cgroup can be made: %v", err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
	}
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Linux.CgroupParent = "/" + name
		cfg.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 50 * mib, CpuPeriod: 100000, CpuQuota: 1000}
	})
	c := p.run("unlimited", "exec sleep 1000", nil)
	if code := c.execSync("exec dd if=/dev/zero of=/dev/null bs=80M count=1").GetExitCode(); code != 0 {
		t.Errorf("80 MiB without a limit: exit code %d", code)
	}
}

// podCgroups are where a pod's cgroup would be on this machine.
func podCgroups(t *testing.T, name string) (dirs []string) {
	t.Helper()
	roots := []string{"/sys/fs/cgroup"}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		roots = []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"}
	}
	for _, root := range roots {
		dirs = append(dirs, filepath.Join(root, name))
	}
	return dirs
}
