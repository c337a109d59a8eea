package logfile

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2016, 10, 6, 0, 17, 9, 669794202, time.UTC)

const stamp = "2016-10-06T00:17:09.669794202Z"

func TestLinesInTheCRIFormat(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, c := range []struct {
		name   string
		output []string
		want   string
		offset int
	}{
		{"one line", []string{"hello\n"}, stamp + " stdout F hello\n", 6},
		{"line in pieces", []string{"he", "llo", "\n"}, stamp + " stdout F hello\n", 6},
		{"two lines", []string{"a\nb\n"}, stamp + " stdout F a\n" + stamp + " stdout F b\n", 4},
		{"empty line", []string{"\n"}, stamp + " stdout F \n", 1},
		{"carriage return stays", []string{"a\r\n"}, stamp + " stdout F a\r\n", 3},
		{"end without newline", []string{"a\nb"}, stamp + " stdout F a\n" + stamp + " stdout P b\n", 3},
		{"longest full line", []string{long + "\n"}, stamp + " stdout F " + long + "\n", MaxLine + 1},
		{"longer line", []string{long, "yy\n"}, stamp + " stdout P " + long + "\n" + stamp + " stdout F yy\n", MaxLine + 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "sub", "0.log")
			l, err := Create(path, filepath.Join(dir, "record"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, o := range c.output {
				if _, err := l.Append(Stdout, []byte(o), at); err != nil {
					t.Fatal(err)
				}
			}
			offset, err := l.Finish(Stdout, at)
			if err != nil || offset != uint64(c.offset) {
				t.Errorf("offset %d, %v, want %d", offset, err, c.offset)
			}
			got, _ := os.ReadFile(path)
			if string(got) != c.want {
				t.Errorf("log:\n%.200q\nwant\n%.200q", got, c.want)
			}
			if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v", info.Mode())
			}
		})
	}
}

func TestNoPathOnlyCounts(t *testing.T) {
	rec := filepath.Join(t.TempDir(), "record")
	l, err := Create("", rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(Stderr, []byte("a\nb\nc"), at); err != nil {
		t.Fatal(err)
	}
	l, err = Resume("", rec)
	if err != nil || l.Offset(Stderr) != 4 || l.Offset(Stdout) != 0 {
		t.Fatalf("after resume: %v, %d", err, l.Offset(Stderr))
	}
}

func TestFailedWriteTakesNothing(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(filepath.Join(dir, "0.log"), filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(Stdout, []byte("ab"), at); err != nil {
		t.Fatal(err)
	}
	good := l.file
	l.file, err = os.Open(l.path) // not writable
	if err != nil {
		t.Fatal(err)
	}
	if offset, err := l.Append(Stdout, []byte("c\n"), at); err == nil || offset != 0 {
		t.Fatalf("append to a read-only file: %d, %v", offset, err)
	}
	l.file.Close()
	l.file = good
	if offset, err := l.Append(Stdout, []byte("c\n"), at); err != nil || offset != 4 {
		t.Fatalf("append again: %d, %v", offset, err)
	}
	l.Close()
	if got, _ := os.ReadFile(l.path); string(got) != stamp+" stdout F abc\n" {
		t.Fatalf("log: %q", got)
	}
}

func TestParseLine(t *testing.T) {
	for _, c := range []struct {
		line string
		s    Stream
		n    uint64
		ok   bool
	}{
		{stamp + " stdout F ", Stdout, 1, true},
		{stamp + " stderr P ab c", Stderr, 4, true},
		{stamp + " stdout X a", 0, 0, false},
		{stamp + " stdin F a", 0, 0, false},
		{stamp + " stdout F", 0, 0, false},
		{"yesterday stdout F a", 0, 0, false},
		{"", 0, 0, false},
	} {
		s, n, ok := parseLine([]byte(c.line))
		if s != c.s || n != c.n || ok != c.ok {
			t.Errorf("%q: %v %d %v", c.line, s, n, ok)
		}
	}
}

// FuzzScanTail: any tail is read without a panic, the bytes counted as whole
// lines end with a newline, and scanning just those gives the same answer.
func FuzzScanTail(f *testing.F) {
	f.Add([]byte(stamp + " stdout F a\n" + stamp + " stderr P bc\n"))
	f.Add([]byte(stamp + " stdout F torn"))
	f.Add([]byte("garbage\n\n\n"))
	f.Add(bytes.Repeat([]byte("x"), 5*MaxLine))
	f.Add(append(bytes.Repeat([]byte("x"), 5*MaxLine), '\n'))
	f.Fuzz(func(t *testing.T, tail []byte) {
		var offsets, again [streams]uint64
		good, err := scanTail(bytes.NewReader(tail), &offsets)
		if err != nil {
			t.Fatal(err)
		}
		if good > int64(len(tail)) || good > 0 && tail[good-1] != '\n' {
			t.Fatalf("good %d of %d", good, len(tail))
		}
		if bytes.IndexByte(tail[good:], '\n') >= 0 {
			t.Fatal("a whole line was left out")
		}
		if n, _ := scanTail(bytes.NewReader(tail[:good]), &again); n != good || again != offsets {
			t.Fatalf("again: %d %v, first %d %v", n, again, good, offsets)
		}
	})
}
