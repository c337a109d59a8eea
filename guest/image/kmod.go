package image

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// module is a kernel module as its own .modinfo section describes it.
type module struct {
	name    string   // with _ for -
	path    string   // relative to lib/modules/<release>
	depends []string // names, to be loaded before it
	aliases []string // shell patterns by which the kernel asks for it
}

// moduleSet is every module of a kernel, and the names of what is built in.
type moduleSet struct {
	dir     string // lib/modules/<release>, on the host
	release string
	byName  map[string]string // name to path
	builtin map[string]bool
}

// openModules reads the tree of the one kernel whose package is unpacked in root.
func openModules(root string) (*moduleSet, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "lib/modules/*"))
	if err != nil || len(dirs) != 1 {
		return nil, fmt.Errorf("want one kernel's modules in %s/lib/modules, found %d", root, len(dirs))
	}
	s := &moduleSet{dir: dirs[0], release: filepath.Base(dirs[0]), byName: map[string]string{}, builtin: map[string]bool{}}
	err = filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(p, ".ko") {
			rel, _ := filepath.Rel(s.dir, p)
			s.byName[moduleName(rel)] = rel
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for _, p := range strings.Fields(string(b)) {
		s.builtin[moduleName(p)] = true
	}
	return s, nil
}

// moduleName is the kernel's name for the module in a file.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}

// load reads one module's description.
func (s *moduleSet) load(name string) (module, error) {
	rel, ok := s.byName[name]
	if !ok {
		return module{}, fmt.Errorf("kernel %s has no module %s", s.release, name)
	}
	info, err := readModinfo(filepath.Join(s.dir, rel))
	if err != nil {
		return module{}, fmt.Errorf("module %s: %w", name, err)
	}
	m := module{name: name, path: rel, aliases: info["alias"]}
	for _, list := range info["depends"] {
		m.depends = append(m.depends, splitModules(list, ",")...)
	}
	for _, soft := range info["softdep"] {
		m.depends = append(m.depends, s.softDepends(soft)...)
	}
	return m, nil
}

// softDepends picks from a "pre: a b post: c" line what is to precede and exists as a module.
func (s *moduleSet) softDepends(line string) []string {
	var names []string
	pre := false
	for _, word := range strings.Fields(line) {
		switch name := moduleName(word); {
		case word == "pre:":
			pre = true
		case word == "post:":
			pre = false
		case pre && s.byName[name] != "":
			names = append(names, name)
		}
	}
	return names
}

func splitModules(list, sep string) []string {
	var names []string
	for _, n := range strings.Split(list, sep) {
		if n != "" {
			names = append(names, moduleName(n))
		}
	}
	return names
}

// resolve returns the modules named, and before each of them what it depends
// on, without those in have (which it adds to) and those built in.
func (s *moduleSet) resolve(names []string, have map[string]bool) ([]module, error) {
	var out []module
	var visit func(name string, chain []string) error
	visit = func(name string, chain []string) error {
		if have[name] || s.builtin[name] {
			return nil
		}
		have[name] = true
		m, err := s.load(name)
		if err != nil {
			if len(chain) > 0 {
				err = fmt.Errorf("%w (needed by %s)", err, strings.Join(chain, ", "))
			}
			return err
		}
		for _, d := range m.depends {
			if err := visit(d, append(chain, name)); err != nil {
				return err
			}
		}
		out = append(out, m)
		return nil
	}
	for _, name := range names {
		if err := visit(name, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readModinfo reads the key=value strings of a module's .modinfo section.
func readModinfo(file string) (map[string][]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	data, err := section.Data()
	if err != nil {
		return nil, err
	}
	info := map[string][]string{}
	scan := bufio.NewScanner(bytes.NewReader(data))
	scan.Buffer(nil, len(data)+1)
	scan.Split(splitNUL)
	for scan.Scan() {
		if k, v, ok := strings.Cut(scan.Text(), "="); ok {
			info[k] = append(info[k], v)
		}
	}
	return info, scan.Err()
}

func splitNUL(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// sortedLines joins lines into a file's text, sorted.
func sortedLines(lines []string) []byte {
	sort.Strings(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}
