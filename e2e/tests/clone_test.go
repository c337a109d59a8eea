package tests

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// attempts tells pods of one test apart.
var attempts atomic.Uint32

// clonedPod runs a pod whose VM is a template's clone. Before there is a
// template VMs boot: that one then was used to wait for it.
func clonedPod(t *testing.T) *pod {
	t.Helper()
	var p *pod
	eventually(t, "a VM is a clone", func() bool {
		p = runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Metadata.Attempt = attempts.Add(1) })
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", vmProcess(t, p.id)))
		return err == nil && bytes.Contains(line, []byte("\x00-incoming\x00"))
	})
	return p
}

// TestClonesAreTheirOwnMachines: what must differ between machines differs
// between VMs that came from one template's memory.
func TestClonesAreTheirOwnMachines(t *testing.T) {
	const ask = `head -c 24 /dev/urandom | od -An -tx1 | tr -d '\n'; echo
cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid /sys/class/net/eth0/address
cat /sys/class/dmi/id/product_uuid 2>/dev/null || echo none; date +%s`
	names := []string{"/dev/urandom", "boot id", "random UUID", "MAC", "product UUID"}
	seen := map[string]string{}
	for i := range 2 {
		p := clonedPod(t)
		c := p.run("main", "exec sleep 1000", nil)
		before := time.Now().Unix()
		answers := strings.Split(strings.TrimSpace(c.exec(ask)), "\n")
		if len(answers) != len(names)+1 {
			t.Fatalf("machine %d says %q", i, answers)
		}
		for k, name := range names {
			answer := strings.TrimSpace(answers[k])
			if other, taken := seen[name+answer]; taken && answer != "none" {
				t.Errorf("%s %q of pod %s is pod %s's, too", name, answer, p.id, other)
			}
			seen[name+answer] = p.id
		}
		clock, err := strconv.ParseInt(strings.TrimSpace(answers[len(names)]), 10, 64)
		if err != nil || clock < before-2 || clock > time.Now().Unix()+2 {
			t.Errorf("clock of machine %d: %d (%v), the host's is %d", i, clock, err, before)
		}
	}
}
