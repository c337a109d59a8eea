package tests

import (
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestStats(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; head -c 3000000 /dev/urandom > /file; exec sleep 1000", nil)
	eventually(t, "the container has used CPU, memory and disk", func() bool {
		resp, err := env.client.Runtime.ContainerStats(t.Context(), &runtimeapi.ContainerStatsRequest{ContainerId: c.id})
		if err != nil {
			t.Fatal(err)
		}
		s := resp.GetStats()
		return s.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 1e6 &&
			s.GetMemory().GetWorkingSetBytes().GetValue() > 50<<10 &&
			s.GetWritableLayer().GetUsedBytes().GetValue() > 2900000
	})
	resp, err := env.client.Runtime.PodSandboxStats(t.Context(), &runtimeapi.PodSandboxStatsRequest{PodSandboxId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	linux := resp.GetStats().GetLinux()
	if linux.GetNetwork().GetDefaultInterface().GetName() != "eth0" || len(linux.GetContainers()) != 1 {
		t.Errorf("pod statistics: %v", resp)
	}
	if out := crictlOut(t, "stats", c.id); out == "" {
		t.Error("crictl stats printed nothing")
	}
	if out := crictlOut(t, "statsp", p.id); out == "" {
		t.Error("crictl statsp printed nothing")
	}
}
