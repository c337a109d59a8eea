package tests

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// onNode puts a pod on the node's network.
func onNode(cfg *runtimeapi.PodSandboxConfig) {
	cfg.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_NODE
}

// another is onNode for a test's second pod.
func another(cfg *runtimeapi.PodSandboxConfig) {
	onNode(cfg)
	cfg.Metadata.Name += "-2"
	cfg.Metadata.Uid += "-2"
}

// greeter is a script that serves a greeting at an address, and logs who asks.
func greeter(addr, greeting string) string {
	return fmt.Sprintf("mkdir /w && echo '%s' > /w/index.html && exec httpd -f -vv -h /w -p %s", greeting, addr)
}

// echoer sends datagrams to a port back. The ports used here are outside of what clients get.
func echoer(port int) *runtimeapi.ContainerConfig {
	return criclient.ContainerConfig("echoer", web, "/program", "-echo", fmt.Sprintf(":%d", port))
}

// echoes sends datagrams to an address until one comes back.
func echoes(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 16)
	eventually(t, "a datagram to "+addr+" comes back", func() bool {
		fmt.Fprint(conn, "hello")
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, _ := conn.Read(buf)
		return string(buf[:n]) == "hello"
	})
}

// hears reads what a TCP server says at once; "" if it cannot be reached.
func hears(addr string) string {
	conn, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	text, _ := io.ReadAll(conn)
	return string(text)
}

func (p *pod) network() *runtimeapi.PodSandboxNetworkStatus {
	p.t.Helper()
	resp, err := env.client.Runtime.PodSandboxStatus(p.t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.GetStatus().GetNetwork()
}

// TestHostNetwork: a pod on the node's network answers on the node's addresses
// and localhost, leaves with the node's addresses, and has the node's names.
func TestHostNetwork(t *testing.T) {
	n := newNeighbour(t)
	p := runPod(t, onNode)
	if status := p.network(); status == nil || status.GetIp() != "" || len(status.GetAdditionalIps()) != 0 {
		t.Errorf("network %v: a pod on the node's network has no address of its own", status)
	}
	everywhere, local := freePort(t), freePort(t)
	c := p.run("everywhere", greeter(fmt.Sprint(everywhere), "hello everywhere"), nil)
	p.run("local", greeter(fmt.Sprintf("127.0.0.1:%d", local), "hello here"), nil)
	for addr, want := range map[string]string{
		fmt.Sprintf("127.0.0.1:%d", everywhere):  "hello everywhere\n",
		fmt.Sprintf("localhost:%d", everywhere):  "hello everywhere\n",
		fmt.Sprintf("%s:%d", n.node, everywhere): "hello everywhere\n",
		fmt.Sprintf("127.0.0.1:%d", local):       "hello here\n",
	} {
		if got := get(t, "http://"+addr); got != want {
			t.Errorf("%s on the node: %q", addr, got)
		}
	}
	if hears(fmt.Sprintf("%s:%d", n.node, local)) != "" {
		t.Error("a listener on localhost answers at another address of the node")
	}
	conn := n.dial(t, everywhere)
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	if got, _ := io.ReadAll(conn); !strings.Contains(string(got), "hello everywhere") {
		t.Errorf("from another machine: %q", got)
	}
	conn.Close()
	c.waitForLog(n.own) // the client's address is preserved

	var port int
	var seen <-chan string
	n.do(func() { port, seen = callers(t, n.own+":0") })
	if got := c.exec(fmt.Sprintf("nc %s %d </dev/null", n.own, port)); got != "well met" {
		t.Errorf("another machine says %q to the pod", got)
	}
	if from := <-seen; from != n.node {
		t.Errorf("the pod left the node as %s, want %s", from, n.node)
	}
	p.create(echoer(12998), nil).start()
	for _, at := range []string{"127.0.0.1", n.node} {
		echoes(t, at+":12998")
	}
	checkNodeServices(t, n, c)
	checkNodeNames(t, c)
}

// checkNodeServices reaches what listens on the node, by its address and by localhost.
func checkNodeServices(t *testing.T, n *neighbour, c *container) {
	t.Helper()
	for _, at := range []string{n.node, "127.0.0.1"} {
		port, seen := callers(t, at+":0")
		eventually(t, "the pod reaches the node's "+at, func() bool {
			return c.execSync(fmt.Sprintf("nc %s %d </dev/null", at, port)).GetExitCode() == 0
		})
		if from := <-seen; from != at {
			t.Errorf("to the node's %s the pod is %s", at, from)
		}
		if at == "127.0.0.1" && !strings.Contains(c.exec("netstat -ltn"), fmt.Sprintf("127.0.0.1:%d ", port)) {
			t.Error("netstat in the pod does not show what the node listens on")
		}
	}
}

func checkNodeNames(t *testing.T, c *container) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.exec("hostname"); got != host {
		t.Errorf("hostname %q, the node's is %q", got, host)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.exec("cat /etc/hosts"); got != strings.TrimRight(string(hosts), "\n") {
		t.Errorf("/etc/hosts %q, the node's is %q", got, hosts)
	}
}

// TestHostNetworkConflict: what the node uses stays the node's, and the user is told.
func TestHostNetworkConflict(t *testing.T) {
	port, _ := callers(t, ":0")
	own, err := net.ListenPacket("udp", "127.0.0.1:12999")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	p := runPod(t, onNode)
	taken := p.run("taken", greeter(fmt.Sprint(port), "stolen"), nil)
	if st := taken.wait(); st.GetExitCode() == 0 {
		t.Error("a container bound a port that the node listens on")
	}
	taken.waitForLog("Address already in use")
	p.create(echoer(12999), nil).start()
	eventually(t, "the refusal is told", func() bool {
		return strings.Contains(crictlOut(t, "inspectp", p.id), "12999/udp: in use on the node")
	})
	if hears(fmt.Sprintf("127.0.0.1:%d", port)) != "well met\n" {
		t.Error("the node's listener does not answer any more")
	}
	client, err := net.Dial("udp", "127.0.0.1:12999")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fmt.Fprint(client, "mine")
	_ = own.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 16)
	if count, _, err := own.ReadFrom(buf); err != nil || string(buf[:count]) != "mine" {
		t.Errorf("the node's socket got %q, %v", buf[:count], err)
	}
}

