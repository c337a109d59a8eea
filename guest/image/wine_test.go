package image

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTrimRegistry(t *testing.T) {
	const in = `WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\Machine

#arch=win64

[Software\\Classes\\.chm] 1795795306
#time=1dd7e889aca0974
@="chm.file"

[Software\\Microsoft\\Windows NT\\CurrentVersion] 1795795307
#time=1dd7e889b09cf50
"CurrentBuild"="19043"
"DigitalProductId"=hex:00,00,\
  00,00

[Software\\Microsoft\\Windows NT\\CurrentVersion\\Fonts] 1795795306
#time=1dd7e889acdf5ca

[System\\CurrentControlSet] 1795795295
#time=1dd7e8893e1fe5a
#link
"SymbolicLinkValue"=hex(6):5c,00
`
	const want = `WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\Machine

#arch=win64

[Software\\Microsoft\\Windows NT\\CurrentVersion] 0
"CurrentBuild"="19043"
"DigitalProductId"=hex:00,00,\
  00,00

[System\\CurrentControlSet] 0
#link
"SymbolicLinkValue"=hex(6):5c,00
`
	got, err := trimRegistry([]byte(in))
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := trimRegistry([]byte("REGEDIT4\n")); err == nil {
		t.Error("another form of registry was taken")
	}
}

func TestIdlePE(t *testing.T) {
	f, err := pe.NewFile(bytes.NewReader(idlePE()))
	if err != nil {
		t.Fatal(err)
	}
	opt := f.OptionalHeader.(*pe.OptionalHeader64)
	code, err := f.Sections[0].Data()
	if err != nil || opt.AddressOfEntryPoint != f.Sections[0].VirtualAddress || !bytes.HasPrefix(code, []byte{0x31, 0xc0, 0xc3}) {
		t.Errorf("entry %#x, code % x, %v", opt.AddressOfEntryPoint, code[:8], err)
	}
}

// TestStripPE adds debugging information to a program, and wants it back without.
func TestStripPE(t *testing.T) {
	plain := idlePE()
	optional := len("MZ") + 62 + len("PE\x00\x00") + coffHeader
	sections := optional + binary.Size(pe.OptionalHeader64{})
	full := append(slices.Clone(plain), make([]byte, 0x200)...)
	full[optional-coffHeader+coffSections] = 2
	binary.LittleEndian.PutUint32(full[optional+optSizeOfImage:], 0x3000)
	var header bytes.Buffer
	_ = binary.Write(&header, binary.LittleEndian, pe.SectionHeader32{ // into memory
		Name: [8]uint8{'.', 'd', 'e', 'b', 'u', 'g', '_', 'i'}, VirtualSize: 16, VirtualAddress: 0x2000, SizeOfRawData: 0x200, PointerToRawData: uint32(len(plain)),
	})
	copy(full[sections+peSection:], header.Bytes())
	file := filepath.Join(t.TempDir(), "a.exe")
	if err := os.WriteFile(file, full, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := stripPE(file)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v; want the %d before", len(got), err, len(plain))
	}
	if err := os.WriteFile(file, []byte("MZ"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := stripPE(file); err == nil {
		t.Error("half a header was taken for a program")
	}
}

func TestSilence(t *testing.T) {
	tree := diskTree{"lib": {content: []byte("before\x00" + wineComplaint + " To enable\x00after")}}
	if err := tree.silence("lib"); err != nil {
		t.Fatal(err)
	}
	if c := tree["lib"].content; c[len("before\x00")] != 0 || !bytes.HasSuffix(c, []byte("after")) {
		t.Errorf("%q", c)
	}
	if err := tree.silence("lib"); err == nil {
		t.Error("what is not there was found")
	}
}
