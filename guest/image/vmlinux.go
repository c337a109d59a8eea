package image

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxKernel bounds an unpacked kernel, in bytes.
const maxKernel = 256 << 20

// Offsets in a bzImage, from the kernel's Documentation/x86/boot.rst.
const (
	offSetupSects    = 0x1f1
	offHeaderMagic   = 0x202
	offPayloadOffset = 0x248
	offPayloadLength = 0x24c
	endOfHeader      = 0x250
)

// ExtractVmlinux returns the ELF kernel compressed inside a bzImage. A
// hypervisor can enter it directly (PVH), without the decompressor's run.
func ExtractVmlinux(bzImage []byte) ([]byte, error) {
	payload, err := kernelPayload(bzImage)
	if err != nil {
		return nil, err
	}
	vmlinux, err := unpackPayload(payload)
	if err != nil {
		return nil, err
	}
	if _, err := elf.NewFile(bytes.NewReader(vmlinux)); err != nil {
		return nil, fmt.Errorf("the kernel's payload is no ELF file: %w", err)
	}
	return vmlinux, nil
}

// kernelPayload finds the compressed kernel by the boot protocol's header.
func kernelPayload(img []byte) ([]byte, error) {
	if len(img) < endOfHeader || string(img[offHeaderMagic:offHeaderMagic+4]) != "HdrS" {
		return nil, errors.New("not a bzImage: no HdrS header")
	}
	setup := (uint64(img[offSetupSects]) + 1) * 512
	start := setup + uint64(binary.LittleEndian.Uint32(img[offPayloadOffset:]))
	length := uint64(binary.LittleEndian.Uint32(img[offPayloadLength:]))
	if length < 8 || start+length > uint64(len(img)) {
		return nil, fmt.Errorf("bzImage payload at %d, %d bytes, lies outside the file's %d", start, length, len(img))
	}
	return img[start : start+length], nil
}

// unpackPayload decompresses by magic number. Except for gzip, whose trailer
// carries it, the kernel's build appends the unpacked size, 4 bytes.
func unpackPayload(p []byte) ([]byte, error) {
	size := binary.LittleEndian.Uint32(p[len(p)-4:])
	if size > maxKernel {
		return nil, fmt.Errorf("kernel says it unpacks to %d bytes, more than the limit of %d", size, maxKernel)
	}
	body := p[:len(p)-4]
	switch {
	case bytes.HasPrefix(p, []byte{0x02, 0x21, 0x4c, 0x18}):
		return unpackLZ4Legacy(body, int(size))
	case bytes.HasPrefix(p, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxKernel))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.DecodeAll(body, nil)
	case bytes.HasPrefix(p, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bytes.NewReader(p))
		if err != nil {
			return nil, err
		}
		r.Multistream(false)
		return io.ReadAll(io.LimitReader(r, maxKernel))
	}
	return nil, fmt.Errorf("kernel compressed in an unknown format (starts % x); lz4, zstd and gzip are known", p[:6])
}
