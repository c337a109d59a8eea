//go:build linux

package agenttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
)

const (
	userBase = 65536
	userSize = 65536
)

// TestUserNamespace drives the VM of a pod with a user namespace.
func TestUserNamespace(t *testing.T) {
	conf := configuration()
	conf.UserNamespace = &api.IDRange{Host: userBase, Size: userSize}
	conf.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "99", "kernel.shm_rmid_forced": "1"}
	m, c := configured(t, conf)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *client.Client)
	}{
		{"root file system", testMappedRootfs},
		{"file systems of the kernel", testMappedKernel},
		{"rights", testMappedRights},
		{"volumes", testMappedVolumes},
		{"privileged", testMappedPrivileged},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, c) })
	}
	// What must be as without a user namespace.
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Machine, *client.Client)
	}{
		{"users", testUsers}, {"exec", testExec}, {"terminal", testTerminal}, {"stdin", testStdin},
		{"signals", testSignals}, {"oom", testOOM}, {"pid modes", testPIDModes}, {"mounts", testMounts}, {"disks", testDisks},
		{"network", testNetwork}, {"port forward", testPortForward}, {"stats and update", testStats},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, m, c) })
	}
	if _, err := c.ConfigureSandbox(Context(t), conf); err != nil {
		t.Errorf("the same configuration again: %v", err)
	}
	conf.UserNamespace.Host++
	if _, err := c.ConfigureSandbox(Context(t), conf); err == nil {
		t.Error("another mapping was accepted")
	}
}

// mapped runs a script to its end; its output has to be what is wanted.
func mapped(t *testing.T, c *client.Client, req *api.CreateContainerRequest, want string) {
	t.Helper()
	out, errs, exit := Run(t, c, req)
	if out != want || exit.Code != 0 {
		t.Errorf("%s: stdout %q, want %q; stderr %q, exit %v", req.Id, out, want, errs, exit)
	}
}

func testMappedRootfs(t *testing.T, c *client.Client) {
	mapped(t, c, Request("map", "cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups"),
		strings.Repeat(fmt.Sprintf("%10d %10d %10d\n", 0, userBase, userSize), 2)+"allow\n")
	mapped(t, c, Request("own", `id -u; stat -c %u:%g / /etc /etc/layer /bin/busybox /tmp
		echo more >> /etc/layer && cat /etc/layer; touch /new; rm /data/sub/file; mkdir /data/mine
		stat -c %u:%g /new /etc/layer /data/mine; ls -A /data/sub; echo out > /dev/stdout; ls -d /lost+found 2>/dev/null || true`),
		"0\n0:0\n0:0\n0:0\n0:0\n0:0\ntop\nmore\n0:0\n0:0\n0:0\nout\n")
	// The same layers again: the change above was the other container's own.
	mapped(t, c, Request("again", "cat /etc/layer /data/sub/file"), "top\nfrom the image\n")
	ro := Request("ro", "touch /x 2>&1; stat -c %u /")
	ro.ReadOnlyRootfs = true
	mapped(t, c, ro, "touch: /x: Read-only file system\n0\n")
}

func testMappedKernel(t *testing.T, c *client.Client) {
	req := Request("fs", `stat -c '%n %u:%g' /dev /dev/pts /shm /dev/mqueue /proc /sys
		echo x > /dev/null && echo x > /shm/x && dd if=/dev/zero of=/dev/full bs=1 count=1 2>&1 | grep -c 'No space'
		stat -c %u /etc/resolv.conf /etc/hosts /shm/x; echo '10.0.0.9 added' >> /etc/hosts && tail -n 1 /etc/hosts
		ls /sys/class/net; ls /sys/fs/cgroup | grep -c cgroup.procs; ls -d /proc/sys/kernel
		ls /sys/kernel | wc -l; wc -c < /proc/kcore; (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null || echo read-only; cat /proc/self/oom_score_adj`)
	var spec specs.Spec
	must(t, json.Unmarshal(req.Spec, &spec))
	spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = []string{"/proc/kcore", "/sys/kernel", "/no/such"}, []string{"/proc/sys", "/proc/bus"}
	adj := -997
	spec.Process.OOMScoreAdj = &adj
	req.Spec, _ = json.Marshal(&spec)
	req.Mounts = []*api.Mount{
		{Destination: "/etc/resolv.conf", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_RESOLV_CONF}},
		{Destination: "/etc/hosts", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_HOSTS}},
		{Destination: "/shm", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_SHM}},
	}
	mapped(t, c, req, `/dev 0:0
/dev/pts 0:0
/shm 0:0
/dev/mqueue 0:0
/proc 65534:65534
/sys 65534:65534
1
0
0
0
10.0.0.9 added
eth0
lo
1
/proc/sys/kernel
0
0
read-only
-997
`)
}

