package sockets

import (
	"errors"
	"fmt"
	"os"
)

// most is how many listeners of one table are read.
const most = 4096

// Listening lists the listeners of the calling thread's network namespace.
func Listening() ([]Listener, error) {
	var all []Listener
	for _, table := range []struct {
		name string
		udp  bool
	}{{"tcp", false}, {"tcp6", false}, {"udp", true}, {"udp6", true}} {
		// Not /proc/net: that is the first thread's, which may be elsewhere for a moment.
		f, err := os.Open("/proc/thread-self/net/" + table.name)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		found, err := parse(f, table.udp, most)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("list sockets: %s: %w", table.name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}
