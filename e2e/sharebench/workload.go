package sharebench

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed work.sh
var workScript string

// row is one that the script measures.
type row struct {
	key, name, unit string
	moreIsBetter    bool
}

var rows = []row{
	{"write-1M", "1 MB sequential write", "MB/s", true},
	{"read-1M", "1 MB sequential read", "MB/s", true},
	{"random-read-4k", "4k random read", "1/s", true},
	{"random-write-4k", "4k random write", "1/s", true},
	{"random-write-4k-fsync", "4k random write, each with fsync", "1/s", true},
	{"untar", "untar", "s", false},
	{"find-tree", "find over that tree", "s", false},
	{"git-add", "git add of it", "s", false},
	{"git-status", "git status", "s", false},
	{"npm-install", "unpack, rename and link as npm", "s", false},
	{"remove", "remove both trees", "s", false},
	{"find-many", "find", "s", false},
}

// Samples are what was measured, by a row's key.
type Samples map[string][]float64

// read adds what one run of the script printed. A run without all rows is an error.
func (s Samples) read(output string) error {
	found := map[string]float64{}
	for line := range strings.Lines(output) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "failed":
			return fmt.Errorf("the measured programs failed: %s", strings.TrimSpace(line))
		case len(f) == 4 && f[0] == "took":
			from, err1 := strconv.ParseFloat(f[2], 64)
			to, err2 := strconv.ParseFloat(f[3], 64)
			if err1 != nil || err2 != nil {
				return fmt.Errorf("not times: %q", line)
			}
			found[f[1]] = to - from
		case len(f) >= 3 && f[0] == "fio":
			v, err := fioRate(f[1], strings.Join(f[2:], " "))
			if err != nil {
				return err
			}
			found[f[1]] = v
		}
	}
	for _, r := range rows {
		v, ok := found[r.key]
		if !ok {
			return fmt.Errorf("no figure of %s; the end of what was printed:\n%s", r.key, output[max(0, len(output)-1500):])
		}
		s[r.key] = append(s[r.key], v)
	}
	return nil
}

// Fields of a line of fio's terse output, version 3.
const (
	fioReadKB, fioReadIOPS   = 6, 7
	fioWriteKB, fioWriteIOPS = 47, 48
)

// fioRate is MB/s of jobs with large blocks, and operations a second of others.
func fioRate(key, line string) (float64, error) {
	f := strings.Split(line, ";")
	if len(f) <= fioWriteIOPS {
		return 0, fmt.Errorf("fio printed %q", line)
	}
	field := fioReadIOPS
	switch large, write := strings.HasSuffix(key, "1M"), strings.Contains(key, "write"); {
	case large && write:
		field = fioWriteKB
	case large:
		field = fioReadKB
	case write:
		field = fioWriteIOPS
	}
	v, err := strconv.ParseFloat(f[field], 64)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("fio's %s: field %d is %q", key, field, f[field])
	}
	if strings.HasSuffix(key, "1M") {
		v /= 1000
	}
	return v, nil
}
