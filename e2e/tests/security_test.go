package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestUsers runs containers as users that the pod and the image choose.
func TestUsers(t *testing.T) {
	p := runPod(t, nil)
	for _, c := range []struct {
		name   string
		change func(*runtimeapi.LinuxContainerSecurityContext)
		want   string
	}{
		{"root", func(*runtimeapi.LinuxContainerSecurityContext) {}, "uid=0(root) gid=0(root)"},
		{"uid", func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser = &runtimeapi.Int64Value{Value: 1000}
		}, "uid=1000(tester) gid=1000(tester)"},
		{"name", func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsUsername = "www-data" }, "uid=33(www-data) gid=33(www-data)"},
		{"group", func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsGroup = &runtimeapi.Int64Value{Value: 4321}, &runtimeapi.Int64Value{Value: 1234}
		}, "uid=4321 gid=1234"},
		{"supplemental", func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.SupplementalGroups = &runtimeapi.Int64Value{Value: 1000}, []int64{7777}
		}, "7777"},
	} {
		cnt := p.run(c.name, "id; exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
			c.change(cfg.Linux.SecurityContext)
		})
		if got := cnt.exec("id"); !strings.Contains(got, c.want) {
			t.Errorf("%s: id in exec: %q, want %q", c.name, got, c.want)
		}
		cnt.waitForLog(c.want)
	}
}

// TestContainerUser wants the status to tell who the first process really is.
func TestContainerUser(t *testing.T) {
	p := runPod(t, nil)
	for _, c := range []struct {
		name, image string
		change      func(*runtimeapi.LinuxContainerSecurityContext)
		want        *runtimeapi.LinuxContainerUser
	}{
		{"root", busybox, func(*runtimeapi.LinuxContainerSecurityContext) {},
			&runtimeapi.LinuxContainerUser{SupplementalGroups: []int64{0}}},
		{"image", configured, func(*runtimeapi.LinuxContainerSecurityContext) {},
			&runtimeapi.LinuxContainerUser{Uid: 1000, Gid: 1000, SupplementalGroups: []int64{1000, 2000, 2001}}},
		{"merge", busybox, func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsGroup, s.SupplementalGroups = &runtimeapi.Int64Value{Value: 1000}, &runtimeapi.Int64Value{Value: 3000}, []int64{7777}
		}, &runtimeapi.LinuxContainerUser{Uid: 1000, Gid: 3000, SupplementalGroups: []int64{2000, 2001, 3000, 7777}}},
		{"strict", configured, func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.SupplementalGroups, s.SupplementalGroupsPolicy = []int64{7777}, runtimeapi.SupplementalGroupsPolicy_Strict
		}, &runtimeapi.LinuxContainerUser{Uid: 1000, Gid: 1000, SupplementalGroups: []int64{1000, 7777}}},
	} {
		cnt := p.run(c.name, "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
			cfg.Image.Image = c.image
			c.change(cfg.Linux.SecurityContext)
		})
		got := cnt.status().GetUser().GetLinux()
		slices.Sort(got.GetSupplementalGroups())
		if !proto.Equal(got, c.want) {
			t.Errorf("%s: status tells of %v, want %v", c.name, got, c.want)
		}
		kernel := cnt.exec("grep -E '^(Uid|Gid|Groups):' /proc/1/status | cut -f 2")
		groups := strings.Trim(fmt.Sprint(got.GetSupplementalGroups()), "[]")
		if want := fmt.Sprintf("%d\n%d\n%s", got.GetUid(), got.GetGid(), groups); strings.TrimSpace(kernel) != want {
			t.Errorf("%s: the kernel tells of %q, the status of %q", c.name, kernel, want)
		}
	}
}

// status field of /proc/self/status, as a script.
func procStatus(field string) string { return "grep ^" + field + ": /proc/1/status | cut -f 2" }

