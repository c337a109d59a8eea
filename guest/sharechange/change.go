// Package sharechange is how a share's host tells its guest what somebody else
// than the guest has changed: a notice on the share's stream, among the answers.
//
// The guest's agent does in the guest what was done on the host, and answers the
// requests that its kernel then makes. For that it needs one request more than
// FUSE has: OpRelookup, of a node alone, is answered as a FUSE_LOOKUP that has found
// that node would be, and counts as one.
package sharechange

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind is what was done.
type Kind uint32

// Kinds of changes.
const (
	// Create: Name has come into being.
	Create Kind = iota + 1
	// Delete: Name is gone.
	Delete
	// Rename: Name in Dir has become NewName in NewDir.
	Rename
	// Modify: the data of Name were changed.
	Modify
	// Attrib: the owner, mode, times, links or extended attributes of Name were changed.
	Attrib
	// CloseWrite: somebody who could write to Name has closed it.
	CloseWrite
	// Crowded is no change: the guest knows more files than it should, and is asked to forget some.
	Crowded
)

var kindNames = map[Kind]string{
	Create: "create", Delete: "delete", Rename: "rename", Modify: "modify", Attrib: "attrib", CloseWrite: "close-write", Crowded: "crowded",
}

func (k Kind) String() string {
	if name := kindNames[k]; name != "" {
		return name
	}
	return fmt.Sprintf("change %d", uint32(k))
}

// Change is one change of a share's tree. Nodes are FUSE node ids that the
// guest knows, or 0; inode numbers are those in the attributes.
type Change struct {
	Kind Kind
	// Mode is the file's type and permissions.
	Mode uint32
	// Dir is the folder, 0 if the share's root itself was changed and is a file. An
	// empty Name means Dir itself.
	Dir, DirIno uint64
	Name        string
	// Gone: Name is not there any more, by a change that is told later.
	Gone bool
	// Node and Ino are the changed file's.
	Node, Ino uint64
	// NewDir and NewName are where a Rename leads, and Replaced and ReplacedMode what was there before.
	NewDir, NewDirIno uint64
	NewName           string
	Replaced          uint64
	ReplacedMode      uint32
}

// OpRelookup is the opcode.
const OpRelookup = 0x50444b31

const (
	// code tells our notices from the kernel's own (enum fuse_notify_code).
	code       = 0x50444b31
	headerSize = 16
	fixedSize  = 80
	maxName    = 255
	// MaxSize bounds a notice.
	MaxSize = headerSize + fixedSize + 2*(maxName+1)
)

// Encode makes the notice.
func Encode(c Change) []byte {
	msg := make([]byte, 0, MaxSize)
	put32 := func(v uint32) { msg = binary.NativeEndian.AppendUint32(msg, v) }
	put64 := func(v uint64) { msg = binary.NativeEndian.AppendUint64(msg, v) }
	put32(0) // the size: below
	put32(code)
	put64(0)
	put32(uint32(c.Kind))
	put32(c.Mode)
	for _, v := range []uint64{c.Dir, c.DirIno, c.Node, c.Ino, c.NewDir, c.NewDirIno, c.Replaced, uint64(c.ReplacedMode)} {
		put64(v)
	}
	gone := uint64(0)
	if c.Gone {
		gone = 1
	}
	put64(gone)
	msg = append(append(msg, c.Name...), 0)
	msg = append(append(msg, c.NewName...), 0)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	return msg
}

// Is tells whether a message of the host's, with its header, is a notice of ours.
func Is(msg []byte) bool {
	return len(msg) >= headerSize && binary.NativeEndian.Uint32(msg[4:]) == code && binary.NativeEndian.Uint64(msg[8:]) == 0
}

var errMalformed = errors.New("malformed notice of a change")

// Decode reads a notice.
func Decode(msg []byte) (Change, error) {
	if !Is(msg) || len(msg) < headerSize+fixedSize+2 || len(msg) > MaxSize {
		return Change{}, errMalformed
	}
	in := msg[headerSize:]
	c := Change{Kind: Kind(binary.NativeEndian.Uint32(in)), Mode: binary.NativeEndian.Uint32(in[4:])}
	in = in[8:]
	mode, gone := uint64(0), uint64(0)
	for _, v := range []*uint64{&c.Dir, &c.DirIno, &c.Node, &c.Ino, &c.NewDir, &c.NewDirIno, &c.Replaced, &mode, &gone} {
		*v = binary.NativeEndian.Uint64(in)
		in = in[8:]
	}
	c.ReplacedMode, c.Gone = uint32(mode), gone != 0
	name, rest, ok := bytes.Cut(in, []byte{0})
	newName, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 || len(rest) > 0 || kindNames[c.Kind] == "" || bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(newName, '/') >= 0 {
		return Change{}, errMalformed
	}
	c.Name, c.NewName = string(name), string(newName)
	return c, nil
}
