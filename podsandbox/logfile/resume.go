package logfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Resume takes a log up after a restart: it finds the file that was written
// to, which may have been renamed for rotation, and the exact offsets. A torn
// last line is cut off: the guest sends it again.
func Resume(path, recordPath string) (*Log, error) {
	rec, err := loadRecord(recordPath)
	if errors.Is(err, os.ErrNotExist) {
		return Create(path, recordPath)
	}
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, recordPath: recordPath, offsets: rec.Offsets}
	if path != "" {
		if err := l.resumeFile(rec); err != nil {
			return nil, fmt.Errorf("resume log %s: %w", path, err)
		}
	}
	if err := l.saveRecord(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) resumeFile(rec record) error {
	written, err := findByID(filepath.Dir(l.path), rec.File)
	if err != nil {
		return err
	}
	if written == "" { // removed by someone: what the record says is all that is known
		return l.openPath()
	}
	f, err := openFile(written, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := l.readTail(f, rec.Size); err != nil {
		f.Close()
		return err
	}
	if written != l.path {
		// Renamed for rotation. With no new file at the path, ReopenLog is still to
		// come or the rename is undone: the old file goes on. With one, it was asked for.
		if _, err := os.Stat(l.path); err == nil {
			f.Close()
			return l.openPath()
		}
	}
	return l.use(f)
}

// readTail counts the whole lines that f holds beyond size, and cuts a torn one off.
func (l *Log) readTail(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() <= size { // nothing new; smaller if someone truncated it
		return nil
	}
	good, err := scanTail(io.NewSectionReader(f, size, info.Size()-size), &l.offsets)
	if err != nil {
		return err
	}
	if size+good < info.Size() {
		return f.Truncate(size + good)
	}
	return nil
}

// scanTail adds to offsets what the whole lines of tail stand for, and returns
// how many bytes those lines have. What is no log line counts for nothing and stays.
func scanTail(tail io.Reader, offsets *[streams]uint64) (good int64, err error) {
	r := bufio.NewReaderSize(tail, 4*MaxLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return good, nil
		}
		if errors.Is(err, bufio.ErrBufferFull) { // longer than any line of ours
			n, whole, err := skipLine(r)
			if err != nil {
				return good, err
			}
			if !whole {
				return good, nil
			}
			good += int64(len(line)) + n
			continue
		}
		if err != nil {
			return good, err
		}
		good += int64(len(line))
		if s, n, ok := parseLine(bytes.TrimSuffix(line, []byte{'\n'})); ok {
			offsets[s] += n
		}
	}
}

// skipLine reads to the end of a line, and tells whether there was one.
func skipLine(r *bufio.Reader) (n int64, whole bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		n += int64(len(part))
		switch {
		case err == nil:
			return n, true, nil
		case errors.Is(err, io.EOF):
			return n, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return n, false, err
		}
	}
}