func TestCapabilities(t *testing.T) {
	p := runPod(t, nil)
	for _, c := range []struct {
		name string
		caps *runtimeapi.Capability
		want string
	}{
		{"default", nil, "00000000a80425fb"},
		{"add", &runtimeapi.Capability{AddCapabilities: []string{"NET_ADMIN"}}, "00000000a80435fb"},
		{"drop", &runtimeapi.Capability{DropCapabilities: []string{"ALL"}}, "0000000000000000"},
	} {
		cnt := p.run(c.name, "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
			cfg.Linux.SecurityContext.Capabilities = c.caps
		})
		if got := cnt.exec(procStatus("CapEff")); got != c.want {
			t.Errorf("%s: effective capabilities %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPrivileged(t *testing.T) {
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Linux.SecurityContext.Privileged = true })
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) { cfg.Linux.SecurityContext.Privileged = true })
	if got := c.exec(procStatus("CapEff")); got != "000001ffffffffff" {
		t.Errorf("effective capabilities %s, want all", got)
	}
	c.exec("mkdir /m && mount -t tmpfs none /m && umount /m")
}

func TestSeccomp(t *testing.T) {
	p := runPod(t, nil)
	for profile, want := range map[runtimeapi.SecurityProfile_ProfileType]string{
		runtimeapi.SecurityProfile_RuntimeDefault: "2",
		runtimeapi.SecurityProfile_Unconfined:     "0",
	} {
		c := p.run(strings.ToLower(profile.String()), "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
			cfg.Linux.SecurityContext.Seccomp = &runtimeapi.SecurityProfile{ProfileType: profile}
			cfg.Linux.SecurityContext.NoNewPrivs = profile == runtimeapi.SecurityProfile_RuntimeDefault
		})
		if got := c.exec(procStatus("Seccomp")); got != want {
			t.Errorf("%v: seccomp mode %s, want %s", profile, got, want)
		}
		if got := c.exec(procStatus("NoNewPrivs")); (got == "1") != (want == "2") {
			t.Errorf("%v: no_new_privs is %s", profile, got)
		}
	}
}

func TestReadOnlyRootFS(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.SecurityContext.ReadonlyRootfs = true
	})
	if resp := c.execSync("echo x > /file"); resp.GetExitCode() == 0 || !strings.Contains(string(resp.GetStderr()), "Read-only file system") {
		t.Errorf("writing to a read-only root: exit code %d, %s", resp.GetExitCode(), resp.GetStderr())
	}
	c.exec("echo x > /dev/shm/file && echo x > /dev/null")
}

// TestOOM wants the container killed for want of memory to say so, and its pod to go on.
func TestOOM(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("hungry", "exec dd if=/dev/zero of=/dev/null bs=100M", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.Resources.MemoryLimitInBytes = 24 << 20
	})
	st := c.wait()
	if st.GetReason() != "OOMKilled" || st.GetExitCode() != 137 {
		t.Errorf("reason %q, exit code %d; want OOMKilled, 137", st.GetReason(), st.GetExitCode())
	}
	other := p.run("other", "exec sleep 1000", nil)
	if got := other.exec("echo alive"); got != "alive" {
		t.Errorf("the pod's other container says %q", got)
	}
}

func TestLimitsAndSysctls(t *testing.T) {
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Linux.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}
	})
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.Resources = &runtimeapi.LinuxContainerResources{
			MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512,
		}
	})
	if got := c.exec("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"); got != "80" {
		t.Errorf("sysctl is %s", got)
	}
	if got := c.exec("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"); got != "67108864\n50000 100000" {
		t.Errorf("limits in the container's cgroup: %q", got)
	}
	asked := c.config.GetLinux().GetResources()
	if got := c.status().GetResources().GetLinux(); !proto.Equal(got, asked) {
		t.Errorf("status tells of limits %v, want %v", got, asked)
	}
	crictlOut(t, "update", "--memory", "83886080", c.id)
	asked.MemoryLimitInBytes = 83886080
	if got := c.status().GetResources().GetLinux(); !proto.Equal(got, asked) {
		t.Errorf("after update, status tells of limits %v, want %v", got, asked)
	}
	if got := c.exec("cat /sys/fs/cgroup/memory.max"); got != "83886080" {
		t.Errorf("memory limit after update: %s", got)
	}
}
