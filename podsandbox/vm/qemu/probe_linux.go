package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// probeVariable makes a process run the probe in place of its own work.
	probeVariable = "PADDOCK_KVM_PROBE"
	// probeLimit is when a probe that has not answered is given up.
	probeLimit = 3 * time.Second
	// probeLoops iterations in long mode have to end within probeBudget.
	probeLoops  = 100_000
	probeBudget = 20 * time.Millisecond
)

// Probe is the answer to whether KVM can run a guest here.
type Probe struct {
	Usable bool
	// Reason is for people.
	Reason string
}

// probeResult is what the probing child prints.
type probeResult struct {
	Error string
	Nanos int64
}

// MaybeRunProbe has to be the first call of main, and of TestMain, in programs
// that make a Host. It returns at once unless the process was started by
// ProbeKVM; then it runs the probe and exits.
func MaybeRunProbe() {
	if os.Getenv(probeVariable) != "1" {
		return
	}
	var r probeResult
	took, err := runLoop(probeLoops)
	r.Nanos = took.Nanoseconds()
	if err != nil {
		r.Error = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
	os.Exit(0)
}

// ProbeKVM runs a short loop in a KVM guest and judges by the time it took: that
// /dev/kvm opens, and even that a virtual machine can be made, does not mean
// that it runs. A child process does it, since a processor of such a machine
// may never come back. It needs MaybeRunProbe in main.
func ProbeKVM(ctx context.Context) Probe {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return Probe{Reason: fmt.Sprintf("KVM is not available: %v", err)}
	}
	f.Close()
	r, err := runProbeChild(ctx)
	switch {
	case err != nil:
		return Probe{Reason: fmt.Sprintf("KVM does not work: %v", err)}
	case r.Error != "":
		return Probe{Reason: "KVM does not work: " + r.Error}
	}
	return judge(time.Duration(r.Nanos))
}

func judge(took time.Duration) Probe {
	if took > probeBudget {
		return Probe{Reason: fmt.Sprintf("KVM is too slow: %d loops took %v, more than %v", probeLoops, took, probeBudget)}
	}
	return Probe{Usable: true, Reason: fmt.Sprintf("KVM works: %d loops took %v", probeLoops, took)}
}

func runProbeChild(ctx context.Context) (probeResult, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe")
	child.Env = append(os.Environ(), probeVariable+"=1")
	child.WaitDelay = time.Second
	type outcome struct {
		out []byte
		err error
	}
	ended := make(chan outcome, 1)
	go func() { // not waited for beyond the limit: the kernel may be unable to kill it
		out, err := child.Output()
		ended <- outcome{out, err}
	}()
	select {
	case o := <-ended:
		if ctx.Err() != nil {
			return probeResult{}, fmt.Errorf("a loop that takes a millisecond did not end within %v", probeLimit)
		}
		if o.err != nil {
			return probeResult{}, fmt.Errorf("probe process: %w", o.err)
		}
		return parseProbe(o.out)
	case <-time.After(probeLimit + 2*time.Second):
		return probeResult{}, errors.New("the probing process cannot be killed")
	}
}

func parseProbe(out []byte) (probeResult, error) {
	var r probeResult
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("the program does not call qemu.MaybeRunProbe first: its output is no result: %w", err)
	}
	return r, nil
}

// rememberedProbe is ProbeKVM once per boot of the host: a file in dir, named
// after the boot, keeps the answer.
func rememberedProbe(ctx context.Context, dir string) (Probe, error) {
	boot, err := bootID()
	if err != nil {
		return Probe{}, err
	}
	file := filepath.Join(dir, "kvm-probe-"+boot+".json")
	if data, err := os.ReadFile(file); err == nil {
		var p Probe
		if json.Unmarshal(data, &p) == nil && p.Reason != "" {
			return p, nil
		}
	}
	p := ProbeKVM(ctx)
	if ctx.Err() != nil {
		return p, ctx.Err()
	}
	return p, writeJSON(file, p)
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the host's boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
