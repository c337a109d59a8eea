package hcs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// fixedVHD checks a fixed VHD's footer and tells the disk's size: what precedes
// the footer. (QEMU's driver would go by the footer's geometry, which Hyper-V does not.)
func fixedVHD(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	const length = 512
	footer := make([]byte, length)
	if _, err := f.ReadAt(footer, st.Size()-length); err != nil {
		return 0, fmt.Errorf("%s has no footer: %w", file, err)
	}
	const fixed = 2
	size := int64(binary.BigEndian.Uint64(footer[48:]))
	sum := binary.BigEndian.Uint32(footer[64:])
	var got uint32
	for i, b := range footer {
		if i < 64 || i >= 68 {
			got += uint32(b)
		}
	}
	if !bytes.HasPrefix(footer, []byte("conectix")) || binary.BigEndian.Uint32(footer[60:]) != fixed || size != st.Size()-length || sum != ^got {
		return 0, fmt.Errorf("%s is no fixed VHD: kind %d, size %d of %d", file, binary.BigEndian.Uint32(footer[60:]), size, st.Size())
	}
	return size, nil
}
