package wire

import (
	"encoding/binary"
	"strings"
	"testing"
)

// anything is a file system that has everything. It fails the test when it is asked for what no request can hold.
type anything struct {
	FileSystem
	t *testing.T
}

func (a anything) name(names ...string) {
	for _, n := range names {
		if strings.ContainsRune(n, 0) || len(n) > maxName {
			a.t.Errorf("a name %q", n)
		}
	}
}

func (a anything) Lookup(_ uint64, name string) (Entry, error) {
	a.name(name)
	return Entry{Node: 2}, nil
}
func (a anything) Forget(uint64, uint64)                     {}
func (a anything) GetAttr(uint64) (Attr, error)              { return Attr{Ino: 1}, nil }
func (a anything) SetAttr(uint64, *SetAttr) (Attr, error)    { return Attr{}, nil }
func (a anything) Readlink(uint64) (string, error)           { return strings.Repeat("l", 4095), nil }
func (a anything) StatFS(uint64) (StatFS, error)             { return StatFS{}, nil }
func (a anything) Access(uint64, uint32) error               { return nil }
func (a anything) Unlink(_ uint64, name string) error        { a.name(name); return nil }
func (a anything) Rmdir(_ uint64, name string) error         { a.name(name); return Errno(39) }
func (a anything) Flush(uint64, uint64, uint64) error        { return nil }
func (a anything) Fsync(uint64, uint64, bool) error          { return nil }
func (a anything) FsyncDir(uint64, uint64) error             { return nil }
func (a anything) Release(uint64, *uint64)                   {}
func (a anything) ReleaseDir(uint64)                         {}
func (a anything) OpenDir(uint64) (uint64, error)            { return 3, nil }
func (a anything) Open(uint64, uint32, bool) (uint64, error) { return 3, nil }
func (a anything) GetLock(_ uint64, l Lock) (Lock, error)    { return l, nil }
func (a anything) ListXattr(uint64) ([]string, error)        { return []string{"user.a"}, nil }
func (a anything) RemoveXattr(_ uint64, name string) error   { a.name(name); return nil }
func (a anything) GetXattr(_ uint64, n string) ([]byte, error) {
	a.name(n)
	return make([]byte, 300), nil
}
func (a anything) Read(_, _, _ uint64, b []byte) (int, error)   { return len(b), nil }
func (a anything) Write(_, _ uint64, w Write) (int, error)      { return len(w.Data), nil }
func (a anything) Link(_, _ uint64, name string) (Entry, error) { a.name(name); return Entry{}, nil }

func (a anything) Mknod(_ uint64, name string, _ Caller, _, _, _ uint32) (Entry, error) {
	a.name(name)
	return Entry{}, nil
}

func (a anything) Mkdir(_ uint64, name string, _ Caller, _, _ uint32) (Entry, error) {
	a.name(name)
	return Entry{}, nil
}

func (a anything) Symlink(_ uint64, name string, _ Caller, text string) (Entry, error) {
	a.name(name, text)
	return Entry{}, nil
}

func (a anything) Rename(_ uint64, name string, _ uint64, newName string, _ uint32) error {
	a.name(name, newName)
	return nil
}

func (a anything) Create(_ uint64, name string, _ Caller, _, _, _ uint32) (Entry, uint64, error) {
	a.name(name)
	return Entry{}, 3, nil
}

func (a anything) Fallocate(uint64, uint64, uint32, uint64, uint64) error { return nil }

func (a anything) ReadDir(_, _, offset uint64, add func(DirEntry) bool) error {
	for i := offset; add(DirEntry{Ino: i, Offset: i + 1, Name: strings.Repeat("n", int(i%255)+1)}); i++ {
		if i > offset+1<<17 {
			a.t.Error("a directory's answer has no end")
			return nil
		}
	}
	return nil
}

func (a anything) SetLock(<-chan struct{}, uint64, Lock, bool) error { return nil }

func (a anything) SetXattr(_ uint64, name string, value []byte, _ uint32) error {
	a.name(name)
	return nil
}

// FuzzHandle: whatever a client sends, nothing panics, and an answer is whole and no longer than its room.
func FuzzHandle(f *testing.F) {
	for op := range byte(52) {
		f.Add(op, []byte("name\x00other\x00"), uint16(200))
		f.Add(op, make([]byte, 100), uint16(5000))
		f.Add(op, append(make([]byte, 16), 0, 0, 1, 0, 0, 0, 0, 0), uint16(60000))
	}
	f.Fuzz(func(t *testing.T, op byte, payload []byte, room uint16) {
		msg := binary.LittleEndian.AppendUint32(nil, uint32(requestHeader+len(payload)))
		msg = append(binary.LittleEndian.AppendUint32(msg, uint32(op)), make([]byte, requestHeader-8)...)
		out := make([]byte, int(room))
		n, ok := NewHandler(anything{t: t}, 1<<16).Handle(append(msg, payload...), out)
		switch {
		case n == 0:
		case !ok || n < answerHeader || n > len(out) || binary.LittleEndian.Uint32(out) != uint32(n):
			t.Errorf("an answer of %d bytes, %v", n, ok)
		case int32(binary.LittleEndian.Uint32(out[4:])) != 0 && n != answerHeader:
			t.Errorf("an error with %d bytes", n)
		}
	})
}
