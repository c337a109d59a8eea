//go:build linux

package agenttest

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/client"
)

func itoa(n int) string { return strconv.Itoa(n) }

func testOOM(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("oom", "exec dd if=/dev/zero of=/dev/null bs=64M count=1")
	var spec specs.Spec
	must(t, json.Unmarshal(req.Spec, &spec))
	limit := int64(16 << 20)
	spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	req.Spec, _ = json.Marshal(&spec)
	_, errs, exit := Run(t, c, req)
	if !exit.OomKilled || exit.Code != 137 {
		t.Errorf("exit %v, stderr %q", exit, errs)
	}
}

func testPIDModes(t *testing.T, _ *Machine, c *client.Client) {
	for i, name := range []string{"a", "b"} {
		req := Request(name, "echo up; sleep 100"+itoa(i))
		req.PidMode = api.PIDMode_PID_MODE_POD
		Start(t, c, req)
		waitOutput(t, c, name, "up\n")
	}
	defer Delete(t, c, "b")
	target := Request("target", "ps")
	target.PidMode, target.PidTarget = api.PIDMode_PID_MODE_TARGET, "a"
	out, errs, _ := Run(t, c, target)
	if !strings.Contains(out, "sleep 1000") || !strings.Contains(out, "sleep 1001") || !strings.Contains(out, "pause") {
		t.Errorf("the pod's processes: %q, %q", out, errs)
	}
	Delete(t, c, "a")
	own := Request("own", "echo $$")
	if out, _, _ := Run(t, c, own); out != "1\n" {
		t.Errorf("PID in a namespace of its own: %q", out)
	}
}

func testMounts(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("w", `id -u > /vol/f; cat /copy/sub/file; stty -F /dev/null 2>/dev/null; cat /etc/resolv.conf; head -n1 /etc/hosts; echo x > /ro/f; touch /shm/x /mem/x && ls /outside/deeper`)
	req.Mounts = []*api.Mount{
		{Destination: "/outside/deeper", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "vols/b"}}},
		{Destination: "/outside", Source: &api.Mount_Tmpfs{Tmpfs: &api.TmpfsSource{SizeBytes: 1 << 20}}},
		{Destination: "/vol", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "vols/a", Mode: 0o777}}},
		{Destination: "/ro", ReadOnly: true, RecursiveReadOnly: true, Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "vols/a"}}},
		{Destination: "/copy", Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "img", CopyUpFrom: "/data"}}},
		{Destination: "/mem", Source: &api.Mount_Tmpfs{Tmpfs: &api.TmpfsSource{Name: "mem", SizeBytes: 1 << 20}}},
		{Destination: "/etc/resolv.conf", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_RESOLV_CONF}},
		{Destination: "/etc/hosts", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_HOSTS}},
		{Destination: "/shm", Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_SHM}},
	}
	out, errs, exit := Run(t, c, req)
	want := "from the image\nsearch example.test\nnameserver 192.0.2.53\n127.0.0.1\tlocalhost\n"
	if out != want || exit.Code != 0 || !strings.Contains(errs, "Read-only") {
		t.Errorf("stdout %q, stderr %q, exit %v", out, errs, exit)
	}
	again := Request("r", "cat /vol/f; ls /mem")
	again.Mounts = []*api.Mount{req.Mounts[2], req.Mounts[5]}
	if out, _, _ := Run(t, c, again); out != "0\nx\n" {
		t.Errorf("a second container sees %q", out)
	}
	escape := Request("esc", "true")
	escape.Mounts = []*api.Mount{{Destination: "/x", Source: &api.Mount_Disk{Disk: &api.DiskSource{
		Disk: &api.DiskAddress{Lun: topLUN}, FsType: "ext4", Subpath: "escape/run/paddock",
	}}, ReadOnly: true}}
	if _, err := c.CreateContainer(Context(t), escape); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a subpath through a link out of the volume: %v", err)
	}
}

func testDisks(t *testing.T, _ *Machine, c *client.Client) {
	disk := Request("disk", "cat /x; wc -c < /dev/raw")
	disk.Mounts = []*api.Mount{
		{Destination: "/x", ReadOnly: true, Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: &api.DiskAddress{Lun: baseLUN}, FsType: "ext4", Subpath: "etc/layer"}}},
		{Destination: "/dev/raw", ReadOnly: true, Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: &api.DiskAddress{Lun: baseLUN}, Block: true}}},
	}
	if out, errs, _ := Run(t, c, disk); out != "base\n16777216\n" {
		t.Errorf("a disk's file and the disk itself: %q, %q", out, errs)
	}
}

