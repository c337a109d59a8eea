package tests

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// restart starts the daemon again after a kill.
func restart(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	if err := env.daemon.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestDaemonKilled kills the daemon under running containers. None may notice:
// logs stay whole, exit codes are kept, and everything works afterwards.
func TestDaemonKilled(t *testing.T) {
	dir := hostDir(t, nil)
	p := runPod(t, nil)
	printer := p.run("printer", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.01; done", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/data", false)}
	})
	mortal := p.run("mortal", "while [ ! -e /data/end ]; do sleep 0.1; done; echo last words; exit 42", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/data", false)}
	})
	printer.waitForLog("line 20")
	for round := range 3 {
		if err := env.daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			writeFile(t, filepath.Join(dir, "end"), "") // ends mortal while no daemon watches
			time.Sleep(2 * time.Second)                 // its end must fall into the daemon's absence
		}
		restart(t)
	}
	if st := mortal.wait(); st.GetExitCode() != 42 {
		t.Errorf("exit code of what ended meanwhile: %d, want 42", st.GetExitCode())
	}
	mortal.waitForLog("last words")
	seen := checkNumbered(t, "line ", printer.logFile())
	eventually(t, "the log goes on", func() bool { return checkNumbered(t, "line ", printer.logFile()) > seen+50 })
	if got := printer.exec("echo x > /data/after && cat /data/after"); got != "x" {
		t.Errorf("the volume after restarts: %q", got)
	}
	if got := crictlOut(t, "ps", "-q", "--state", "running", "--pod", p.id); got != printer.id {
		t.Errorf("running: %q, want %q", got, printer.id)
	}
	shareServerKilled(t, p, printer)
	another := p.run("another", "exec sleep 1000", nil)
	if got := another.exec("echo works"); got != "works" {
		t.Errorf("a container made after the restarts says %q", got)
	}
	crictlOut(t, "stop", "-t", "1", printer.id)
	checkNumbered(t, "line ", printer.logFile())
}

// shareServerKilled kills the pod's share server, with the daemon there and
// without: the volume works again by itself, and what was open there tells an error.
func shareServerKilled(t *testing.T, p *pod, c *container) {
	t.Helper()
	for _, daemonRuns := range []bool{true, false} {
		c.exec("(exec 3>/data/open; touch /data/opened; while [ -e /data/opened ]; do sleep 0.05; done; echo x >&3; echo $? > /tmp/failed) >/dev/null 2>&1 &")
		eventually(t, "a file is open", func() bool { return len(c.execSync("ls /data/opened").GetStdout()) > 0 })
		if !daemonRuns {
			if err := env.daemon.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		killShareServer(t, p.id)
		if !daemonRuns {
			restart(t)
		}
		eventually(t, "the volume works again", func() bool {
			return string(c.execSync("echo again > /data/again && rm -f /data/opened && cat /data/again").GetStdout()) == "again\n"
		})
		eventually(t, "a write to what was open fails", func() bool {
			return string(c.execSync("cat /tmp/failed && rm /tmp/failed").GetStdout()) == "1\n"
		})
	}
}

func killShareServer(t *testing.T, sandbox string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(env.state, "s", "share", sandbox, "process.json"))
	if err != nil {
		t.Fatal(err)
	}
	var process struct{ PID int }
	if err := json.Unmarshal(data, &process); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestVMKilled kills a pod's VM: its containers have ended, with a reason, within two
// seconds, and the pod can be stopped and removed.
func TestVMKilled(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", nil)
	pid := vmProcess(t, p.id)
	start := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st := c.wait()
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the container's end was told after %v, want within 2 s", d)
	}
	if st.GetReason() == "" || st.GetReason() == "Completed" || st.GetExitCode() == 0 {
		t.Errorf("reason %q, message %q, exit code %d; want what befell the VM", st.GetReason(), st.GetMessage(), st.GetExitCode())
	}
	if got := crictlOut(t, "pods", "-q", "--state", "ready", "--id", p.id); got != "" {
		t.Error("the pod is ready without its VM")
	}
	crictlOut(t, "stopp", p.id)
	crictlOut(t, "rmp", p.id)
}

// TestVMKilledMeanwhile kills a VM while no daemon runs.
func TestVMKilledMeanwhile(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", nil)
	pid := vmProcess(t, p.id)
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	restart(t)
	if st := c.wait(); st.GetExitCode() == 0 {
		t.Errorf("exit code %d, reason %q", st.GetExitCode(), st.GetReason())
	}
	crictlOut(t, "rmp", "-f", p.id)
}

// TestKilledMidway kills the daemon in the middle of starting pods: what was
// half made is gone or whole after the restart, and the names are free.
func TestKilledMidway(t *testing.T) {
	for _, delay := range []time.Duration{20, 100, 400, 1200} {
		ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
		cfg := sandboxConfig(t, "midway")
		done := make(chan error, 1)
		go func() {
			_, err := env.client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: cfg})
			done <- err
		}()
		time.Sleep(delay * time.Millisecond)
		if err := env.daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		<-done
		cancel()
		vms := recordVMs(t)
		restart(t)
		list, err := env.client.Runtime.ListPodSandbox(t.Context(), &runtimeapi.ListPodSandboxRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.GetItems() {
			env.record(s.GetId())
			if err := env.client.RemovePod(t.Context(), s.GetId()); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "strays are reaped", func() bool { return len(vmProcesses(t, vms)) == 0 })
	}
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Metadata.Name, cfg.Metadata.Uid = "midway", "uid-midway" })
	p.run("main", "exec sleep 1000", nil)
}

// vmID is the name of a sandbox's VM, as QEMU's command line has it.
func vmID(sandboxID string) string { return sandboxID[:32] }

// vmProcess finds the process of a pod's VM.
func vmProcess(t *testing.T, sandboxID string) int {
	t.Helper()
	pids := vmProcesses(t, []string{vmID(sandboxID)})
	if len(pids) != 1 {
		t.Fatalf("%d QEMU processes serve sandbox %s, want one", len(pids), sandboxID)
	}
	return pids[0]
}

// recordVMs records the VMs that the daemon's state names, and returns them.
func recordVMs(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(env.state, "s", "vm", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range dirs {
		if id := filepath.Base(d); len(id) == 32 {
			env.record(id)
			ids = append(ids, id)
		}
	}
	return ids
}

// vmProcesses lists the QEMU processes of VMs.
func vmProcesses(t *testing.T, ids []string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		cmdline, _ := os.ReadFile(file)
		for _, id := range ids {
			if strings.Contains(string(cmdline), "guest="+id) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
