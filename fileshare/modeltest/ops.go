//go:build linux

// Package modeltest runs random sequences of file operations on a share and on
// an ordinary folder, which is the model: each operation must give the same on
// both, and both trees must be the same in the end.
package modeltest

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Kind is what an operation does.
type Kind uint8

// Kinds of operations.
const (
	Create Kind = iota // of a file that must not be there
	Write              // a few bytes, at an offset
	Append
	Read
	Truncate
	Punch // a hole
	Unlink
	Mkdir
	Rmdir
	Rename
	Link
	Symlink
	Readlink
	Chmod
	Stat
	List
	SetXattr
	GetXattr
	RemoveXattr
	kinds
)

var kindNames = [...]string{"create", "write", "append", "read", "truncate", "punch", "unlink", "mkdir", "rmdir", "rename", "link",
	"symlink", "readlink", "chmod", "stat", "list", "setxattr", "getxattr", "removexattr"}

func (k Kind) String() string { return kindNames[k] }

// Op is an operation. What B, N and Flags mean depends on Kind.
type Op struct {
	Kind  Kind
	A, B  string // paths below the root
	N     uint32
	Flags uint32 // of Rename
}

func (o Op) String() string {
	return fmt.Sprintf("%v %s %s %d %#x", o.Kind, o.A, o.B, o.N, o.Flags)
}

// paths are few, so that operations meet.
var paths = []string{"a", "b", "d", "e", "d/a", "d/b", "d/d", "e/a", "e/d", "d/d/a", "e/d/a", "d/d/d"}

var renameFlags = []uint32{0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}

// maxOps bounds a sequence.
const maxOps = 400

// Parse makes a sequence of any bytes, four for each operation.
func Parse(data []byte) (ops []Op) {
	for ; len(data) >= 4 && len(ops) < maxOps; data = data[4:] {
		ops = append(ops, Op{
			Kind: Kind(data[0]) % kinds, A: paths[int(data[1])%len(paths)], B: paths[int(data[2])%len(paths)],
			N: uint32(data[3]) * 97, Flags: renameFlags[int(data[3])%len(renameFlags)],
		})
	}
	return ops
}

// Tree is what operations are done on.
type Tree interface {
	// Do does one and tells what came of it: Result of an error, else what it has read.
	Do(op Op) string
}

// Result is the text for what a system call gave.
func Result(errno unix.Errno, text string) string {
	if errno != 0 {
		return unix.ErrnoName(errno)
	}
	return "ok " + text
}

// Split is a path's folder, as its parts, and name.
func Split(path string) (folder []string, name string) {
	parts := strings.Split(path, "/")
	return parts[:len(parts)-1], parts[len(parts)-1]
}

// Content is what Write and Append write.
func (o Op) Content() []byte { return fmt.Appendf(nil, "%d of %s;", o.N, o.A) }

// XattrName and XattrValue are those of SetXattr.
func (o Op) XattrName() string  { return fmt.Sprintf("user.x%d", o.N%3) }
func (o Op) XattrValue() []byte { return fmt.Appendf(nil, "%d", o.N) }

// Mode is Chmod's.
func (o Op) Mode() uint32 { return o.N * 31 & 0o7777 }
