package logfile

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

// guestStream is a container's output as the guest keeps it: what is beyond the last acknowledgement.
type guestStream struct {
	output []byte
	acked  uint64
}

// TestNoLineIsLostOrRepeated kills the writer at random points, in the middle
// of writes and of rotations, and compares what all log files together hold
// with what the container wrote.
func TestNoLineIsLostOrRepeated(t *testing.T) {
	runs := int64(200)
	if testing.Short() {
		runs = 4
	}
	for seed := int64(0); seed < runs; seed++ {
		crashRun(t, rand.New(rand.NewSource(seed)), seed)
	}
}

type crashState struct {
	t          *testing.T
	r          *rand.Rand
	log        *Log
	path       string
	recordPath string
	rotations  int
	guest      [streams]guestStream
	sent       [streams]uint64 // up to where the guest's bytes were given to Append
}

func crashRun(t *testing.T, r *rand.Rand, seed int64) {
	dir := t.TempDir()
	c := &crashState{t: t, r: r, path: filepath.Join(dir, "0.log"), recordPath: filepath.Join(dir, "state", "record")}
	for s := range c.guest {
		c.guest[s].output = randomOutput(r)
	}
	var err error
	if c.log, err = Create(c.path, c.recordPath); err != nil {
		t.Fatal(err)
	}
	for !c.done() {
		switch n := r.Intn(20); {
		case n < 14:
			c.append()
		case n < 16:
			c.rotate()
		default:
			c.kill()
		}
	}
	for s := range streams {
		if _, err := c.log.Finish(s, at); err != nil {
			t.Fatal(err)
		}
	}
	c.log.Close()
	for s := range streams {
		if got := c.logged(s); !bytes.Equal(got, c.guest[s].output) {
			t.Fatalf("seed %d, %v: logged %d bytes, written %d; first difference at %d",
				seed, s, len(got), len(c.guest[s].output), firstDifference(got, c.guest[s].output))
		}
	}
}

func randomOutput(r *rand.Rand) []byte {
	var b []byte
	for range r.Intn(30) {
		b = append(b, bytes.Repeat([]byte{byte('a' + r.Intn(26))}, r.Intn(60))...)
		if r.Intn(20) == 0 {
			b = append(b, bytes.Repeat([]byte{'L'}, MaxLine+r.Intn(3)-1)...)
		}
		b = append(b, '\n')
	}
	return append(b, []byte("end")[:r.Intn(4)]...)
}

func (c *crashState) done() bool {
	for s := range streams {
		if c.sent[s] < uint64(len(c.guest[s].output)) {
			return false
		}
	}
	return true
}

// append sends a piece of a stream; sometimes the process dies in or after the write, before the acknowledgement.
func (c *crashState) append() {
	s := Stream(c.r.Intn(int(streams)))
	rest := c.guest[s].output[c.sent[s]:]
	piece := rest[:c.r.Intn(len(rest)+1)]
	before := c.log.size
	durable, err := c.log.Append(s, piece, at)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.r.Intn(8) == 0 {
		if c.log.size > before && c.log.recorded <= before { // the write got only so far
			if err := c.log.file.Truncate(before + c.r.Int63n(c.log.size-before+1)); err != nil {
				c.t.Fatal(err)
			}
		}
		c.kill()
		return
	}
	c.sent[s] += uint64(len(piece))
	c.guest[s].acked = durable
}

// rotate renames the log as kubelet does; the process may die before or in the middle of ReopenLog.
func (c *crashState) rotate() {
	c.rotations++
	if err := os.Rename(c.path, fmt.Sprintf("%s.%04d", c.path, c.rotations)); err != nil {
		c.t.Fatal(err)
	}
	switch c.r.Intn(4) {
	case 0: // dies before the call; kubelet puts the file back
		if err := os.Rename(fmt.Sprintf("%s.%04d", c.path, c.rotations), c.path); err != nil {
			c.t.Fatal(err)
		}
		c.kill()
		return
	case 1: // dies before the call; nobody puts it back, and kubelet asks again
		c.kill()
	case 2: // dies with the new file made, but not recorded
		if err := os.WriteFile(c.path, nil, 0o640); err != nil {
			c.t.Fatal(err)
		}
		c.kill()
		return
	}
	if err := c.log.Reopen(); err != nil {
		c.t.Fatal(err)
	}
}

// kill drops the log without closing it, and takes it up again.
func (c *crashState) kill() {
	if c.log.file != nil {
		c.log.file.Close()
	}
	var err error
	if c.log, err = Resume(c.path, c.recordPath); err != nil {
		c.t.Fatal(err)
	}
	for s := range streams {
		if c.log.Offset(s) < c.guest[s].acked {
			c.t.Fatalf("%v: resumes at %d, but %d were acknowledged", s, c.log.Offset(s), c.guest[s].acked)
		}
		c.sent[s] = c.log.Offset(s)
	}
}

// logged returns a stream's output as all log files together tell it, oldest first.
func (c *crashState) logged(want Stream) []byte {
	files, _ := filepath.Glob(c.path + ".*")
	var out []byte
	for _, f := range append(files, c.path) {
		data, err := os.ReadFile(f)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for _, line := range bytes.Split(bytes.TrimSuffix(data, []byte{'\n'}), []byte{'\n'}) {
			if len(line) == 0 {
				continue
			}
			s, _, ok := parseLine(line)
			if !ok {
				c.t.Fatalf("%s: bad line %.80q", f, line)
			}
			if s != want {
				continue
			}
			fields := bytes.SplitN(line, []byte{' '}, 4)
			out = append(out, fields[3]...)
			if string(fields[2]) == "F" {
				out = append(out, '\n')
			}
		}
	}
	return out
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
