package image

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// libDirs are searched for shared libraries, within a tree of unpacked packages.
var libDirs = []string{"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"}

// library is one shared library of a closure.
type library struct {
	soname string // the name others need it by
	path   string // the file, on the host
}

// closure is all a dynamic program needs.
type closure struct {
	interpreter string    // path in the guest: the dynamic linker
	loader      string    // that file, on the host
	libraries   []library // sorted by soname
}

// neededBy computes the shared libraries that the program at root/name needs,
// and those that they need, from the ELF files themselves. What more files need,
// which the program finds by itself, is included.
func neededBy(root, name string, more ...string) (closure, error) {
	var c closure
	program := filepath.Join(root, name)
	interp, err := interpreter(program)
	if err != nil {
		return c, err
	}
	c.interpreter = interp
	if c.loader, err = findLibrary(root, filepath.Base(interp)); err != nil {
		return c, fmt.Errorf("dynamic linker of %s: %w", name, err)
	}
	seen, queue := map[string]bool{filepath.Base(interp): true}, []string{program}
	for _, file := range more {
		seen[filepath.Base(file)] = true
		queue = append(queue, filepath.Join(root, file))
	}
	for ; len(queue) > 0; queue = queue[1:] {
		needed, err := imported(queue[0])
		if err != nil {
			return c, err
		}
		for _, soname := range needed {
			if seen[soname] {
				continue
			}
			seen[soname] = true
			file, err := findLibrary(root, soname)
			if err != nil {
				return c, fmt.Errorf("%s needs %s: %w", filepath.Base(queue[0]), soname, err)
			}
			c.libraries = append(c.libraries, library{soname, file})
			queue = append(queue, file)
		}
	}
	sort.Slice(c.libraries, func(i, j int) bool { return c.libraries[i].soname < c.libraries[j].soname })
	return c, nil
}

func imported(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	defer f.Close()
	return f.ImportedLibraries()
}

// interpreter reads the PT_INTERP header of a program.
func interpreter(file string) (string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz < 2 || p.Filesz > 4096 {
			continue
		}
		b := make([]byte, p.Filesz-1) // without the closing NUL
		if _, err := p.ReadAt(b, 0); err != nil {
			return "", fmt.Errorf("read interpreter of %s: %w", file, err)
		}
		return string(b), nil
	}
	return "", fmt.Errorf("%s has no interpreter: not a dynamic program", file)
}

// findLibrary finds a library and follows its links inside root: an absolute
// link's target is a path of the tree.
func findLibrary(root, soname string) (string, error) {
	for _, dir := range libDirs {
		rel := filepath.Join(dir, soname)
		for range 8 {
			target, err := os.Readlink(filepath.Join(root, rel))
			if err != nil {
				break
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(rel), target)
			}
			rel = filepath.Clean("/" + target)
		}
		full := filepath.Join(root, rel)
		if st, err := os.Lstat(full); err == nil && st.Mode().IsRegular() {
			return full, nil
		}
	}
	return "", fmt.Errorf("library %s is in none of the unpacked packages", soname)
}
