package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/pod"
)

// bareTap is what a pod's network is compared with: the same QEMU's same tap,
// with nothing between it and the host's IP stack.
const bareTap = "bare tap of the same VM"

// wireRuns is how often each direction is measured; the best counts.
const wireRuns = 2

// Wire has iperf3 send between a pod and the host, over the pod's network and
// then over its tap alone. state is the daemon's state directory.
func (s *Subject) Wire(ctx context.Context, image, state string, network *cninet.Network) (err error) {
	p, err := pod.Run(ctx, s.Client, "wire", s.LogDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Remove(context.WithoutCancel(ctx))) }()
	c, err := p.Start(ctx, "iperf", pod.Container{Image: image, Command: []string{"sleep", "100000"}, Memory: 128})
	if err != nil {
		return err
	}
	bridge, err := net.InterfaceByName(network.Bridge)
	if err != nil {
		return err
	}
	gateway := network.Subnet4.Addr().Next().String()
	found, err := filepath.Glob(filepath.Join(state, "*", "netns", p.ID()))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the network namespace of the sandbox is not in %s (%v)", state, err)
	}
	overBridge, err := bothWays(ctx, c, gateway, nil)
	if err != nil {
		return err
	}
	// From here on the pod's network is the tap alone.
	in := []string{"nsenter", "--net=" + found[0]}
	for _, command := range [][]string{
		{"tc", "qdisc", "del", "dev", "tap0", "ingress"},
		{"ip", "addr", "flush", "dev", "eth0"},
		{"ip", "link", "set", "tap0", "address", bridge.HardwareAddr.String()},
		{"ip", "addr", "add", fmt.Sprintf("%s/%d", gateway, network.Subnet4.Bits()), "dev", "tap0"},
	} {
		argv := append(in, command...)
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
		}
	}
	overTap, err := bothWays(ctx, c, gateway, in)
	if err != nil {
		return err
	}
	for i, name := range []string{"iperf3 pod to host", "iperf3 host to pod"} {
		s.Shares = append(s.Shares, Result{Name: name, Unit: "Mbit/s", Paddock: overBridge[i], Peer: overTap[i],
			PeerName: bareTap, Ratio: overTap[i] / overBridge[i], Runs: wireRuns})
	}
	return nil
}

// bothWays measures Mbit/s from and to the container, with a server that in prefixes.
func bothWays(ctx context.Context, c *pod.Running, host string, in []string) (both [2]float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	argv := append(in[:len(in):len(in)], "iperf3", "-s", "-B", host)
	server := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if err := server.Start(); err != nil {
		cancel()
		return both, fmt.Errorf("start iperf3 on the host (make bench installs it): %w", err)
	}
	defer func() {
		cancel()
		_ = server.Wait() // it was killed
	}()
	time.Sleep(300 * time.Millisecond) // it has no sign of being ready
	for i, extra := range [][]string{nil, {"-R"}} {
		for range wireRuns {
			fmt.Printf("iperf3 %v\n", append(in[:len(in):len(in)], extra...))
			out, err := c.Exec(ctx, append([]string{"iperf3", "-J", "-t", "4", "-c", host}, extra...)...)
			if err != nil {
				return both, err
			}
			rate, err := parseIperf(out)
			if err != nil {
				return both, err
			}
			both[i] = max(both[i], rate)
		}
	}
	return both, nil
}

// parseIperf finds what was received, in Mbit/s, in iperf3's JSON.
func parseIperf(out string) (float64, error) {
	var report struct {
		End struct {
			SumReceived struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return 0, fmt.Errorf("iperf3's report: %w: %.300s", err, out)
	}
	if report.End.SumReceived.BitsPerSecond == 0 {
		return 0, fmt.Errorf("iperf3 received nothing: %.300s", out)
	}
	return report.End.SumReceived.BitsPerSecond / 1e6, nil
}
