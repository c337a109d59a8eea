package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/criclient"
)

// wcow is the handler of Windows pods.
const wcow = "wcow"

var pulledForWindows = map[string]bool{}

// ensureWindowsImage pulls an image for Windows pods once.
func ensureWindowsImage(t *testing.T, ref string) {
	t.Helper()
	if pulledForWindows[ref] {
		return
	}
	if err := pullFor(t, ref, wcow); err != nil {
		t.Fatalf("pull %s for Windows: %v", ref, err)
	}
	pulledForWindows[ref] = true
}

func pullFor(t *testing.T, ref, handler string) error {
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	_, err := env.client.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref, RuntimeHandler: handler}})
	return err
}

// windowsContainer is a container's configuration as a Windows pod has it.
func windowsContainer(name, image string, command ...string) *runtimeapi.ContainerConfig {
	cfg := criclient.ContainerConfig(name, image, command...)
	cfg.Linux, cfg.Windows = nil, &runtimeapi.WindowsContainerConfig{}
	return cfg
}

// runWindows creates and starts a container of winprobe.
func (p *pod) runWindows(name string, change func(*runtimeapi.ContainerConfig), command ...string) *container {
	p.t.Helper()
	c := p.create(windowsContainer(name, winprobe, command...), change)
	c.start()
	return c
}

// execWindows runs a command in a Windows container.
func (c *container) execWindows(cmd ...string) *runtimeapi.ExecSyncResponse {
	c.pod.t.Helper()
	resp, err := env.client.Runtime.ExecSync(c.pod.t.Context(), &runtimeapi.ExecSyncRequest{
		ContainerId: c.id, Cmd: cmd, Timeout: int64(stepTimeout.Seconds()),
	})
	if err != nil {
		c.pod.t.Fatalf("%v: %v", cmd, err)
	}
	return resp
}

// log is the container's log as it is.
func (c *container) log() string {
	c.pod.t.Helper()
	b, err := os.ReadFile(c.logFile())
	if err != nil {
		c.pod.t.Fatal(err)
	}
	return string(b)
}

// winReport is what cmd/winprobe tells.
type winReport struct {
	OS, Dir, Hostname, User string
	Args, Drive             []string
	Env                     map[string]string
}

func readWinReport(t *testing.T, text string) (r winReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("report %q: %v", text, err)
	}
	return r
}

// windowsVolumes are a folder and a file of the node, mounted as kubelet does.
func windowsVolumes(t *testing.T) (dir string, mounts []*runtimeapi.Mount) {
	t.Helper()
	dir, err := os.MkdirTemp(env.root, "volume-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Data/Hello.txt": "hello from the node", "secrets/token": "the token", "hosts": "127.0.0.1 localhost\n192.0.2.7 alias.test\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []*runtimeapi.Mount{
		{ContainerPath: `c:\app\Data`, HostPath: filepath.Join(dir, "Data")},
		{ContainerPath: `C:\var\run\secrets\kubernetes.io\serviceaccount`, HostPath: filepath.Join(dir, "secrets"), Readonly: true},
		{ContainerPath: `/etc/hosts`, HostPath: filepath.Join(dir, "hosts")}, // a Linux node's kubelet has it here
	}
}

