package image

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// importsOf are the libraries that a Windows program or library needs, in small letters.
func importsOf(file string) ([]string, error) {
	f, err := pe.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return nil, fmt.Errorf("imports of %s: %w", file, err)
	}
	var names []string
	for _, s := range symbols {
		if _, library, ok := strings.Cut(s, ":"); ok {
			names = append(names, strings.ToLower(library))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// peClosure is files of a folder, with all the files of it that they import, sorted.
func peClosure(dir string, files []string) ([]string, error) {
	seen := map[string]bool{}
	var all []string
	for queue := slices.Clone(files); len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		imports, err := importsOf(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		all = append(all, name)
		queue = append(queue, imports...)
	}
	slices.Sort(all)
	return all, nil
}

// Places in a PE file's headers (Microsoft's PE format).
const (
	peOffset         = 0x3c
	coffSections     = 2  // in the COFF header
	coffSymbols      = 8  // in the COFF header
	coffOptionalSize = 16 // in the COFF header
	coffHeader       = 20
	optSizeOfImage   = 56 // in the optional header
	optChecksum      = 64 // in the optional header
	peSection        = 40
)

// stripPE takes debugging information out of a Windows program or library: the
// sections with names too long for their header, which linkers put last, and the symbols.
func stripPE(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := pe.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	opt, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		return nil, fmt.Errorf("%s is no 64-bit program", file)
	}
	kept, end := 0, uint32(0)
	for i, s := range f.Sections {
		if strings.HasPrefix(s.Name, ".debug") {
			continue
		}
		if kept != i {
			return raw, nil // not last: left as it is
		}
		kept, end = i+1, max(end, s.Offset+s.Size)
	}
	if kept == 0 || end > uint32(len(raw)) {
		return nil, fmt.Errorf("%s: its sections are not within it", file)
	}
	last := f.Sections[kept-1]
	align := opt.SectionAlignment
	image := (last.VirtualAddress + last.VirtualSize + align - 1) / align * align

	coff := int(binary.LittleEndian.Uint32(raw[peOffset:])) + len("PE\x00\x00")
	optional := coff + coffHeader
	sections := optional + int(binary.LittleEndian.Uint16(raw[coff+coffOptionalSize:]))
	out := slices.Clone(raw[:end])
	binary.LittleEndian.PutUint16(out[coff+coffSections:], uint16(kept))
	clear(out[coff+coffSymbols : coff+coffOptionalSize]) // where they are, and how many
	binary.LittleEndian.PutUint32(out[optional+optSizeOfImage:], image)
	clear(out[optional+optChecksum : optional+optChecksum+4])
	clear(out[sections+kept*peSection : sections+len(f.Sections)*peSection])
	return out, nil
}