// testMappedRights: root is root over what is the pod's, and over nothing else of the VM.
func testMappedRights(t *testing.T, c *client.Client) {
	req := Request("rights", `cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced
		echo 98 > /proc/sys/net/ipv4/ip_unprivileged_port_start && cat /proc/sys/net/ipv4/ip_unprivileged_port_start
		ip addr add 10.1.2.3/32 dev lo && ip addr show lo | grep -c 10.1.2.3
		hostname other && hostname; hostname pod
		touch /tmp/f && chown 1000:65535 /tmp/f && stat -c %u:%g /tmp/f
		chown 65536 /tmp/f 2>&1; (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused; mknod /tmp/null c 1 3 2>&1
		echo $(cat /proc/1/root/etc/layer)`)
	req.Spec = bytes.ReplaceAll(req.Spec, []byte(`"CAP_CHOWN"`), []byte(`"CAP_CHOWN","CAP_NET_ADMIN","CAP_SYS_ADMIN","CAP_MKNOD"`))
	out, errs, _ := Run(t, c, req)
	want := "99\n1\n98\n1\nother\n1000:65535\nchown: /tmp/f: Invalid argument\nrefused\nmknod: /tmp/null: Operation not permitted\ntop\n"
	if out != want {
		t.Errorf("stdout %q, want %q; stderr %q", out, want, errs)
	}
}

// testMappedVolumes: a volume's owner is given by the VM's ids and seen by the container's.
func testMappedVolumes(t *testing.T, c *client.Client) {
	req := Request("vols", `stat -c '%n %u:%g %a' /empty /mem /raw /image; touch /empty/f /mem/f && stat -c %u:%g /empty/f /mem/f
		touch /raw/f 2>&1; stat -c %u:%g /image/sub/file; cat /image/sub/file /disk/etc/layer; stat -c %u:%g /disk/etc/layer
		echo x > /slave/f && echo x > /shared/f && grep -c -e ' /slave .* master:' -e ' /shared .* shared:' /proc/self/mountinfo`)
	scratch := func(name string, id uint32, from string) *api.Mount_Scratch {
		return &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: name, Mode: 0o750, Uid: id, Gid: id + 5, CopyUpFrom: from}}
	}
	req.Mounts = []*api.Mount{
		{Destination: "/empty", Source: scratch("emptydir/a", userBase, "")},
		{Destination: "/raw", Source: scratch("emptydir/b", 0, "")},
		{Destination: "/image", Source: scratch("image", userBase, "/data")},
		{Destination: "/mem", Source: &api.Mount_Tmpfs{Tmpfs: &api.TmpfsSource{Name: "mapped", Mode: 0o2770, Uid: userBase, Gid: userBase + 7}}},
		{Destination: "/slave", Propagation: api.Propagation_PROPAGATION_RSLAVE, Source: scratch("emptydir/c", userBase, "")},
		{Destination: "/shared", Propagation: api.Propagation_PROPAGATION_RSHARED, Source: scratch("emptydir/d", userBase, "")},
		{Destination: "/disk", ReadOnly: true, Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: &api.DiskAddress{Lun: topLUN}, FsType: "ext4"}}},
	}
	mapped(t, c, req, `/empty 0:5 750
/mem 0:7 2770
/raw 65534:65534 750
/image 0:5 750
0:0
0:7
touch: /raw/f: Permission denied
0:0
from the image
top
0:0
2
`)
}

// testMappedPrivileged: a privileged container has all rights over what is the pod's.
func testMappedPrivileged(t *testing.T, c *client.Client) {
	req := Request("priv", `mkdir /sys/fs/cgroup/mine && echo $$ > /sys/fs/cgroup/mine/cgroup.procs && cat /proc/self/cgroup
		mount -t tmpfs none /tmp && echo mounted; stat -c '%a %u %t:%T' /dev/kmsg /dev/fuse
		ls /proc/1/root/ | wc -l; (echo x > /sys/kernel/mm/ksm/run) 2>/dev/null || echo refused`)
	req.PidMode = api.PIDMode_PID_MODE_POD
	var spec specs.Spec
	must(t, json.Unmarshal(req.Spec, &spec))
	all := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_ADMIN",
		"CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_LINUX_IMMUTABLE",
		"CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PACCT", "CAP_SYS_BOOT",
		"CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
		"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
		"CAP_CHECKPOINT_RESTORE", "CAP_DAC_READ_SEARCH"}
	spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	for i, m := range spec.Mounts {
		if strings.HasPrefix(m.Destination, "/sys") {
			spec.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "rw"}
		}
	}
	mode, root := os.FileMode(0o666), uint32(0)
	for path, minor := range map[string][2]int64{"/dev/kmsg": {1, 11}, "/dev/fuse": {10, 229}} {
		spec.Linux.Devices = append(spec.Linux.Devices, specs.LinuxDevice{Path: path, Type: "c", Major: minor[0], Minor: minor[1], FileMode: &mode, UID: &root, GID: &root})
	}
	req.Spec, _ = json.Marshal(&spec)
	mapped(t, c, req, "0::/mine\nmounted\n666 0 1:b\n666 0 a:e5\n0\nrefused\n")
}
