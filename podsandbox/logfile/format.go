package logfile

import (
	"bytes"
	"time"
)

// MaxLine is the longest payload of one log line, in bytes, as containerd's default.
const MaxLine = 16 << 10

// Stream is which output of the container a line came from.
type Stream uint8

// The streams of a log.
const (
	Stdout Stream = iota
	Stderr
	streams // how many there are
)

// String is the stream's name in the log.
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// timeFormat is RFC 3339 with all nine digits, so that lines sort.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// appendLine appends one log line to buf.
func appendLine(buf []byte, at time.Time, s Stream, full bool, payload []byte) []byte {
	buf = at.UTC().AppendFormat(buf, timeFormat)
	buf = append(buf, ' ')
	buf = append(buf, s.String()...)
	if full {
		buf = append(buf, " F "...)
	} else {
		buf = append(buf, " P "...)
	}
	buf = append(buf, payload...)
	return append(buf, '\n')
}

// parseLine reads one log line without its newline: its stream and how many
// bytes of container output it stands for. ok is false for what is no log line.
func parseLine(line []byte) (s Stream, output uint64, ok bool) {
	stamp, rest, found := bytes.Cut(line, []byte{' '})
	if !found {
		return 0, 0, false
	}
	if _, err := time.Parse(time.RFC3339Nano, string(stamp)); err != nil {
		return 0, 0, false
	}
	name, rest, found := bytes.Cut(rest, []byte{' '})
	if !found {
		return 0, 0, false
	}
	switch string(name) {
	case "stdout":
		s = Stdout
	case "stderr":
		s = Stderr
	default:
		return 0, 0, false
	}
	tag, payload, found := bytes.Cut(rest, []byte{' '})
	if !found {
		return 0, 0, false
	}
	switch string(tag) {
	case "F":
		return s, uint64(len(payload)) + 1, true
	case "P":
		return s, uint64(len(payload)), true
	}
	return 0, 0, false
}
