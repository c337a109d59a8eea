package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
)

// layerStream is a blob read as an uncompressed tar: it counts what it gives
// out against a limit, and its digest.
type layerStream struct {
	ctx      context.Context
	blob     content.ReaderAt
	inner    io.ReadCloser
	ahead    *readahead
	digester digest.Digester
	read     int64
	limit    int64
}

func openLayerStream(ctx context.Context, blob content.ReaderAt, limit int64) (*layerStream, error) {
	inner, err := decompress(io.NewSectionReader(blob, 0, blob.Size()))
	if err != nil {
		return nil, err
	}
	return &layerStream{
		ctx: ctx, blob: blob, inner: inner, ahead: newReadahead(inner),
		digester: digest.SHA256.Digester(), limit: limit,
	}, nil
}

func (l *layerStream) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.ahead.Read(p)
	l.digester.Hash().Write(p[:n])
	if l.read += int64(n); l.read > l.limit {
		return 0, corrupt("it unpacks to more than the %d bytes allowed", l.limit)
	}
	if err != nil && err != io.EOF {
		err = streamError(err)
	}
	return n, err
}

// verify reads the rest of the stream and compares its digest.
func (l *layerStream) verify(want digest.Digest) error {
	if _, err := io.Copy(io.Discard, l); err != nil {
		return err
	}
	if got := l.digester.Digest(); got != want {
		return corrupt("its content has digest %s, the image's config says %s", got, want)
	}
	return nil
}

func (l *layerStream) Close() error {
	return errors.Join(l.ahead.Close(), l.inner.Close())
}

// streamError tells a damaged stream from a disk that cannot be read.
func streamError(err error) error {
	var flateErr flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("it is truncated: %w", err)
	case errors.As(err, &flateErr), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), isZstdError(err):
		return corrupt("it cannot be decompressed: %w", err)
	}
	return fmt.Errorf("reading the blob: %w", err)
}

func isZstdError(err error) bool {
	for _, e := range []error{zstd.ErrReservedBlockType, zstd.ErrCompressedSizeTooBig, zstd.ErrBlockTooSmall,
		zstd.ErrUnexpectedBlockSize, zstd.ErrMagicMismatch, zstd.ErrWindowSizeExceeded, zstd.ErrWindowSizeTooSmall,
		zstd.ErrDecoderSizeExceeded, zstd.ErrUnknownDictionary, zstd.ErrFrameSizeExceeded, zstd.ErrFrameSizeMismatch,
		zstd.ErrCRCMismatch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