// TestHostNetworkTwice: pods on the node's network find each other on localhost, and ports are given once.
func TestHostNetworkTwice(t *testing.T) {
	first, second := runPod(t, onNode), runPod(t, another)
	port := freePort(t)
	first.run("server", greeter(fmt.Sprint(port), "hello from the first"), nil)
	if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", port)); got != "hello from the first\n" {
		t.Errorf("on the node: %q", got)
	}
	c := second.run("client", "exec sleep 1000", nil)
	eventually(t, "one pod finds the other on localhost", func() bool {
		return string(c.execSync(fmt.Sprintf("wget -q -O - http://127.0.0.1:%d", port)).GetStdout()) == "hello from the first\n"
	})
	late := second.run("late", greeter(fmt.Sprint(port), "stolen"), nil)
	if st := late.wait(); st.GetExitCode() == 0 {
		t.Error("both pods listen on one port")
	}
	crictlOut(t, "rmp", "-f", first.id)
	eventually(t, "the port is free for the second pod", func() bool {
		return c.execSync(fmt.Sprintf("mkdir -p /w && echo heir > /w/index.html && httpd -h /w -p %d", port)).GetExitCode() == 0
	})
	if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", port)); got != "heir\n" {
		t.Errorf("on the node after the first pod's end: %q", got)
	}
}

// TestHostNetworkDaemonKilled: without a daemon ports lead where they led, and the next one takes over.
func TestHostNetworkDaemonKilled(t *testing.T) {
	p := runPod(t, onNode)
	kept, gone, late := freePort(t), freePort(t), freePort(t)
	c := p.run("kept", greeter(fmt.Sprint(kept), "still here"), nil)
	p.run("gone", greeter(fmt.Sprint(gone), "for now"), nil)
	for port, want := range map[int]string{kept: "still here\n", gone: "for now\n"} {
		if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", port)); got != want {
			t.Errorf("port %d: %q", port, got)
		}
	}
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", kept)); got != "still here\n" {
		t.Errorf("without a daemon: %q", got)
	}
	own, err := net.Listen("tcp", fmt.Sprintf(":%d", gone)) // a process of the node is quicker than the next daemon
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	restart(t)
	go func() {
		for {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("the node's"))
			conn.Close()
		}
	}()
	if got := hears(fmt.Sprintf("127.0.0.1:%d", gone)); got != "the node's" {
		t.Errorf("a port that the node took meanwhile says %q", got)
	}
	if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", kept)); got != "still here\n" {
		t.Errorf("after the restart: %q", got)
	}
	c.exec(fmt.Sprintf("httpd -h /w -p %d", late))
	if got := get(t, fmt.Sprintf("http://127.0.0.1:%d", late)); got != "still here\n" {
		t.Errorf("what listens since the restart: %q", got)
	}
}
