package image

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errLZ4 = errors.New("corrupt LZ4 data")

// unpackLZ4Legacy decodes the LZ4 legacy frame format, which the kernel's
// build uses: a magic number, then blocks, each led by its compressed size.
// size is the size of all that is unpacked.
func unpackLZ4Legacy(src []byte, size int) ([]byte, error) {
	dst := make([]byte, 0, size)
	src = src[4:]
	for len(src) >= 4 && len(dst) < size {
		n := binary.LittleEndian.Uint32(src)
		src = src[4:]
		if uint64(n) > uint64(len(src)) {
			return nil, fmt.Errorf("%w: block of %d bytes, %d left", errLZ4, n, len(src))
		}
		var err error
		if dst, err = unpackLZ4Block(dst, src[:n], size); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	if len(dst) != size {
		return nil, fmt.Errorf("%w: unpacked %d bytes of %d", errLZ4, len(dst), size)
	}
	return dst, nil
}

// unpackLZ4Block appends one decoded block to dst, which may grow to limit.
// Matches do not reach before the block's start.
func unpackLZ4Block(dst, src []byte, limit int) ([]byte, error) {
	start := len(dst)
	for len(src) > 0 {
		token := src[0]
		literals, rest, err := lz4Length(src[1:], int(token>>4))
		if err != nil || literals > len(rest) || len(dst)+literals > limit {
			return nil, errLZ4
		}
		dst = append(dst, rest[:literals]...)
		src = rest[literals:]
		if len(src) == 0 {
			return dst, nil // the last sequence has no match
		}
		if len(src) < 2 {
			return nil, errLZ4
		}
		distance := int(binary.LittleEndian.Uint16(src))
		match, rest, err := lz4Length(src[2:], int(token&15))
		match += 4
		if err != nil || distance == 0 || distance > len(dst)-start || len(dst)+match > limit {
			return nil, errLZ4
		}
		for range match { // byte by byte: a match may overlap what it makes
			dst = append(dst, dst[len(dst)-distance])
		}
		src = rest
	}
	return dst, nil
}

// lz4Length reads the continuation of a 4-bit length.
func lz4Length(src []byte, n int) (int, []byte, error) {
	if n < 15 {
		return n, src, nil
	}
	for i, b := range src {
		n += int(b)
		if n > maxKernel {
			break
		}
		if b != 255 {
			return n, src[i+1:], nil
		}
	}
	return 0, nil, errLZ4
}
