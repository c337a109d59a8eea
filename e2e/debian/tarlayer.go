package debian

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tarLayer is an uncompressed tar in a file: on the loopback, compressing
// costs more than it saves.
type tarLayer struct {
	file   string
	digest v1.Hash
	size   int64
}

// record is kept beside the file: it shows that the tar is whole, and saves reading it.
type record struct {
	Digest string
	Size   int64
}

func openTarLayer(file string) (*tarLayer, error) {
	text, err := os.ReadFile(file + ".json")
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s.json: %w", file, err)
	}
	l := &tarLayer{file: file, size: r.Size}
	if l.digest, err = v1.NewHash(r.Digest); err != nil {
		return nil, fmt.Errorf("%s.json: %w", file, err)
	}
	st, err := os.Stat(file)
	if err == nil && st.Size() != r.Size {
		err = fmt.Errorf("%s is %d bytes, its record says %d; delete both", file, st.Size(), r.Size)
	}
	return l, err
}

func writeTarLayer(file string, write func(io.Writer) error) (*tarLayer, error) {
	f, err := os.Create(file + ".new")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	if err := write(buffered); err != nil {
		return nil, err
	}
	if err := buffered.Flush(); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(record{Digest: fmt.Sprintf("sha256:%x", sum.Sum(nil)), Size: size})
	if err != nil {
		return nil, err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file+".json", text, 0o644); err != nil {
		return nil, err
	}
	return openTarLayer(file)
}

// The methods of v1.Layer.

func (l *tarLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *tarLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *tarLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l *tarLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.file) }
func (l *tarLayer) Size() (int64, error)                 { return l.size, nil }
func (l *tarLayer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }
