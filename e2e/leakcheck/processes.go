package leakcheck

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes lists those whose program, command line, root or working folder
// names a folder of the scope, or whose command line has one of its ids.
func processes(s Scope) ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	self := "/proc/" + strconv.Itoa(os.Getpid())
	ids := s.ids()
	var found []string
	for _, dir := range dirs {
		if dir == self {
			continue
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		exe, _ := os.Readlink(dir + "/exe")
		cwd, _ := os.Readlink(dir + "/cwd")
		root, _ := os.Readlink(dir + "/root")
		args := strings.ReplaceAll(strings.TrimRight(string(cmdline), "\x00"), "\x00", " ")
		if s.owns(exe) || s.owns(cwd) || s.owns(root) || s.mentions(args) || hasID(args, ids) {
			found = append(found, filepath.Base(dir)+" "+shorten(args))
		}
	}
	return found, nil
}

// owns says whether a path lies in a folder of the scope.
func (s Scope) owns(path string) bool {
	for _, d := range s.Dirs {
		if path == d || strings.HasPrefix(path, d+"/") {
			return true
		}
	}
	return false
}

// mentions says whether a text names a folder of the scope.
func (s Scope) mentions(text string) bool {
	for _, d := range s.Dirs {
		if strings.Contains(text, d+"/") || strings.HasSuffix(text, d) {
			return true
		}
	}
	return false
}

func (s Scope) ids() []string {
	if s.IDs == nil {
		return nil
	}
	return s.IDs()
}

func hasID(text string, ids []string) bool {
	for _, id := range ids {
		if strings.Contains(text, id) {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) > 160 {
		return s[:160] + "..."
	}
	return s
}
