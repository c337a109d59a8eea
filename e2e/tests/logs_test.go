package tests

import (
	"os"
	"strings"
	"testing"
)

// waitForLog waits until the container's log has a text.
func (c *container) waitForLog(text string) {
	c.pod.t.Helper()
	eventually(c.pod.t, "log has "+text, func() bool {
		b, _ := os.ReadFile(c.logFile())
		return strings.Contains(string(b), text)
	})
}

// TestPartialLines wants a line longer than 16 KiB split and marked, and one without an end kept.
func TestPartialLines(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'no end'", nil)
	c.wait()
	c.waitForLog("no end")
	b, err := os.ReadFile(c.logFile())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var partial int
	for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		f := strings.SplitN(line, " ", 4)
		if len(f) != 4 {
			t.Fatalf("not a CRI log line: %q", line)
		}
		if f[2] == "P" {
			partial++
			text.WriteString(f[3])
		} else {
			text.WriteString(f[3] + "\n")
		}
	}
	if got := text.String(); !strings.HasPrefix(got, strings.Repeat("x", 40000)+"\nno end") {
		t.Errorf("joined log has %d bytes, want 40000 x, a line's end, and \"no end\"", len(got))
	}
	if partial < 2 {
		t.Errorf("%d partial lines, want at least 2", partial)
	}
}

func TestReopenLog(t *testing.T) {
	p := runPod(t, nil)
	c := p.run("main", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done", nil)
	c.waitForLog("line 3")
	if err := os.Rename(c.logFile(), c.logFile()+".1"); err != nil {
		t.Fatal(err)
	}
	crictlOut(t, "logs", "-r", c.id)
	c.waitForLog("line ")
	eventually(t, "the new file has lines", func() bool {
		b, _ := os.ReadFile(c.logFile())
		return strings.Count(string(b), "\n") > 3
	})
	checkNumbered(t, "line ", c.logFile()+".1", c.logFile())
}