// TestWindowsPod looks at one Windows pod from all sides. Its parts share it, for Windows starts slowly here.
func TestWindowsPod(t *testing.T) {
	p := runPodBy(t, wcow, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Windows, cfg.Linux = &runtimeapi.WindowsPodSandboxConfig{}, nil
		cfg.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{gateway().String()}, Searches: []string{"zone.test"}}
	})
	serveNames(t, "served.zone.test", netip.MustParseAddr("192.0.2.88"))
	volume, mounts := windowsVolumes(t)
	c := p.runWindows("main", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = mounts
		cfg.Envs = []*runtimeapi.KeyValue{{Key: "from_pod", Value: "yes"}, {Key: "temp", Value: `C:\Windows\Temp`}}
		cfg.Windows.Resources = &runtimeapi.WindowsContainerResources{MemoryLimitInBytes: 400 << 20, CpuMaximum: 10000}
	})
	c.waitForLog("serving")
	v4, v6 := p.addresses()
	base := "http://" + net.JoinHostPort(v4, "8080")

	t.Run("what a process sees", func(t *testing.T) {
		r := readWinReport(t, get(t, base+"/report"))
		want := map[string]string{
			"FROM_IMAGE": "yes", "FROM_POD": "yes", "TEMP": `C:\Windows\Temp`, "TMP": `C:\Users\ContainerAdministrator\AppData\Local\Temp`,
			"COMPUTERNAME": "TESTWINDOWSPOD", "OS": "Windows_NT", "USERNAME": "ContainerAdministrator", "SYSTEMDRIVE": "C:",
		}
		for name, value := range want {
			if r.Env[name] != value {
				t.Errorf("%s is %q, want %q", name, r.Env[name], value)
			}
		}
		if !strings.EqualFold(r.Env["SYSTEMROOT"], `C:\Windows`) || !strings.Contains(r.Env["PATH"], `C:\Windows\system32`) {
			t.Errorf("SystemRoot %q, Path %q", r.Env["SYSTEMROOT"], r.Env["PATH"])
		}
		if r.OS != "windows" || r.Dir != `C:\App` || r.Hostname != "testwindowspod" || r.User != `TESTWINDOWSPOD\ContainerAdministrator` {
			t.Errorf("%+v", r)
		}
		if !slices.Contains(r.Drive, "App") || !slices.Contains(r.Drive, "License.txt") || slices.Contains(r.Drive, "Hives") {
			t.Errorf("drive C: has %v", r.Drive)
		}
	})
	t.Run("network", func(t *testing.T) {
		if got := get(t, "http://"+net.JoinHostPort(v6, "8080")+"/report"); !strings.Contains(got, "testwindowspod") {
			t.Errorf("by IPv6: %q", got)
		}
		for name, want := range map[string]string{
			"alias.test": "[192.0.2.7]", "localhost": "127.0.0.1", // in the hosts file
			"served.zone.test": "[192.0.2.88]", "served": "[192.0.2.88]", // by DNS, and by its search list
			"nosuch.zone.test": "no such host",
		} {
			if got := get(t, base+"/lookup?name="+name); !strings.Contains(got, want) {
				t.Errorf("look-up of %s: %q, want %s", name, got, want)
			}
		}
		if got := forwarded(t, p, 8080, "/report"); !strings.Contains(got, "testwindowspod") {
			t.Errorf("through port-forward: %q", got)
		}
	})
	t.Run("volumes", func(t *testing.T) {
		read := func(path string) string { return get(t, base+"/read?path="+url.QueryEscape(path)) }
		for path, want := range map[string]string{
			`C:\App\Data\Hello.txt`: "hello from the node", `c:/APP/data/HELLO.TXT`: "hello from the node",
			`C:\var\run\secrets\kubernetes.io\serviceaccount\token`: "the token",
			`C:\Windows\System32\drivers\etc\hosts`:                 "alias.test",
			`C:\License.txt`:                                        "as a base image has one\r\n",
		} {
			if got := read(path); !strings.Contains(got, want) {
				t.Errorf("%s reads %q, want %q", path, got, want)
			}
		}
		write := func(path string) string { return get(t, base+"/write?text=written&path="+url.QueryEscape(path)) }
		if got := write(`C:\App\Data\New.txt`); got != "" {
			t.Errorf("write to a volume: %s", got)
		}
		if b, err := os.ReadFile(filepath.Join(volume, "Data", "New.txt")); string(b) != "written" {
			t.Errorf("the node sees %q, %v", b, err)
		}
		if got := write(`C:\var\run\secrets\kubernetes.io\serviceaccount\token`); !strings.Contains(got, "error") {
			t.Error("a read-only volume was written to")
		}
		if got := write(`C:\ProgramData\state.txt`); got != "" || read(`C:\programdata\STATE.txt`) != "written" {
			t.Errorf("write to drive C: %s", got)
		}
	})
	t.Run("exec", func(t *testing.T) { testWindowsExec(t, c) })
	t.Run("terminal", func(t *testing.T) { testWindowsTerminal(t, c) })
	t.Run("statistics", func(t *testing.T) { testWindowsStats(t, p, c) })
	t.Run("stop", func(t *testing.T) {
		crictlOut(t, "stop", "--timeout", "50", c.id)
		if st := c.status(); st.GetExitCode() != 1000 || st.GetReason() != "Error" {
			t.Errorf("exit code %d, %s", st.GetExitCode(), st.GetReason())
		}
		if log := c.log(); !strings.Contains(log, "stdout F serving\r\n") || !strings.Contains(log, "stopping on terminated\r\n") {
			t.Errorf("log:\n%q", log)
		}
	})
	t.Run("other containers", func(t *testing.T) { testWindowsContainers(t, p) })
	t.Run("limits", func(t *testing.T) { testWindowsLimits(t, p) })
}

