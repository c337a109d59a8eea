package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// matches reads "pattern path" lines and returns the paths of modules whose
// name or alias the request matches. The kernel treats - and _ as one.
func matches(aliases io.Reader, request string) ([]string, error) {
	request = strings.ReplaceAll(request, "-", "_")
	var paths []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(aliases)
	for lines.Scan() {
		pattern, file, ok := strings.Cut(lines.Text(), " ")
		if !ok || seen[file] {
			continue
		}
		if hit, err := path.Match(pattern, request); err == nil && hit {
			seen[file] = true
			paths = append(paths, file)
		}
	}
	return paths, lines.Err()
}

// loadOrder reads "path: dependency dependency" lines and returns what to load
// for one module, in order, the module last.
func loadOrder(deps io.Reader, file string) ([]string, error) {
	lines := bufio.NewScanner(deps)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if list, ok := strings.CutPrefix(lines.Text(), file+":"); ok {
			return append(strings.Fields(list), file), nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no module %s", file)
}
