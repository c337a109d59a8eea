package imageservice

import (
	"io"
	"strings"
)

// tarPlan says which entries of a layer to write. A disk is written front to
// back and cannot take back what an entry made; a tar may: it replaces files by
// later entries of the same path. Such layers are read once more, to learn which
// entries last.
type tarPlan struct {
	skip   []bool // by entry
	opaque []bool // whiteouts to turn into a mark on the directory that replaced what they hide
}

// planEntry is what of an entry the plan depends on.
type planEntry struct {
	kind         entryKind
	path, target string
}

// newTarPlan reads a layer for its plan.
func newTarPlan(s *tarScanner) (*tarPlan, error) {
	var entries []planEntry
	for {
		e, err := s.next()
		if err == io.EOF {
			return planEntries(entries), nil
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, planEntry{e.kind, e.path, e.target})
	}
}

func planEntries(entries []planEntry) *tarPlan {
	p := &tarPlan{skip: make([]bool, len(entries)), opaque: make([]bool, len(entries))}
	kinds := p.planContent(entries)
	p.planWhiteouts(entries, kinds)
	return p
}

// planContent goes from the last entry to the first, so that what replaces an
// entry is known when it is met. It returns what each path is in the end.
func (p *tarPlan) planContent(entries []planEntry) map[string]entryKind {
	final := map[string]entryKind{} // what later entries make of a path
	cut := map[string]bool{}        // paths that a later entry makes a file: nothing below lasts
	needed := map[string]bool{}     // files that a later hard link needs as they are here
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.kind == entryWhiteout {
			continue
		}
		if cutAbove(cut, e.path) {
			p.skip[i] = true
			continue
		}
		if e.kind == entryDir || e.kind == entryOpaque {
			if cut[e.path] {
				p.skip[i] = true
				continue
			}
			noteDirs(final, e.path)
			continue
		}
		_, replaced := final[e.path]
		if p.skip[i] = replaced && !needed[e.path]; p.skip[i] {
			cut[e.path] = true
			continue
		}
		delete(needed, e.path)
		if e.kind == entryLink {
			needed[e.target] = true
		}
		cut[e.path] = true
		if !replaced {
			final[e.path] = entryFile
			noteDirs(final, parent(e.path))
		}
	}
	return final
}

// planWhiteouts drops whiteouts of what this very layer holds: they are about
// the layers below. Beside a directory they mean that it begins empty.
func (p *tarPlan) planWhiteouts(entries []planEntry, final map[string]entryKind) {
	seen := map[string]bool{}
	for i, e := range entries {
		if e.kind != entryWhiteout {
			continue
		}
		kind, exists := final[e.path]
		p.opaque[i] = exists && kind == entryDir
		p.skip[i] = (exists && kind != entryDir) || seen[e.path] || fileAbove(final, e.path)
		seen[e.path] = true
	}
}

// noteDirs notes a directory and those it is in.
func noteDirs(final map[string]entryKind, dir string) {
	for ; dir != ""; dir = parent(dir) {
		if _, ok := final[dir]; ok {
			return
		}
		final[dir] = entryDir
	}
}

func cutAbove(cut map[string]bool, p string) bool {
	for dir := parent(p); dir != ""; dir = parent(dir) {
		if cut[dir] {
			return true
		}
	}
	return false
}

func fileAbove(final map[string]entryKind, p string) bool {
	for dir := parent(p); dir != ""; dir = parent(dir) {
		if kind, ok := final[dir]; ok && kind != entryDir {
			return true
		}
	}
	return false
}

// parent is the directory of a plain path, "" for the root.
func parent(p string) string {
	return p[:max(strings.LastIndexByte(p, '/'), 0)]
}