func testWindowsExec(t *testing.T, c *container) {
	args := []string{"a b", `q"uote`, `back\slash\`, `C:\Program Files\`, "", "ünïcode"}
	r := readWinReport(t, string(c.execWindows(append([]string{`C:\app\WINPROBE`, "report"}, args...)...).GetStdout()))
	if !slices.Equal(r.Args, args) || r.Env["FROM_POD"] != "yes" || r.Dir != `C:\App` {
		t.Errorf("arguments %q in %s, want %q", r.Args, r.Dir, args)
	}
	resp := c.execWindows("cmd", "/c", `echo %FROM_POD%& ver & (echo to stderr 1>&2) & exit 300`)
	if out := string(resp.GetStdout()); !strings.HasPrefix(out, "yes\r\n") || !strings.Contains(out, "Microsoft Windows 10.0.26100\r\n") ||
		!strings.Contains(string(resp.GetStderr()), "to stderr") || resp.GetExitCode() != 300 {
		t.Errorf("cmd.exe: code %d, %q, %q", resp.GetExitCode(), out, resp.GetStderr())
	}
	if err := crictlErr(t, "exec", "-s", c.id, "nosuch.exe"); !strings.Contains(err.Error(), "nosuch.exe") || !strings.Contains(err.Error(), "cannot find the file") {
		t.Errorf("a program that is not there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	payload := strings.Repeat("0123456789abcdef\r\n", 5000)
	cmd := env.cli.Command(ctx, "exec", "-i", c.id, "winprobe", "echo")
	cmd.Stdin = strings.NewReader(payload)
	if out, err := cmd.Output(); err != nil || string(out) != payload {
		t.Errorf("sent %d bytes, got %d, %v", len(payload), len(out), err)
	}
	threads := c.pod.threads()
	crictlErr(t, "exec", "-s", "--timeout", "20", c.id, "winprobe", "sleep", "child")
	eventually(t, "what timed out is gone, and its child", func() bool { return c.pod.threads() <= threads+2 })
}

// threads is how many processes and threads the pod has.
func (p *pod) threads() uint64 {
	p.t.Helper()
	resp, err := env.client.Runtime.PodSandboxStats(p.t.Context(), &runtimeapi.PodSandboxStatsRequest{PodSandboxId: p.id})
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.GetStats().GetWindows().GetProcess().GetProcessCount().GetValue()
}

func testWindowsTerminal(t *testing.T, c *container) {
	term := openTerminal(t, 30, 90)
	ctx, cancel := context.WithTimeout(t.Context(), 2*stepTimeout)
	defer cancel()
	cmd := env.cli.Command(ctx, "exec", "-i", "-t", c.id, "cmd.exe")
	term.run(t, cmd)
	term.waitFor(t, `C:\App>`)
	term.send(t, "set /a 40+2\r")
	term.waitFor(t, "42")
	term.send(t, "exit 0\r")
	if err := cmd.Wait(); err != nil {
		t.Errorf("crictl exec -it: %v\n%s", err, term.output())
	}
}

func testWindowsStats(t *testing.T, p *pod, c *container) {
	resp, err := env.client.Runtime.PodSandboxStats(t.Context(), &runtimeapi.PodSandboxStatsRequest{PodSandboxId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	w := resp.GetStats().GetWindows()
	if len(w.GetContainers()) != 1 || w.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 || w.GetMemory().GetWorkingSetBytes().GetValue() < 10<<20 ||
		w.GetNetwork().GetDefaultInterface().GetRxBytes().GetValue() == 0 {
		t.Errorf("Windows statistics: %v", w)
	}
	if r := c.status().GetResources().GetWindows(); r.GetMemoryLimitInBytes() != 400<<20 || r.GetCpuMaximum() != 10000 {
		t.Errorf("limits: %v", r)
	}
}

// testWindowsContainers runs containers that end in the ways there are.
func testWindowsContainers(t *testing.T, p *pod) {
	lines := p.runWindows("lines", nil, "winprobe", "lines")
	if st := lines.wait(); uint32(st.GetExitCode()) != 0xC0000005 || st.GetReason() != "Error" {
		t.Errorf("lines: exit code %#x, %s", uint32(st.GetExitCode()), st.GetReason())
	}
	lines.waitForLog("third")
	if log := lines.log(); !strings.Contains(log, "stdout F first\r\n") || !strings.Contains(log, "stderr F third\r\n") {
		t.Errorf("log:\n%q", log)
	}

	user := p.runWindows("user", func(cfg *runtimeapi.ContainerConfig) {
		cfg.StopSignal = runtimeapi.Signal_SIGINT
		cfg.Windows.SecurityContext = &runtimeapi.WindowsContainerSecurityContext{RunAsUsername: "ContainerUser"}
	})
	user.waitForLog("serving")
	v4, _ := p.addresses()
	base := "http://" + net.JoinHostPort(v4, "8080")
	r := readWinReport(t, get(t, base+"/report"))
	if r.User != `TESTWINDOWSPOD\ContainerUser` || r.Env["USERPROFILE"] != `C:\Users\ContainerUser` {
		t.Errorf("it runs as %s in %s", r.User, r.Env["USERPROFILE"])
	}
	for path, fails := range map[string]bool{r.Env["TEMP"] + `\mine.txt`: false, `C:\Windows\theirs.txt`: true} {
		if got := get(t, base+"/write?text=x&path="+url.QueryEscape(path)); strings.Contains(got, "error") != fails {
			t.Errorf("write to %s: %q", path, got)
		}
	}
	crictlOut(t, "stop", "--timeout", "50", user.id)
	user.waitForLog("stopping on interrupt")

	stubborn := p.runWindows("stubborn", nil, "winprobe", "stubborn")
	stubborn.waitForLog("sleeping")
	crictlOut(t, "stop", "--timeout", "1", stubborn.id)
	if st := stubborn.wait(); st.GetExitCode() != 137 {
		t.Errorf("killed after the grace period: exit code %d", st.GetExitCode())
	}

	absent := p.create(windowsContainer("absent", winprobe, "nosuch.exe"), nil)
	if err := crictlErr(t, "start", absent.id); !strings.Contains(err.Error(), "nosuch.exe") {
		t.Errorf("%v; want an error that names the program", err)
	}
	if st := absent.status(); st.GetState() != runtimeapi.ContainerState_CONTAINER_EXITED || st.GetReason() != "StartError" {
		t.Errorf("%v, %s", st.GetState(), st.GetReason())
	}
}

// testWindowsLimits: a container gets no more memory and processor time than it may have.
func testWindowsLimits(t *testing.T, p *pod) {
	hungry := p.runWindows("hungry", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Windows.Resources = &runtimeapi.WindowsContainerResources{MemoryLimitInBytes: 128 << 20}
	}, "winprobe", "eat")
	if st := hungry.wait(); st.GetReason() != "OOMKilled" || st.GetExitCode() == 0 {
		t.Errorf("beyond its memory: exit code %d, %s", st.GetExitCode(), st.GetReason())
	}
	half := int64(10000 / 2 / runtime.NumCPU()) // of one processor
	busy := p.runWindows("busy", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Windows.Resources = &runtimeapi.WindowsContainerResources{CpuMaximum: half}
	}, "winprobe", "burn")
	busy.waitForLog("burning")
	began, usedBefore := busy.cpu()
	var ended, used int64
	eventually(t, "two seconds of processor time are used", func() bool {
		ended, used = busy.cpu()
		return used-usedBefore > 2e9
	})
	if share := float64(used-usedBefore) / float64(ended-began); share > 0.6 {
		t.Errorf("it took %.2f of a processor, and may take 0.5", share)
	}
}

// cpu is the processor time that a container has used, and when that was measured, in nanoseconds.
func (c *container) cpu() (at, used int64) {
	c.pod.t.Helper()
	resp, err := env.client.Runtime.ContainerStats(c.pod.t.Context(), &runtimeapi.ContainerStatsRequest{ContainerId: c.id})
	if err != nil {
		c.pod.t.Fatal(err)
	}
	cpu := resp.GetStats().GetCpu()
	return cpu.GetTimestamp(), int64(cpu.GetUsageCoreNanoSeconds().GetValue())
}

// forwarded gets a path from a port of the pod's localhost.
func forwarded(t *testing.T, p *pod, port int, path string) string {
	t.Helper()
	local := freePort(t)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	cmd := env.cli.Command(ctx, "port-forward", p.id, fmt.Sprintf("%d:%d", local, port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "Forwarding") {
		t.Fatalf("crictl port-forward printed %q, %v", line, err)
	}
	return get(t, fmt.Sprintf("http://127.0.0.1:%d%s", local, path))
}

// TestSaysWhatRunsWindows: nobody takes Wine for Windows.
func TestSaysWhatRunsWindows(t *testing.T) {
	resp, err := env.client.Runtime.Status(t.Context(), &runtimeapi.StatusRequest{Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	paddock, err := checkout.Built("paddock", "build")
	if err != nil {
		t.Fatal(err)
	}
	// Its exit code is about everything else, too.
	doctor, _ := exec.CommandContext(t.Context(), paddock, "doctor").Output()
	for who, text := range map[string]string{"Status": fmt.Sprint(resp.GetInfo()), "paddock doctor": string(doctor)} {
		if !strings.Contains(text, "Wine") || !strings.Contains(text, "for development, not for production") {
			t.Errorf("%s does not say that Windows pods run under Wine: %s", who, text)
		}
	}
}
