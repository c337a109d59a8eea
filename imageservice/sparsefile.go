package imageservice

import (
	"bytes"
	"io"
	"os"
)

const holeSize = 64 << 10

var zeros [holeSize]byte

// sparseFile leaves holes where zeros are written past the end of what was
// written before, so that sparse files and empty tables take no space.
type sparseFile struct {
	file *os.File
	pos  int64 // where the next write goes
	end  int64 // behind the last byte written or skipped
}

func (s *sparseFile) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, holeSize-int(s.pos%holeSize))
		chunk := p[done : done+n]
		if s.pos < s.end || !bytes.Equal(chunk, zeros[:n]) {
			// Take what follows up to the next run of zeros along.
			for next := done + n; next+holeSize <= len(p) && (s.pos < s.end || !bytes.Equal(p[next:next+holeSize], zeros[:])); next += holeSize {
				chunk = p[done : next+holeSize]
			}
			if _, err := s.file.WriteAt(chunk, s.pos); err != nil {
				return done, err
			}
		}
		s.pos += int64(len(chunk))
		s.end = max(s.end, s.pos)
		done += len(chunk)
	}
	return len(p), nil
}

func (s *sparseFile) Read(p []byte) (int, error) {
	n, err := s.file.ReadAt(p, s.pos)
	s.pos += int64(n)
	if n > 0 {
		return n, nil
	}
	return n, err
}

func (s *sparseFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		s.pos = offset
	case io.SeekCurrent:
		s.pos += offset
	case io.SeekEnd:
		s.pos = s.end + offset
	}
	return s.pos, nil
}

// finish gives the file its length, holes at its end included.
func (s *sparseFile) finish() error { return s.file.Truncate(s.end) }
