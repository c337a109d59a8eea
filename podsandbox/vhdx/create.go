package vhdx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"unicode/utf16"

	"github.com/google/uuid"
)

// BlockSize is the unit in which an image grows, in bytes: the least that there is,
// since ext4 spreads its metadata.
const BlockSize = 1 << 20

// MaxSize is the largest disk, in bytes (MS-VHDX 2.2.2: 64 TiB).
const MaxSize = 64 << 40

const (
	sectorSize     = 512
	physicalSector = 4096

	logOffset      = 1 << 20
	logLength      = 1 << 20
	metadataOffset = 2 << 20
	metadataLength = 1 << 20
	batOffset      = 3 << 20
	// payloadPerBitmap is how many blocks the BAT's one sector bitmap entry follows (the chunk ratio).
	payloadPerBitmap = (1 << 23) * sectorSize / BlockSize
	blockPresent     = 6 // PAYLOAD_BLOCK_FULLY_PRESENT
)

// GUIDs of regions and metadata (MS-VHDX 2.2.3.2, 2.2.4).
var (
	batRegion          = guid("2DC27766-F623-4200-9D64-115E9BFD4A08")
	metadataRegion     = guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
	fileParameters     = guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
	virtualDiskSize    = guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
	page83Data         = guid("BECA12AB-B2E6-4523-93EF-C309E000C746")
	logicalSectorSize  = guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
	physicalSectorSize = guid("CDA348C7-445D-4471-9CC9-E9885251C556")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Create writes a new image of a disk of size bytes at path, which begins with
// what content has, size bytes at most; the rest is zeros. Blocks of zeros are not
// stored. On error no file is left.
func Create(ctx context.Context, path string, size int64, content io.Reader) (err error) {
	if size <= 0 || size > MaxSize || size%physicalSector != 0 {
		return fmt.Errorf("disk of %d bytes: want a multiple of %d up to %d", size, physicalSector, int64(MaxSize))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(path)
		}
	}()
	blocks := (size + BlockSize - 1) / BlockSize
	entries := blocks + (blocks-1)/payloadPerBitmap
	table := make([]byte, roundUp(entries*8, 1<<20))
	end, err := writeBlocks(ctx, f, size, batOffset+int64(len(table)), table, content)
	if err != nil {
		return fmt.Errorf("write disk image %s: %w", path, err)
	}
	for offset, data := range map[int64][]byte{
		0: identifier(), 64 << 10: header(1), 128 << 10: header(2), 192 << 10: regions(len(table)), 256 << 10: regions(len(table)),
		metadataOffset: metadata(size), batOffset: table,
	} {
		if _, err := f.WriteAt(data, offset); err != nil {
			return err
		}
	}
	return f.Truncate(end)
}

// writeBlocks stores the blocks of content that are not zero from offset at on, and notes them in the table.
func writeBlocks(ctx context.Context, f *os.File, size, at int64, table []byte, content io.Reader) (end int64, err error) {
	block := make([]byte, BlockSize)
	content = io.LimitReader(content, size+1)
	var read int64
	for n := int64(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		got, err := io.ReadFull(content, block)
		read += int64(got)
		if read > size {
			return 0, errors.New("the content is larger than the disk")
		}
		clear(block[got:])
		if got > 0 && !isZero(block) {
			if _, err := f.WriteAt(block, at); err != nil {
				return 0, err
			}
			entry := n + n/payloadPerBitmap
			binary.LittleEndian.PutUint64(table[entry*8:], uint64(at)|blockPresent) // at is a whole MiB: its low 20 bits are the state's
			at += BlockSize
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return at, nil
		case err != nil:
			return 0, err
		}
	}
}

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	return true
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// guid is a GUID as Windows stores it: its first three parts little-endian.
func guid(s string) [16]byte {
	u := uuid.MustParse(s)
	return stored(u)
}

func stored(u uuid.UUID) [16]byte {
	return [16]byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

func identifier() []byte {
	b := make([]byte, 64<<10)
	copy(b, "vhdxfile")
	for i, u := range utf16.Encode([]rune("Paddock")) {
		binary.LittleEndian.PutUint16(b[8+2*i:], u)
	}
	return b
}

// header has random ids, which tell an image from its copies, and no log to replay.
func header(sequence uint64) []byte {
	var h struct {
		Signature            [4]byte
		Checksum             uint32
		Sequence             uint64
		FileWrite, Data, Log [16]byte
		LogVersion, Version  uint16
		LogLength            uint32
		LogOffset            uint64
	}
	copy(h.Signature[:], "head")
	h.Sequence, h.FileWrite, h.Data = sequence, stored(uuid.New()), stored(uuid.New())
	h.Version, h.LogLength, h.LogOffset = 1, logLength, logOffset
	return checked(h, 4<<10)
}

func regions(tableLength int) []byte {
	type entry struct {
		ID               [16]byte
		Offset           uint64
		Length, Required uint32
	}
	var r struct {
		Signature       [4]byte
		Checksum, Count uint32
		Reserved        uint32
		Entries         [2]entry
	}
	copy(r.Signature[:], "regi")
	r.Count = 2
	r.Entries = [2]entry{{batRegion, batOffset, uint32(tableLength), 1}, {metadataRegion, metadataOffset, metadataLength, 1}}
	return checked(r, 64<<10)
}

// checked is a structure of so many bytes with its CRC-32C after the signature.
func checked(v any, length int) []byte {
	b := make([]byte, length)
	copy(b, packed(v))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b, castagnoli))
	return b
}

func packed(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err) // a structure of fixed size
	}
	return b.Bytes()
}

// metadata is the table and, from 64 KiB on, the items.
func metadata(size int64) []byte {
	const (
		itemsOffset   = 64 << 10
		isVirtualDisk = 2
		isRequired    = 4
	)
	items := []struct {
		id    [16]byte
		flags uint32
		data  []byte
	}{
		{fileParameters, isRequired, packed([2]uint32{BlockSize, 0})},
		{virtualDiskSize, isRequired | isVirtualDisk, packed(uint64(size))},
		{page83Data, isRequired | isVirtualDisk, packed(stored(uuid.New()))},
		{logicalSectorSize, isRequired | isVirtualDisk, packed(uint32(sectorSize))},
		{physicalSectorSize, isRequired | isVirtualDisk, packed(uint32(physicalSector))},
	}
	b := make([]byte, itemsOffset+4096)
	copy(b, "metadata")
	binary.LittleEndian.PutUint16(b[10:], uint16(len(items)))
	at := itemsOffset
	for i, item := range items {
		entry := b[32+32*i:]
		copy(entry, item.id[:])
		binary.LittleEndian.PutUint32(entry[16:], uint32(at))
		binary.LittleEndian.PutUint32(entry[20:], uint32(len(item.data)))
		binary.LittleEndian.PutUint32(entry[24:], item.flags)
		at += copy(b[at:], item.data)
	}
	return b
}
