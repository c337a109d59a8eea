package logfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// recordEvery is how many log bytes may be parsed again at Resume.
const recordEvery = 1 << 20

// Log is one container's log. Its methods may be called concurrently.
type Log struct {
	path       string // empty: output is counted, not kept
	recordPath string

	mu       sync.Mutex
	file     *os.File // nil without a path
	id       fileID
	size     int64
	recorded int64           // size at the last record
	offsets  [streams]uint64 // bytes in the log
	held     [streams][]byte // bytes after the last newline, not in the log
}

// Create starts a log at path, made with its folder if absent, else appended
// to. With an empty path output is only counted.
func Create(path, recordPath string) (*Log, error) {
	l := &Log{path: path, recordPath: recordPath}
	if err := os.MkdirAll(filepath.Dir(recordPath), 0o700); err != nil {
		return nil, fmt.Errorf("log record: %w", err)
	}
	if err := l.openPath(); err != nil {
		return nil, err
	}
	if err := l.saveRecord(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Offset is how many bytes of a stream are in the log: where the guest's output is to be read from.
func (l *Log) Offset(s Stream) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.offsets[s]
}

// Held is how many bytes beyond Offset were given to Append already.
func (l *Log) Held(s Stream) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held[s])
}

// Append adds output that follows what was appended before and returns the
// stream's new offset. On an error nothing was added and the call may be repeated.
func (l *Log) Append(s Stream, output []byte, at time.Time) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending := append(l.held[s][:len(l.held[s]):len(l.held[s])], output...)
	lines, used := splitLines(pending, at, s)
	if err := l.write(lines); err != nil {
		return l.offsets[s], err
	}
	l.advance(s, used, pending)
	return l.offsets[s], nil
}

// Finish tells that a stream has ended: what is held back becomes a P line.
func (l *Log) Finish(s Stream, at time.Time) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[s]; len(held) > 0 {
		if err := l.write(appendLine(nil, at, s, false, held)); err != nil {
			return l.offsets[s], err
		}
		l.advance(s, len(held), held)
	}
	return l.offsets[s], nil
}

// Restart forgets what is held back of a stream, and counts from offset on: the guest
// sends from there again. An offset beyond the log's means that output was lost.
func (l *Log) Restart(s Stream, offset uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[s] = nil
	l.offsets[s] = offset
}

// Reopen opens the log's path anew, for rotation: later lines go there.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return nil
	}
	if err := l.saveRecord(); err != nil {
		return err
	}
	old, oldID, oldSize := l.file, l.id, l.size
	if err := l.openPath(); err != nil {
		l.file, l.id, l.size = old, oldID, oldSize
		return err
	}
	if err := l.saveRecord(); err != nil {
		l.file.Close()
		l.file, l.id, l.size = old, oldID, oldSize
		return err
	}
	if old != nil {
		old.Close()
	}
	return nil
}

// Close brings the record up to date and closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.saveRecord()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	return err
}

// splitLines formats the lines that pending completes, and tells how many of its bytes they are.
func splitLines(pending []byte, at time.Time, s Stream) (lines []byte, used int) {
	for {
		rest := pending[used:]
		end := bytes.IndexByte(rest, '\n')
		switch {
		case end >= 0 && end <= MaxLine:
			lines = appendLine(lines, at, s, true, rest[:end])
			used += end + 1
		case len(rest) > MaxLine:
			lines = appendLine(lines, at, s, false, rest[:MaxLine])
			used += MaxLine
		default:
			return lines, used
		}
	}
}

// advance notes that used bytes of pending are in the log. Callers hold mu.
func (l *Log) advance(s Stream, used int, pending []byte) {
	l.offsets[s] += uint64(used)
	l.held[s] = append(l.held[s][:0:0], pending[used:]...)
	if l.path != "" && l.size-l.recorded < recordEvery {
		return
	}
	// The record only saves parsing: failing to renew it loses nothing.
	_ = l.saveRecord()
}

// write appends whole lines to the file or nothing. Callers hold mu.
func (l *Log) write(lines []byte) error {
	if l.path == "" || len(lines) == 0 {
		return nil
	}
	if l.file == nil {
		return fmt.Errorf("write log %s: %w", l.path, os.ErrClosed)
	}
	n, err := l.file.WriteAt(lines, l.size)
	if err != nil {
		if n > 0 {
			err = fmt.Errorf("%w (after %d bytes, taken back: %v)", err, n, l.file.Truncate(l.size))
		}
		return fmt.Errorf("write log: %w", err)
	}
	l.size += int64(n)
	return nil
}

// openPath opens the log's path for appending. Callers hold mu or own l.
func (l *Log) openPath() error {
	if l.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	f, err := openFile(l.path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return l.use(f)
}

// use makes f the log's file, from its end on.
func (l *Log) use(f *os.File) error {
	id, err := identify(f)
	if err == nil {
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			l.file, l.id, l.size = f, id, info.Size()
			return nil
		}
	}
	f.Close()
	return fmt.Errorf("open log %s: %w", f.Name(), err)
}

// saveRecord writes the sidecar. Callers hold mu or own l.
func (l *Log) saveRecord() error {
	l.recorded = l.size
	return record{Offsets: l.offsets, Size: l.size, File: l.id}.save(l.recordPath)
}