// testImageVolumes mounts the image of the container, and parts of it, into it.
func testImageVolumes(t *testing.T, _ *Machine, c *client.Client) {
	image := func(destination, subpath string, luns ...uint32) *api.Mount {
		source := &api.ImageSource{Subpath: subpath}
		for _, lun := range luns {
			source.Layers = append(source.Layers, &api.Layer{Disk: &api.DiskAddress{Lun: lun}, FsType: "ext4"})
		}
		return &api.Mount{Destination: destination, ReadOnly: true, Source: &api.Mount_Image{Image: source}}
	}
	req := Request("iv", `cat /all/etc/layer /one/etc/layer; ls /sub; ls /all; /all/bin/busybox echo runs; /one/bin/busybox echo wrong; touch /all/x /sub/x; mount -o remount,rw /all`)
	req.Spec = bytes.ReplaceAll(req.Spec, []byte(`"CAP_CHOWN"`), []byte(`"CAP_CHOWN","CAP_SYS_ADMIN"`))
	req.Mounts = []*api.Mount{
		image("/all", "", baseLUN, topLUN), image("/one", "", baseLUN),
		image("/sub", "escape/data/sub", baseLUN, topLUN), // a link to the root means the image's
	}
	req.Mounts[1].Options = []string{"noexec"}
	out, errs, exit := Run(t, c, req)
	want := "top\nbase\nfile\nbin\ndata\ndev\nescape\netc\nhome\nproc\nroot\nsys\ntmp\nruns\n"
	if out != want || exit.Code == 0 || strings.Count(errs, "Read-only") != 3 || !strings.Contains(errs, "/one/bin/busybox: Permission denied") {
		t.Errorf("stdout %q, stderr %q, exit %v", out, errs, exit)
	}
	for _, bad := range []struct {
		mount *api.Mount
		code  codes.Code
		text  string
	}{
		{image("/x", "no/such", baseLUN), codes.InvalidArgument, `mount /x: the image has no folder "no/such": no such file`},
		{image("/x", "data/sub/file", baseLUN), codes.InvalidArgument, "not a directory"},
		{image("/x", "escape/../../run/paddock", baseLUN, topLUN), codes.InvalidArgument, "no such file"},
		{image("/x", ""), codes.InvalidArgument, "0 layers"},
	} {
		req := Request("iv-bad", "true")
		req.Mounts = []*api.Mount{bad.mount}
		_, err := c.CreateContainer(Context(t), req)
		if status.Code(err) != bad.code || !strings.Contains(err.Error(), bad.text) {
			t.Errorf("%v: %v", bad.mount, err)
		}
		_, ofVolume := firstDetail(err).(*api.ImageVolumeError)
		if want := len(bad.mount.GetImage().Layers) > 0; ofVolume != want {
			t.Errorf("%v: marked as an image volume's error: %t, want %t", bad.mount, ofVolume, want)
		}
	}
}

// firstDetail is the first detail of an error's status; nil if it has none.
func firstDetail(err error) any {
	for _, d := range status.Convert(err).Details() {
		return d
	}
	return nil
}

func testNetwork(t *testing.T, _ *Machine, c *client.Client) {
	out, errs, _ := Run(t, c, Request("net", `cd /sys/class/net/eth0; cat address mtu operstate; cat /proc/net/route | grep -c eth0; grep eth0 /proc/net/if_inet6; tail -n 2 /etc/hosts; grep -c eth0 /proc/net/ipv6_route`))
	lines := strings.Split(out, "\n")
	if len(lines) < 5 || strings.Join(lines[:4], " ") != "52:54:00:00:00:02 1400 up 3" || !strings.Contains(out, "fd000088000000000000000000000003 02 40 00 82") {
		t.Errorf("network: %q, %q", out, errs)
	}
	resp, err := c.Stats(Context(t), &api.StatsRequest{Pod: true})
	if err != nil || len(resp.Pod.Interfaces) != 1 || resp.Pod.Interfaces[0].Name != "eth0" {
		t.Errorf("interfaces: %v, %v", resp, err)
	}
}

func testPortForward(t *testing.T, _ *Machine, c *client.Client) {
	Start(t, c, Request("srv", "echo up; nc -l -p 8080 -e cat"))
	defer Delete(t, c, "srv")
	waitOutput(t, c, "srv", "up\n")
	ctx := Context(t)
	conn, err := c.OpenPort(ctx, 8080)
	for status.Code(err) == codes.Unavailable && c.Err() == nil && !ended(t, c, "srv") {
		conn, err = c.OpenPort(ctx, 8080) // nc says nothing when it listens
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("ping"))
	conn.(channel.CloseWriter).CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "ping" || err != nil {
		t.Errorf("echo %q, %v", got, err)
	}
	if _, err := c.OpenPort(Context(t), 9); status.Code(err) != codes.Unavailable {
		t.Errorf("a port without a listener: %v", err)
	}
}

