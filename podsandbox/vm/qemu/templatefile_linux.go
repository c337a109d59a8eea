package qemu

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A template is kept in a folder named by its generation and key: memory (sparse), state, and,
// written last, their digests. A folder without digests is half written.
const (
	templateMemory = "memory"
	templateState  = "state"
	templateDigest = "digests.json"
)

// maxTemplateState is far above the state of any machine.
const maxTemplateState = 64 << 20

type templateDigests struct {
	Memory, State string // SHA-256 over the data and where it lies
}

// folder is where a template is kept: below its generation's. Called when that is known.
func (ts *templates) folder(key string) string {
	generation, _ := ts.generation()
	return filepath.Join(ts.dir, generation, key)
}

// keep writes a template for the next process.
func (ts *templates) keep(t *template) error {
	if ts.dir == "" {
		return nil
	}
	dir := ts.folder(t.key)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	var d templateDigests
	var err error
	if d.Memory, err = copyOut(t.memory, filepath.Join(dir, templateMemory)); err != nil {
		return err
	}
	if d.State, err = copyOut(t.state, filepath.Join(dir, templateState)); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, templateDigest), d)
}

// load reads a kept template and verifies it; os.ErrNotExist if there is none.
func (ts *templates) load(key string, sh shape) (_ *template, err error) {
	if ts.dir == "" {
		return nil, os.ErrNotExist
	}
	dir := ts.folder(key)
	var d templateDigests
	if err := readJSON(filepath.Join(dir, templateDigest), &d); err != nil {
		return nil, err
	}
	t := &template{key: key}
	if t.memory, err = copyIn(filepath.Join(dir, templateMemory), int64(sh.memory), d.Memory); err != nil {
		return nil, err
	}
	if t.state, err = copyIn(filepath.Join(dir, templateState), maxTemplateState, d.State); err != nil {
		t.memory.Close()
		return nil, err
	}
	if err := errors.Join(seal(t.memory), seal(t.state)); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// forget removes a kept template; what cannot be removed is refused by its key or digest later.
func (ts *templates) forget(key string) {
	if ts.dir != "" {
		_ = os.RemoveAll(ts.folder(key))
	}
}

// forgetOthers removes what is kept of other generations.
func (ts *templates) forgetOthers(generation string) {
	if ts.dir == "" {
		return
	}
	entries, _ := os.ReadDir(ts.dir) // absent: nothing is kept
	for _, e := range entries {
		if e.Name() != generation {
			_ = os.RemoveAll(filepath.Join(ts.dir, e.Name()))
		}
	}
}

// copyOut copies a memory file, holes kept, and tells its digest.
func copyOut(from *os.File, to string) (string, error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	sum, err := copyData(out, from)
	return sum, errors.Join(err, out.Close())
}

// copyIn copies a file of at most limit bytes into a memory file, and checks its digest.
func copyIn(from string, limit int64, digest string) (*os.File, error) {
	in, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, more than %d", from, st.Size(), limit)
	}
	out, err := memfd("paddock-template", 0)
	if err != nil {
		return nil, err
	}
	sum, err := copyData(out, in)
	if err == nil && sum != digest {
		err = fmt.Errorf("%s is damaged: its digest is %s, not %s", from, sum, digest)
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// copyBlock is the unit in which zeros are looked for and left out.
const copyBlock = 64 << 10

// copyData copies what is not a hole, or zero, to the same places, and makes the
// size the same. The digest covers the places, so that it does not depend on
// which zeros a file system keeps as holes.
func copyData(to, from *os.File) (string, error) {
	st, err := from.Stat()
	if err != nil {
		return "", err
	}
	size := st.Size()
	if err := to.Truncate(size); err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%d\n", size)
	for at := int64(0); at < size; {
		begin, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return "", err
		}
		end, err := unix.Seek(int(from.Fd()), begin, unix.SEEK_HOLE)
		if err != nil {
			return "", err
		}
		begin -= begin % copyBlock
		if err := copyRange(to, from, sum, begin, end); err != nil {
			return "", err
		}
		at = (end + copyBlock - 1) / copyBlock * copyBlock
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func copyRange(to, from *os.File, sum hash.Hash, begin, end int64) error {
	buf, zeros := make([]byte, copyBlock), make([]byte, copyBlock)
	for at := begin; at < end; at += copyBlock {
		n, err := from.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(buf[:n], zeros[:n]) {
			continue
		}
		fmt.Fprintf(sum, "%d %d\n", at, n)
		sum.Write(buf[:n])
		if _, err := to.WriteAt(buf[:n], at); err != nil {
			return err
		}
	}
	return nil
}
