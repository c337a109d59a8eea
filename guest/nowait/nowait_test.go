//go:build linux

package nowait

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is both ends of a pipe that takes 4 KiB before it is full.
func pair(t *testing.T) (r, w *File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	r, err1 := New(fds[0], "reader")
	w, err2 := New(fds[1], "writer")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestWaitsForData(t *testing.T) {
	r, w := pair(t)
	go func() {
		time.Sleep(20 * time.Millisecond)
		w.Write([]byte("late"))
		w.Close()
	}()
	b := make([]byte, 10)
	n, err := r.Read(b)
	if err != nil || string(b[:n]) != "late" {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	if n, err = r.Read(b); n != 0 || err != io.EOF {
		t.Fatalf("at the end: %d, %v, want io.EOF", n, err)
	}
}

func TestWritesAllThoughFull(t *testing.T) {
	r, w := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	result := make(chan error, 1)
	go func() {
		n, err := w.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		result <- errors.Join(err, w.Close())
	}()
	got, err := io.ReadAll(r)
	if err := errors.Join(err, <-result); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes came, %d were sent, and they differ", len(got), len(sent))
	}
}

func TestTryWriteDoesNotWait(t *testing.T) {
	_, w := pair(t)
	for {
		if _, err := w.TryWrite(make([]byte, 4096)); err == unix.EAGAIN {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseAndDeadlineEndARead(t *testing.T) {
	r, _ := pair(t)
	result := make(chan error)
	read := func() { _, err := r.Read(make([]byte, 1)); result <- err }
	go read()
	r.File().SetReadDeadline(time.Unix(1, 0))
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("with a deadline passed: %v", err)
	}
	r.File().SetReadDeadline(time.Time{})
	go read()
	time.Sleep(10 * time.Millisecond)
	r.Close()
	if err := <-result; err == nil {
		t.Fatal("a closed file was read")
	}
}
