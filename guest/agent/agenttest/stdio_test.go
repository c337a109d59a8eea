//go:build linux

package agenttest

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/client"
)

func process(args ...string) []byte {
	raw, err := json.Marshal(&specs.Process{Args: args})
	if err != nil {
		panic(err)
	}
	return raw
}

func testExec(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("main", "sleep 1000")
	req.User = &api.User{User: "web"}
	Start(t, c, req)
	defer Delete(t, c, "main")
	exec := &api.ExecRequest{ContainerId: "main", ExecId: "e1", Process: process("sh", "-c", "echo $(id -u) $PATH; echo no >&2; exit 5")}
	if _, err := c.Exec(Context(t), exec); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(Context(t), exec); status.Code(err) != codes.AlreadyExists {
		t.Errorf("exec twice: %v", err)
	}
	exit := Wait(t, c, "main", "e1")
	out := Output(t, c, "main", "e1", api.Stdio_STDIO_STDOUT)
	errs := Output(t, c, "main", "e1", api.Stdio_STDIO_STDERR)
	if exit.Code != 5 || out != "1002 /bin\n" || errs != "no\n" {
		t.Errorf("exit %v, stdout %q, stderr %q", exit, out, errs)
	}
	if _, err := c.WaitProcess(Context(t), &api.WaitProcessRequest{ContainerId: "main", ExecId: "e1", Forget: true}); err != nil {
		t.Error(err)
	}
	if _, err := c.WaitProcess(Context(t), &api.WaitProcessRequest{ContainerId: "main", ExecId: "e1"}); status.Code(err) != codes.NotFound {
		t.Errorf("wait for a forgotten exec: %v", err)
	}
	_, err := c.Exec(Context(t), &api.ExecRequest{ContainerId: "main", ExecId: "e2", Process: process("nothing-here")})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "nothing-here") {
		t.Errorf("exec of a missing program: %v", err)
	}
}

func testTerminal(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("tty", `stty size; read line; echo "got $line"; stty size`)
	req.Terminal, req.Stdin = true, true
	if _, err := c.CreateContainer(Context(t), req); err != nil {
		t.Fatal(err)
	}
	defer Delete(t, c, "tty")
	resize(t, c, 100, 40)
	if _, err := c.StartContainer(Context(t), &api.StartContainerRequest{Id: "tty"}); err != nil {
		t.Fatal(err)
	}
	waitOutput(t, c, "tty", "40 100\r\n")
	if _, err := c.Exec(Context(t), &api.ExecRequest{
		ContainerId: "tty", ExecId: "e", Process: process("stty", "size"), Terminal: true, Width: 99, Height: 33,
	}); err != nil {
		t.Fatal(err)
	}
	Wait(t, c, "tty", "e")
	if out := Output(t, c, "tty", "e", api.Stdio_STDIO_STDOUT); out != "33 99\r\n" {
		t.Errorf("an exec's terminal, whose size came with the request: %q", out)
	}
	resize(t, c, 80, 24)
	in, err := c.OpenStdin(Context(t), "tty", "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	Wait(t, c, "tty", "")
	if out := Output(t, c, "tty", "", api.Stdio_STDIO_STDOUT); !strings.HasSuffix(out, "got hello\r\n24 80\r\n") {
		t.Errorf("output %q", out)
	}
}

func resize(t *testing.T, c *client.Client, width, height uint32) {
	t.Helper()
	if _, err := c.ResizeTerminal(Context(t), &api.ResizeTerminalRequest{ContainerId: "tty", Width: width, Height: height}); err != nil {
		t.Fatal(err)
	}
}

func testStdin(t *testing.T, _ *Machine, c *client.Client) {
	req := Request("in", "cat; echo end")
	req.Stdin = true
	Start(t, c, req)
	defer Delete(t, c, "in")
	first, err := c.OpenStdin(Context(t), "in", "")
	if err != nil {
		t.Fatal(err)
	}
	first.Write([]byte("one "))
	waitOutput(t, c, "in", "one ")
	channel.Abort(first) // stdin stays open
	second, err := c.OpenStdin(Context(t), "in", "")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.Write([]byte("two\n"))
	second.(channel.CloseWriter).CloseWrite()
	Wait(t, c, "in", "")
	if out := Output(t, c, "in", "", api.Stdio_STDIO_STDOUT); out != "one two\nend\n" {
		t.Errorf("output %q", out)
	}
}

// testResume reads a part, loses its connections and goes on where it was.
func testResume(t *testing.T, m *Machine, _ *client.Client) {
	c := m.Connect()
	req := Request("resume", "seq 1 20000; sleep 1000")
	req.OutputWindow = 4096
	Start(t, c, req)
	var got []byte
	buf := make([]byte, 3000)
	for len(got) < 100000 {
		r, err := c.OpenOutput(Context(t), &api.StdioStream{ContainerId: "resume", Offset: uint64(len(got)), Stdio: api.Stdio_STDIO_STDOUT})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			n, err := r.Read(buf)
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
			if err := r.Ack(uint64(len(got))); err != nil {
				t.Fatal(err)
			}
			if len(got) > 100000 {
				break
			}
		}
		r.Close()
		c.Close()
		c = m.Connect()
	}
	lines := strings.Split(string(got), "\n")
	for i, line := range lines[:len(lines)-1] {
		if line != itoa(i+1) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
	_, err := c.OpenOutput(Context(t), &api.StdioStream{ContainerId: "resume", Offset: 0, Stdio: api.Stdio_STDIO_STDOUT})
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("output that was acknowledged: %v", err)
	}
	Delete(t, c, "resume")
}