func testStats(t *testing.T, _ *Machine, c *client.Client) {
	Start(t, c, Request("st", "dd if=/dev/zero of=/big bs=1024 count=2048 2>/dev/null; sync; echo up; sleep 1000"))
	defer Delete(t, c, "st")
	waitOutput(t, c, "st", "up\n")
	limit := int64(64 << 20)
	raw, _ := json.Marshal(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})
	if _, err := c.UpdateContainer(Context(t), &api.UpdateContainerRequest{Id: "st", Resources: raw}); err != nil {
		t.Errorf("update: %v", err)
	}
	resp, err := c.Stats(Context(t), &api.StatsRequest{ContainerIds: []string{"st"}, Pod: true, Details: true})
	if err != nil {
		t.Fatal(err)
	}
	s, p := resp.Containers[0], resp.Pod
	if s.Cpu.UsageNanos == 0 || s.Memory.UsageBytes == 0 || s.Memory.LimitBytes != 64<<20 || s.WritableLayer.UsedBytes < 2<<20 || s.Pids == 0 {
		t.Errorf("container: %v", s)
	}
	if m := s.Memory; m.PeakBytes < m.UsageBytes || m.KernelBytes == 0 || m.PageFaults == 0 {
		t.Errorf("memory: %v", m)
	}
	if s.Processes == 0 || s.FileDescriptors < 3 || s.OpenFilesLimit == 0 {
		t.Errorf("counted: %v", s)
	}
	if written := deviceWrites(s.Io); written < 2<<20 {
		t.Errorf("written %d bytes: %v", written, s.Io)
	}
	if s.Cpu.Pressure.GetSome() == nil || s.Memory.Pressure.GetFull() == nil || s.Io.Pressure.GetSome() == nil {
		t.Errorf("pressure: %v", s)
	}
	if p.Cpu.UsageNanos < s.Cpu.UsageNanos || p.Scratch.CapacityBytes == 0 || p.Processes == 0 || p.Memory.Pressure == nil || deviceWrites(p.Io) < 2<<20 {
		t.Errorf("pod: %v", p)
	}
}

func deviceWrites(io *api.IOStats) (sum uint64) {
	for _, d := range io.GetDevices() {
		sum += d.WriteBytes
	}
	return sum
}

func testLimits(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("lim", "head -c 16000000 /dev/zero > /held/x; echo up; sleep 1000")
	req.Mounts = []*api.Mount{{Destination: "/held", Source: &api.Mount_Tmpfs{Tmpfs: &api.TmpfsSource{SizeBytes: 32 << 20}}}}
	Start(t, c, req)
	defer Delete(t, c, "lim")
	waitOutput(t, c, "lim", "up\n")
	limits := func(memory, quota int64) []byte {
		raw, _ := json.Marshal(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}, CPU: &specs.LinuxCPU{Quota: &quota}})
		return raw
	}
	if _, err := c.UpdateContainer(Context(t), &api.UpdateContainerRequest{Id: "lim", Resources: limits(8<<20, 20000)}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a limit below the use: %v", err)
	}
	for range 2 {
		answer, err := c.UpdateSandbox(Context(t), &api.UpdateSandboxRequest{Resources: limits(128<<20, 150000), Cpus: 1})
		if err != nil || answer.Cpus != 1 {
			t.Errorf("limits of the pod: %v, %v", answer, err)
		}
	}
	resp, err := c.Stats(Context(t), &api.StatsRequest{Pod: true})
	if err != nil || resp.Pod.Memory.LimitBytes != 128<<20 {
		t.Errorf("pod: %v, %v", resp, err)
	}
	if _, err := c.UpdateSandbox(Context(t), &api.UpdateSandboxRequest{Resources: limits(1<<20, 0)}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a limit below the pod's use: %v", err)
	}
	if _, err := c.UpdateSandbox(Context(t), &api.UpdateSandboxRequest{Resources: []byte("{")}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := c.UpdateSandbox(Context(t), &api.UpdateSandboxRequest{Resources: []byte("{}")}); err != nil {
		t.Errorf("limits taken away: %v", err)
	}
}

func ended(t *testing.T, c *client.Client, id string) bool {
	t.Helper()
	list, err := c.ListContainers(Context(t), &api.ListContainersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range list.Containers {
		if state.Id == id && state.State == api.ProcessState_PROCESS_STATE_ENDED {
			t.Errorf("%s ended: %s", id, Output(t, c, id, "", api.Stdio_STDIO_STDERR))
			return true
		}
	}
	return false
}
