package tests

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestForeignWindowsProgram runs a server that others wrote, and uses it over
// the network by its own protocol: what one connection publishes another gets.
func TestForeignWindowsProgram(t *testing.T) {
	p := runPodBy(t, wcow, nil)
	c := p.create(windowsContainer("nats", natsServer), nil)
	c.start()
	v4, _ := p.addresses()
	if got := get(t, "http://"+net.JoinHostPort(v4, "8222")+"/varz"); !strings.Contains(got, `"version": "2.`) {
		t.Errorf("its monitor answers %.200q", got)
	}
	subscriber, publisher := natsClient(t, v4), natsClient(t, v4)
	subscriber.send(t, "SUB greetings 1")
	subscriber.send(t, "PING")
	subscriber.expect(t, "PONG")
	publisher.send(t, "PUB greetings 5\r\nhello")
	subscriber.expect(t, "MSG greetings 1 5")
	subscriber.expect(t, "hello")

	crictlOut(t, "stop", "--timeout", "50", c.id)
	c.waitForLog("Server Exiting")
	if st := c.status(); st.GetExitCode() != 0 {
		t.Errorf("exit code %d", st.GetExitCode())
	}
}

// nats is a connection to a NATS server.
type nats struct {
	conn net.Conn
	in   *bufio.Reader
}

func natsClient(t *testing.T, host string) *nats {
	t.Helper()
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, "4222"), stepTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(stepTimeout)); err != nil {
		t.Fatal(err)
	}
	c := &nats{conn, bufio.NewReader(conn)}
	c.expect(t, "INFO")
	c.send(t, `CONNECT {"verbose":false}`)
	return c
}

func (c *nats) send(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		t.Fatal(err)
	}
}

// expect reads lines until one begins as wanted.
func (c *nats) expect(t *testing.T, prefix string) {
	t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %s: %v", prefix, err)
		}
		if strings.HasPrefix(line, prefix) {
			return
		}
		if strings.HasPrefix(line, "-ERR") {
			t.Fatalf("waiting for %s: %s", prefix, line)
		}
	}
}
