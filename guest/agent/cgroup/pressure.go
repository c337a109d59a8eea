//go:build linux

package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/paddock-run/paddock/guest/api"
)

// pressure reads one of a group's files of stall information; nil where the kernel keeps none.
func pressure(dir, file string) *api.Pressure {
	raw, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	out := &api.Pressure{}
	for line := range strings.Lines(string(raw)) {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "some":
			out.Some = stall(rest)
		case "full":
			out.Full = stall(rest)
		}
	}
	return out
}

// stall parses "avg10=0.00 avg60=0.00 avg300=0.00 total=0", the total in microseconds.
func stall(line string) *api.Stall {
	s := &api.Stall{}
	for _, field := range strings.Fields(line) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "avg10":
			s.Avg10 = hundredths(value)
		case "avg60":
			s.Avg60 = hundredths(value)
		case "avg300":
			s.Avg300 = hundredths(value)
		case "total":
			n, _ := strconv.ParseUint(value, 10, 64)
			s.TotalNanos = n * 1000
		}
	}
	return s
}

// hundredths parses a percentage that has two decimals.
func hundredths(percent string) uint32 {
	whole, fraction, _ := strings.Cut(percent, ".")
	n, _ := strconv.ParseUint(whole+fraction, 10, 32)
	return uint32(n)
}
