package imageservice

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Where ext4 keeps what padInodeBitmaps needs (block size 4096, descriptors of 32 bytes).
const (
	ext4Block           = 4096
	ext4Superblock      = 1024
	ext4DescriptorSize  = 32
	ext4InodesCount     = 0x00 // in the superblock
	ext4InodesPerGroup  = 0x28 // in the superblock
	ext4InodeBitmapInGD = 0x04 // in a group descriptor
)

// readWriterAt is what of a file a fix-up needs.
type readWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// padInodeBitmaps marks the inodes that a group does not have as used. The
// converter leaves them free, which Linux ignores but e2fsck reports as damage.
func padInodeBitmaps(disk readWriterAt) error {
	sb := make([]byte, 1024)
	if _, err := disk.ReadAt(sb, ext4Superblock); err != nil {
		return fmt.Errorf("reading the superblock: %w", err)
	}
	perGroup := binary.LittleEndian.Uint32(sb[ext4InodesPerGroup:])
	if perGroup == 0 || perGroup%8 != 0 || perGroup > ext4Block*8 {
		return fmt.Errorf("the disk has %d inodes in a group", perGroup)
	}
	padding := bytes.Repeat([]byte{0xff}, ext4Block-int(perGroup/8))
	if len(padding) == 0 {
		return nil
	}
	groups := binary.LittleEndian.Uint32(sb[ext4InodesCount:]) / perGroup
	descriptors := make([]byte, groups*ext4DescriptorSize)
	if _, err := disk.ReadAt(descriptors, ext4Block); err != nil {
		return fmt.Errorf("reading the group descriptors: %w", err)
	}
	for g := range groups {
		block := binary.LittleEndian.Uint32(descriptors[g*ext4DescriptorSize+ext4InodeBitmapInGD:])
		if _, err := disk.WriteAt(padding, int64(block)*ext4Block+int64(perGroup/8)); err != nil {
			return err
		}
	}
	return nil
}
