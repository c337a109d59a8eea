// Command watchdir prints the inotify events of a folder, a line each: what was
// done, and to which name. It says "ready" first.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var names = []struct {
	mask uint32
	name string
}{
	{unix.IN_CREATE, "create"}, {unix.IN_DELETE, "delete"}, {unix.IN_MODIFY, "modify"}, {unix.IN_ATTRIB, "attrib"},
	{unix.IN_MOVED_FROM, "from"}, {unix.IN_MOVED_TO, "to"}, {unix.IN_CLOSE_WRITE, "close"}, {unix.IN_Q_OVERFLOW, "overflow"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: watchdir FOLDER")
		os.Exit(2)
	}
	if err := watch(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "watchdir:", err)
		os.Exit(1)
	}
}

func watch(dir string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	var mask uint32
	for _, n := range names {
		mask |= n.mask
	}
	if _, err := unix.InotifyAddWatch(fd, dir, mask&^unix.IN_Q_OVERFLOW); err != nil {
		return err
	}
	fmt.Println("ready")
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		show(buf[:n])
	}
}

// show prints a batch of struct inotify_event.
func show(events []byte) {
	const fixed = 16
	for len(events) >= fixed {
		mask, length := binary.NativeEndian.Uint32(events[4:]), binary.NativeEndian.Uint32(events[12:])
		name, _, _ := bytes.Cut(events[fixed:fixed+length], []byte{0})
		for _, n := range names {
			if mask&n.mask != 0 {
				fmt.Printf("%s %s\n", n.name, name)
			}
		}
		events = events[fixed+length:]
	}
}
