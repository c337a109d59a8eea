package tests

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestExecSync(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", nil)
	if resp := c.execSync("echo out; echo err >&2; exit 4"); string(resp.GetStdout()) != "out\n" ||
		string(resp.GetStderr()) != "err\n" || resp.GetExitCode() != 4 {
		t.Errorf("stdout %q, stderr %q, exit code %d; want out, err, 4", resp.GetStdout(), resp.GetStderr(), resp.GetExitCode())
	}
	if got := crictlOut(t, "exec", "-s", c.id, "/bin/echo", "hello"); strings.TrimSpace(got) != "hello" {
		t.Errorf("crictl exec -s printed %q", got)
	}
	err := crictlErr(t, "exec", "-s", c.id, "/bin/sh", "-c", "echo why >&2; exit 3")
	if !strings.Contains(err.Error(), "3") || !strings.Contains(err.Error(), "why") {
		t.Errorf("%v; want exit code 3 and what went to stderr", err)
	}
	if err := crictlErr(t, "exec", "-s", c.id, "/nosuch"); !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("%v; want an error that names the program", err)
	}
	start := time.Now()
	crictlErr(t, "exec", "-s", "--timeout", "1", c.id, "/bin/sleep", "30")
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("exec with a timeout of 1 s took %v", d)
	}
	eventually(t, "what timed out is gone", func() bool { return c.exec("ps | grep -c '[s]leep 30' || true") == "0" })
}

// TestExecStream sends stdin through a process and reads it back.
func TestExecStream(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", nil)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	payload := strings.Repeat("0123456789abcdef\n", 20000)
	cmd := env.cli.Command(ctx, "exec", "-i", c.id, "/bin/cat")
	cmd.Stdin = strings.NewReader(payload)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != payload {
		t.Errorf("sent %d bytes, got %d, not the same", len(payload), len(out))
	}
}

// TestExecTTY types into a terminal of a set size.
func TestExecTTY(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", nil)
	term := openTerminal(t, 40, 101)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	cmd := env.cli.Command(ctx, "exec", "-i", "-t", c.id, "/bin/sh")
	term.run(t, cmd)
	term.waitFor(t, "# ")
	term.send(t, "stty size; tty; echo done-$((1+1))\n")
	term.waitFor(t, "done-2")
	if !strings.Contains(term.output(), "40 101") {
		t.Errorf("the terminal's size did not arrive:\n%s", term.output())
	}
	if !strings.Contains(term.output(), "/dev/pts/") {
		t.Errorf("no terminal:\n%s", term.output())
	}
	term.send(t, "exit 0\n")
	if err := cmd.Wait(); err != nil {
		t.Errorf("crictl exec -it: %v\n%s", err, term.output())
	}
}

// TestAttach talks to a container's own stdin and stdout.
func TestAttach(t *testing.T) {
	p := runPod(t, nil)
	cfg := shell("main", "while read line; do echo got $line; done; echo end of input")
	cfg.Stdin, cfg.StdinOnce = true, true
	c := p.create(cfg, nil)
	c.start()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	cmd := env.cli.Command(ctx, "attach", "-i", c.id)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "hello\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "attach answers", func() bool { return strings.Contains(out.String(), "got hello") })
	stdin.Close()
	if st := c.wait(); st.GetExitCode() != 0 {
		t.Errorf("exit code %d", st.GetExitCode())
	}
	_ = cmd.Wait()
	c.waitForLog("end of input")
	if b, _ := os.ReadFile(c.logFile()); !bytes.Contains(b, []byte("got hello")) {
		t.Errorf("what attach saw is not in the log:\n%s", b)
	}
}
