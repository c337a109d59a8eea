package image

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
)

// idlePE is a 64-bit Windows program that ends at once with exit code 0.
func idlePE() []byte {
	const (
		headers   = 0x200
		page      = 0x1000
		dosHeader = 64
	)
	code := []byte{0x31, 0xc0, 0xc3} // xor eax, eax; ret
	var b bytes.Buffer
	dos := make([]byte, dosHeader)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[peOffset:], dosHeader)
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	optional := pe.OptionalHeader64{
		Magic: 0x20b, SizeOfCode: headers, AddressOfEntryPoint: page, BaseOfCode: page,
		ImageBase: 0x140000000, SectionAlignment: page, FileAlignment: headers,
		MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6,
		SizeOfImage: 2 * page, SizeOfHeaders: headers,
		// Of windows, not a console: it gets none.
		Subsystem:          pe.IMAGE_SUBSYSTEM_WINDOWS_GUI,
		DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		SizeOfStackReserve: 1 << 20, SizeOfStackCommit: page, SizeOfHeapReserve: 1 << 20, SizeOfHeapCommit: page,
		NumberOfRvaAndSizes: 16,
	}
	section := pe.SectionHeader32{
		Name: [8]uint8{'.', 't', 'e', 'x', 't'}, VirtualSize: uint32(len(code)), VirtualAddress: page,
		SizeOfRawData: headers, PointerToRawData: headers,
		Characteristics: pe.IMAGE_SCN_CNT_CODE | pe.IMAGE_SCN_MEM_EXECUTE | pe.IMAGE_SCN_MEM_READ,
	}
	file := pe.FileHeader{
		Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(optional)),
		Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_RELOCS_STRIPPED,
	}
	for _, part := range []any{file, optional, section} {
		_ = binary.Write(&b, binary.LittleEndian, part) // into memory
	}
	out := make([]byte, 2*headers)
	copy(out, b.Bytes())
	copy(out[headers:], code)
	return out
}
