// Package registry runs a real image registry on the loopback, for tests,
// samples and benchmarks.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry serves images over plain HTTP.
type Registry struct {
	// Host is its address: 127.0.0.1:port.
	Host   string
	server *http.Server
}

// Taggable is what can be pushed: an image, or an index of images.
type Taggable = remote.Taggable

// Start serves a registry that keeps its blobs below dir.
func Start(dir string) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	handler := registry.New(
		registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)),
	)
	r := &Registry{Host: l.Addr().String(), server: &http.Server{Handler: handler}}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// Close stops serving.
func (r *Registry) Close() error { return r.server.Close() }

// Push pushes an image or index as repository:tag, such as "busybox:1", and
// returns the reference to pull it by.
func (r *Registry) Push(ctx context.Context, repoTag string, what Taggable) (string, error) {
	ref, err := name.ParseReference(r.Host+"/"+repoTag, name.Insecure)
	if err != nil {
		return "", err
	}
	switch what := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what, remote.WithContext(ctx))
	case v1.Image:
		err = remote.Write(ref, what, remote.WithContext(ctx))
	default:
		err = errors.New("neither an image nor an index")
	}
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return ref.String(), nil
}

// WriteMirror makes hostname's images come from this registry, by a hosts.toml
// in certsDir as containerd and Paddock read it.
func (r *Registry) WriteMirror(certsDir, hostname string) error {
	dir := filepath.Join(certsDir, hostname)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	toml := fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+r.Host, "http://"+r.Host)
	return os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(toml), 0o644)
}
