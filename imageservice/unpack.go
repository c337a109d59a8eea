package imageservice

import (
	"context"
	"io"
	"os"
)

// Unpacker turns the layers of one guest OS into disks.
type Unpacker interface {
	// FSType is the file system of the disks.
	FSType() string
	// Extension ends the names of the disks' files: the same layer may be
	// unpacked for several guest OSes.
	Extension() string
	// Unpack writes one layer's disk to dst, an empty file. It may open the
	// layer several times, one after the other. What it read is verified by the
	// caller, who throws dst away on any error. Errors about the layer itself
	// wrap ErrCorrupt or ErrUnsupported.
	Unpack(ctx context.Context, open OpenLayer, dst *os.File) error
}

// OpenLayer returns a layer's uncompressed tar stream from its beginning. The
// stream must be closed before the next is opened.
type OpenLayer func() (io.ReadCloser, error)
