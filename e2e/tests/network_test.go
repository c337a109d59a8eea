package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// get reads a URL, waiting until its server listens.
func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	var body []byte
	var last error
	deadline := time.Now().Add(stepTimeout)
	for time.Now().Before(deadline) {
		resp, err := client.Get(url)
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if last = err; err == nil {
			return string(body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("GET %s: %v", url, last)
	return ""
}

func runWeb(t *testing.T, change func(*runtimeapi.PodSandboxConfig)) (*pod, *container) {
	t.Helper()
	p := runPod(t, change)
	c := p.create(criclient.ContainerConfig("web", web), nil)
	c.start()
	return p, c
}

// addresses are the pod's IPv4 and IPv6 addresses.
func (p *pod) addresses() (v4, v6 string) {
	p.t.Helper()
	resp, err := env.client.Runtime.PodSandboxStatus(p.t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		p.t.Fatal(err)
	}
	n := resp.GetStatus().GetNetwork()
	if len(n.GetAdditionalIps()) != 1 {
		p.t.Fatalf("addresses: %v", n)
	}
	return n.GetIp(), n.GetAdditionalIps()[0].GetIp()
}

// TestNetwork reaches a pod from the host and from another pod, by both
// families and by a port of the host.
func TestNetwork(t *testing.T) {
	port := freePort(t)
	p, _ := runWeb(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.PortMappings = []*runtimeapi.PortMapping{{ContainerPort: 8080, HostPort: int32(port)}}
	})
	v4, v6 := p.addresses()
	const want = "hello from testnetwork"
	for name, url := range map[string]string{
		"IPv4": "http://" + net.JoinHostPort(v4, "8080"),
		"IPv6": "http://" + net.JoinHostPort(v6, "8080"),
	} {
		if got := get(t, url); !strings.HasPrefix(got, want) {
			t.Errorf("host to pod, %s: %q", name, got)
		}
	}
	hostIP := hostAddress(t)
	if got := get(t, fmt.Sprintf("http://%s:%d", hostIP, port)); !strings.HasPrefix(got, want) {
		t.Errorf("host port: %q", got)
	}
	other := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Metadata.Name += "-2"; cfg.Metadata.Uid += "-2" })
	c := other.run("client", "exec sleep 1000", nil)
	for _, url := range []string{"http://" + net.JoinHostPort(v4, "8080"), "http://" + net.JoinHostPort(v6, "8080")} {
		if got := c.exec("wget -q -O - " + url); !strings.HasPrefix(got, want) {
			t.Errorf("pod to pod, %s: %q", url, got)
		}
	}
	if got := c.exec(fmt.Sprintf("wget -q -O - http://%s:%d", hostIP, port)); !strings.HasPrefix(got, want) {
		t.Errorf("pod to host port: %q", got)
	}
}

// TestPortForward reaches a listener on the pod's localhost.
func TestPortForward(t *testing.T) {
	p, c := runWeb(t, nil)
	c.waitForLog("serving")
	local := freePort(t)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	cmd := env.cli.Command(ctx, "port-forward", p.id, fmt.Sprintf("%d:8081", local))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "Forwarding") {
		t.Fatalf("crictl port-forward printed %q, %v", line, err)
	}
	for range 3 {
		if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", local)); got != "only on localhost\n" {
			t.Fatalf("through the forward: %q", got)
		}
	}
}

func TestDNS(t *testing.T) {
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.DnsConfig = &runtimeapi.DNSConfig{
			Servers: []string{"192.0.2.53"}, Searches: []string{"a.test", "b.test"}, Options: []string{"ndots:5"},
		}
	})
	c := p.run("main", "exec sleep 1000", nil)
	want := "nameserver 192.0.2.53\nsearch a.test b.test\noptions ndots:5"
	got := strings.Split(c.exec("cat /etc/resolv.conf"), "\n")
	for _, line := range strings.Split(want, "\n") {
		if !contains(got, line) {
			t.Errorf("resolv.conf lacks %q: %q", line, got)
		}
	}
	if got := c.exec("hostname"); got != "testdns" {
		t.Errorf("hostname %q", got)
	}
	v4, _ := p.addresses()
	if hosts := c.exec("cat /etc/hosts"); !strings.Contains(hosts, "127.0.0.1") || !strings.Contains(hosts, v4) {
		t.Errorf("/etc/hosts:\n%s", hosts)
	}
}

func contains(lines []string, want string) bool {
	for _, l := range lines {
		if l == want {
			return true
		}
	}
	return false
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// hostAddress is the host's first global IPv4 address that is not the test network's.
func hostAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.To4() != nil && ip.IsGlobalUnicast() && !strings.HasPrefix(ip.String(), "10.213.") {
			return ip.String()
		}
	}
	t.Fatal("the host has no IPv4 address but the loopback's and the test network's")
	return ""
}
