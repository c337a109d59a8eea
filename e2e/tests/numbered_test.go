package tests

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// checkNumbered wants prefix0, prefix1, ... over the log files, in order, none
// lost and none twice. It returns how many there are.
func checkNumbered(t *testing.T, prefix string, files ...string) int {
	t.Helper()
	next := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
			_, number, ok := strings.Cut(line, " F "+prefix)
			if !ok {
				continue
			}
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatalf("%s: line %q", file, line)
			}
			if n != next {
				t.Fatalf("%s: line %d follows line %d", file, n, next-1)
			}
			next++
		}
	}
	return next
}
