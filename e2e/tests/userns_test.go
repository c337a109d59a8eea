package tests

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// userBase is the host id of a mapped container's root, as kubelet picks them.
const userBase = 65536 * 3

func userMapping() []*runtimeapi.IDMapping {
	return []*runtimeapi.IDMapping{{HostId: userBase, Length: 65536}}
}

func userNamespaces() *runtimeapi.NamespaceOption {
	return &runtimeapi.NamespaceOption{
		Pid:           runtimeapi.NamespaceMode_CONTAINER,
		UsernsOptions: &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_POD, Uids: userMapping(), Gids: userMapping()},
	}
}

// runMappedPod starts a pod with a user namespace.
func runMappedPod(t *testing.T) *pod {
	return runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Linux.SecurityContext.NamespaceOptions = userNamespaces()
	})
}

// mapped makes a container one of such a pod, with mounts that are mapped as kubelet has them.
func mapped(mounts ...*runtimeapi.Mount) func(*runtimeapi.ContainerConfig) {
	return func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.SecurityContext.NamespaceOptions = userNamespaces()
		for _, m := range mounts {
			m.UidMappings, m.GidMappings = userMapping(), userMapping()
			cfg.Mounts = append(cfg.Mounts, m)
		}
	}
}

func wantOwner(t *testing.T, path string, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
		t.Errorf("%s is of %d:%d on the host, want %d:%d", path, st.Uid, st.Gid, uid, gid)
	}
}

func wantSaid(t *testing.T, c *container, script, want string) {
	t.Helper()
	if got := c.exec(script); got != want {
		t.Errorf("%s: %q, want %q", script, got, want)
	}
}

// TestUserNamespace: root in the pod is nobody in the pod's kernel, and the
// files of its volumes belong to whom they belong on the host.
func TestUserNamespace(t *testing.T) {
	dir := hostDir(t, map[string]string{"from-host": "hello\n", "others": "x\n", "termination": ""})
	if err := os.Chown(filepath.Join(dir, "others"), 70000, 70000); err != nil {
		t.Fatal(err)
	}
	secret := hostDir(t, map[string]string{"..1/token": "secret\n"})
	for link, target := range map[string]string{"..data": "..1", "token": "..data/token"} {
		if err := os.Symlink(target, filepath.Join(secret, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(secret, "..1/token"), 0o400); err != nil {
		t.Fatal(err)
	}
	empty := emptyDir(t, hostDir(t, nil), "cache", 0o755)
	raw := hostDir(t, nil)
	p := runMappedPod(t)
	volumes := func(cfg *runtimeapi.ContainerConfig) {
		mapped(mount(dir, "/data", false), mount(secret, "/secret", true), mount(empty, "/cache", false),
			mount(filepath.Join(dir, "termination"), "/dev/termination-log", false))(cfg)
		cfg.Mounts = append(cfg.Mounts, mount(raw, "/raw", false))
	}
	c := p.run("main", "cat /proc/self/uid_map; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done", volumes)
	c.waitForLog("line 5")
	wantSaid(t, c, "id -u; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' ' | uniq", "0\n 0 196608 65536")
	wantSaid(t, c, "stat -c %u:%g / /bin /etc/hosts /etc/resolv.conf /data /data/from-host /secret/token /cache | uniq", "0:0")
	wantSaid(t, c, "stat -c %u:%g /data/others /raw; cat /data/others /secret/token", "65534:65534\n65534:65534\nx\nsecret")
	c.exec("echo from pod > /data/root && echo x > /data/user && chown 1000:2000 /data/user && mkdir /data/d && echo done > /dev/termination-log && echo x > /cache/f && touch /new && rm /bin/nc")
	wantOwner(t, filepath.Join(dir, "root"), 0, 0)
	wantOwner(t, filepath.Join(dir, "d"), 0, 0)
	wantOwner(t, filepath.Join(dir, "user"), 1000, 2000)
	if text, err := os.ReadFile(filepath.Join(dir, "termination")); string(text) != "done\n" {
		t.Errorf("termination log %q, %v", text, err)
	}
	for script, why := range map[string]string{
		"echo y > /data/others":            "Permission denied",
		"chown 70000 /data/user":           "Invalid argument",
		"echo y > /raw/f":                  "Permission denied",
		"echo y > /secret/new":             "Read-only file system",
		"echo 1 > /proc/sys/vm/swappiness": "Permission denied",
	} {
		if resp := c.execSync(script); resp.GetExitCode() == 0 || !strings.Contains(string(resp.GetStderr()), why) {
			t.Errorf("%s: exit code %d, %s, want %s", script, resp.GetExitCode(), resp.GetStderr(), why)
		}
	}

	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	restart(t)
	seen := checkNumbered(t, "line ", c.logFile())
	eventually(t, "the log goes on", func() bool { return checkNumbered(t, "line ", c.logFile()) > seen+5 })
	wantSaid(t, c, "id -u; echo x > /data/later && stat -c %u /data/later", "0\n0")
	wantOwner(t, filepath.Join(dir, "later"), 0, 0)
	user := p.run("user", "echo $(id -u) $(id -g) $(id -G) > /dev/stdout; exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		volumes(cfg)
		sc := cfg.Linux.SecurityContext
		sc.RunAsUser, sc.RunAsGroup = &runtimeapi.Int64Value{Value: 1000}, &runtimeapi.Int64Value{Value: 2000}
		sc.SupplementalGroups, sc.SupplementalGroupsPolicy = []int64{4000}, runtimeapi.SupplementalGroupsPolicy_Strict
	})
	user.waitForLog("1000 2000 2000 4000")
	wantSaid(t, user, "id -u; echo mine >> /data/user; cat /data/user /cache/f; cat /secret/token 2>/dev/null || echo closed", "1000\nx\nmine\nx\nclosed")
	if u := user.status().GetUser().GetLinux(); u.GetUid() != 1000 || u.GetGid() != 2000 {
		t.Errorf("the status's user is %v", u)
	}
}

// TestUserNamespaceOwnsThePod: root may administer the pod's network, which still leads out.
func TestUserNamespaceOwnsThePod(t *testing.T) {
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Linux.SecurityContext.NamespaceOptions = userNamespaces()
		cfg.Linux.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}
	})
	c := p.create(criclient.ContainerConfig("web", web), mapped())
	c.start()
	admin := p.run("admin", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		mapped()(cfg)
		cfg.Linux.SecurityContext.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"NET_ADMIN"}}
	})
	v4, _ := p.addresses()
	if got := get(t, "http://"+net.JoinHostPort(v4, "8080")); !strings.HasPrefix(got, "hello from") {
		t.Errorf("the pod answers %q", got)
	}
	wantSaid(t, admin, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname", "80\n"+p.config.GetHostname())
	wantSaid(t, admin, "ip addr add 10.99.0.1/32 dev lo && ip addr show lo | grep -c 10.99.0.1", "1")
	resp, err := env.client.Runtime.PodSandboxStats(t.Context(), &runtimeapi.PodSandboxStatsRequest{PodSandboxId: p.id})
	if err != nil || resp.GetStats().GetLinux().GetNetwork().GetDefaultInterface().GetRxBytes().GetValue() == 0 {
		t.Errorf("network statistics: %v, %v", resp, err)
	}
	_, err = env.client.Runtime.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId: p.id, Config: shell("other", "true"), SandboxConfig: p.config,
	})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a container without the pod's user namespace: %v", err)
	}
}
