package imageservice

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	crregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// testRegistry is a real registry behind a handler that tests can make faulty.
type testRegistry struct {
	*httptest.Server
	host string
	mu   sync.Mutex
	// fault may answer a request itself, and tells so.
	fault func(w http.ResponseWriter, r *http.Request, next http.Handler) bool
	gets  map[string]int // GETs of blobs, by digest
	sent  map[string]int // bytes of them
	rng   []string       // Range headers seen
}

func newTestRegistry(t testing.TB) *testRegistry {
	t.Helper()
	r := &testRegistry{gets: map[string]int{}, sent: map[string]int{}}
	next := withRanges(crregistry.New(crregistry.Logger(log.New(io.Discard, "", 0))))
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		fault := r.fault
		if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
			r.gets[filepath.Base(req.URL.Path)]++
			if h := req.Header.Get("Range"); h != "" {
				r.rng = append(r.rng, h)
			}
		}
		r.mu.Unlock()
		if fault == nil || !fault(w, req, next) {
			next.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(r.Close)
	r.host = strings.TrimPrefix(r.URL, "http://")
	return r
}

// withRanges makes blob answers honour Range, as production registries do.
func withRanges(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") || r.Header.Get("Range") == "" {
			next.ServeHTTP(w, r)
			return
		}
		plain := r.Clone(r.Context())
		plain.Header.Del("Range")
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, plain)
		if rec.Code != http.StatusOK {
			w.WriteHeader(rec.Code)
			return
		}
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		b := rec.Body.Bytes()
		if from >= len(b) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b)-1, len(b)))
		w.Header().Set("Content-Length", fmt.Sprint(len(b)-from))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(b[from:])
	})
}

func (r *testRegistry) setFault(f func(w http.ResponseWriter, r *http.Request, next http.Handler) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// put stores bytes at a path of the registry's API.
func (r *testRegistry) put(t testing.TB, path, mediaType string, b []byte) {
	t.Helper()
	method := http.MethodPut
	if strings.Contains(path, "/blobs/") {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, r.URL+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, body)
	}
}

func (r *testRegistry) blob(t testing.TB, repo, mediaType string, b []byte) ocispec.Descriptor {
	t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	r.put(t, "/v2/"+repo+"/blobs/uploads/?digest="+d.Digest.String(), "application/octet-stream", b)
	return d
}

func (r *testRegistry) manifest(t testing.TB, repo, tag, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if tag == "" {
		tag = d.Digest.String()
	}
	r.put(t, "/v2/"+repo+"/manifests/"+tag, mediaType, b)
	return d
}

// testLayer is a layer as pushed.
type testLayer struct {
	desc   ocispec.Descriptor
	diffID digest.Digest
}

func (r *testRegistry) layer(t testing.TB, repo string, tarball []byte, compress string) testLayer {
	t.Helper()
	var b []byte
	mediaType := ocispec.MediaTypeImageLayer
	switch compress {
	case "gzip":
		b, mediaType = gzipped(tarball), ocispec.MediaTypeImageLayerGzip
	case "zstd":
		e, _ := zstd.NewWriter(nil)
		b, mediaType = e.EncodeAll(tarball, nil), ocispec.MediaTypeImageLayerZstd
	default:
		b = tarball
	}
	return testLayer{r.blob(t, repo, mediaType, b), digest.FromBytes(tarball)}
}

// image pushes an image and returns its manifest and config digests.
func (r *testRegistry) image(t testing.TB, repo, tag string, p ocispec.Platform, layers ...testLayer) (ocispec.Descriptor, digest.Digest) {
	t.Helper()
	img := ocispec.Image{Platform: p, Config: ocispec.ImageConfig{Cmd: []string{"/run", repo}}}
	img.RootFS.Type = "layers"
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, l.desc)
		img.RootFS.DiffIDs = append(img.RootFS.DiffIDs, l.diffID)
	}
	b, err := json.Marshal(img)
	if err != nil {
		t.Fatal(err)
	}
	m.Config = r.blob(t, repo, ocispec.MediaTypeImageConfig, b)
	d := r.manifest(t, repo, tag, ocispec.MediaTypeImageManifest, m)
	d.Platform = &p
	return d, m.Config.Digest
}

func (r *testRegistry) index(t testing.TB, repo, tag string, manifests ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	idx := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests}
	idx.SchemaVersion = 2
	return r.manifest(t, repo, tag, ocispec.MediaTypeImageIndex, idx)
}

var (
	linuxAMD64   = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	linuxARM64   = ocispec.Platform{OS: "linux", Architecture: "arm64"}
	windowsAMD64 = ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}
)

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// tarOf makes a tar; an entry without a type is a file with its name as content.
func tarOf(t testing.TB, hdrs ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range hdrs {
		var data string
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Typeflag, data = tar.TypeReg, h.Uname
			if data == "" {
				data = h.Name
			}
			if strings.HasPrefix(filepath.Base(h.Name), ".wh.") {
				data = ""
			}
			h.Uname, h.Size = "", int64(len(data))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		io.WriteString(w, data)
	}
	w.Close()
	return out.Bytes()
}

// fileTar is a tar of one file.
func fileTar(t testing.TB, name string, content []byte) []byte {
	return tarOf(t, tar.Header{Name: name, Uname: string(content)})
}

func newTestStore(t testing.TB, root string, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{Root: root, CertsDir: filepath.Join(root, "certs.d"), Architecture: "amd64"}
	if change != nil {
		change(&cfg)
	}
	s, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// leftovers names what is in the store's folders of half-made things.
func leftovers(t testing.TB, s *Store) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{s.cfg.tempDir(), s.cfg.layersDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, filepath.Join(filepath.Base(dir), e.Name()))
		}
	}
	return out
}
