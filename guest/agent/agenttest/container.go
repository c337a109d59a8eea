//go:build linux

package agenttest

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
)

// Request is a container of the test image that runs a shell script.
func Request(id, script string) *api.CreateContainerRequest {
	return &api.CreateContainerRequest{
		Id: id, Spec: Spec("/bin/sh", "-c", script),
		Layers: []*api.Layer{
			{Disk: &api.DiskAddress{Lun: baseLUN}, FsType: "ext4"},
			{Disk: &api.DiskAddress{Lun: topLUN}, FsType: "ext4"},
		},
	}
}

// Spec is an OCI specification as the host sends it.
func Spec(args ...string) []byte {
	caps := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"}
	raw, err := json.Marshal(&specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			Args: args, Cwd: "/", Env: []string{"PATH=/bin"},
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{Resources: &specs.LinuxResources{}},
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// Start creates and starts a container.
func Start(t testing.TB, c *client.Client, req *api.CreateContainerRequest) {
	t.Helper()
	if _, err := c.CreateContainer(Context(t), req); err != nil {
		t.Fatalf("create %s: %v", req.Id, err)
	}
	if _, err := c.StartContainer(Context(t), &api.StartContainerRequest{Id: req.Id}); err != nil {
		t.Fatalf("start %s: %v", req.Id, err)
	}
}

// Wait waits for a process's end.
func Wait(t testing.TB, c *client.Client, id, exec string) *api.Exit {
	t.Helper()
	resp, err := c.WaitProcess(Context(t), &api.WaitProcessRequest{ContainerId: id, ExecId: exec})
	if err != nil {
		t.Fatalf("wait for %s %s: %v", id, exec, err)
	}
	return resp.Exit
}

// Output reads a stream of a process to its end.
func Output(t testing.TB, c *client.Client, id, exec string, which api.Stdio) string {
	t.Helper()
	r, err := c.OpenOutput(Context(t), &api.StdioStream{ContainerId: id, ExecId: exec, Stdio: which})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read output of %s %s: %v", id, exec, err)
	}
	return string(out)
}

// Run runs a container to its end and tells what it wrote.
func Run(t testing.TB, c *client.Client, req *api.CreateContainerRequest) (stdout, stderr string, exit *api.Exit) {
	t.Helper()
	Start(t, c, req)
	defer Delete(t, c, req.Id)
	exit = Wait(t, c, req.Id, "")
	return Output(t, c, req.Id, "", api.Stdio_STDIO_STDOUT), Output(t, c, req.Id, "", api.Stdio_STDIO_STDERR), exit
}

// Delete deletes a container.
func Delete(t testing.TB, c *client.Client, id string) {
	t.Helper()
	if _, err := c.DeleteContainer(Context(t), &api.DeleteContainerRequest{Id: id}); err != nil {
		t.Errorf("delete %s: %v", id, err)
	}
}
