package imageservice

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
)

func randomBytes(n int, seed int64) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func TestPullBothPlatformsSideBySide(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	base := reg.layer(t, "app", fileTar(t, "bin/base", []byte("base")), "gzip")
	top := reg.layer(t, "app", fileTar(t, "bin/app", []byte("app")), "zstd")
	raw := reg.layer(t, "app", fileTar(t, "Files/app.exe", []byte("exe")), "")
	lin, linID := reg.image(t, "app", "", linuxAMD64, base, top)
	arm, _ := reg.image(t, "app", "", linuxARM64, base)
	win, winID := reg.image(t, "app", "", windowsAMD64, raw)
	idx := reg.index(t, "app", "v1", lin, arm, win)
	s := newTestStore(t, t.TempDir(), nil)
	ref := reg.host + "/app:v1"

	l, err := s.Pull(ctx, ref, guest.Linux, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Pull(ctx, ref, guest.Windows, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.ID != linID.String() || w.ID != winID.String() || l.OS != guest.Linux || w.OS != guest.Windows {
		t.Errorf("linux %s %v, windows %s %v; want %s and %s", l.ID, l.OS, w.ID, w.OS, linID, winID)
	}
	if !slices.Equal(l.RepoTags, []string{ref}) || !slices.Equal(l.RepoDigests, []string{reg.host + "/app@" + idx.Digest.String()}) {
		t.Errorf("tags %v, digests %v", l.RepoTags, l.RepoDigests)
	}
	if found, err := s.Find(ctx, ref); err != nil || len(found) != 2 {
		t.Errorf("Find: %d images, %v", len(found), err)
	}
	layers, err := s.Layers(ctx, l.ID, "c1")
	if err != nil || len(layers) != 2 || layers[0].ID != base.diffID || layers[1].ID != top.diffID {
		t.Fatalf("Layers: %v, %v", layers, err)
	}
	for _, layer := range layers {
		checkExt4(t, layer.Path)
	}
	layers, err = s.Layers(ctx, w.ID, "c2")
	if err != nil || len(layers) != 1 || layers[0].ID != raw.diffID || debugfs(t, layers[0].Path, "cat /app.exe") != "exe" {
		t.Errorf("Layers of a windows image: %v, %v", layers, err)
	}
	owners, err := s.LeaseOwners(ctx)
	if err != nil || !slices.Equal(owners, []string{"c1", "c2"}) {
		t.Errorf("owners %v, %v", owners, err)
	}
}

func TestPullErrors(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	good := reg.layer(t, "app", fileTar(t, "a", []byte("a")), "gzip")
	arm, _ := reg.image(t, "app", "arm", linuxARM64, good)
	win, _ := reg.image(t, "app", "", windowsAMD64, good)
	reg.index(t, "app", "others", arm, win)
	reg.image(t, "app", "windows", windowsAMD64, good)
	wrong := good
	wrong.diffID = digest.FromString("something else")
	reg.image(t, "app", "wrongdiff", linuxAMD64, wrong)
	cut := gzipped(fileTar(t, "a", randomBytes(5000, 1)))
	reg.image(t, "app", "cutgzip", linuxAMD64, testLayer{reg.blob(t, "app", ocispec.MediaTypeImageLayerGzip, cut[:3000]), good.diffID})
	reg.image(t, "app", "escape", linuxAMD64, reg.layer(t, "app", fileTar(t, "../../etc/passwd", []byte("x")), "gzip"))
	reg.image(t, "app", "notar", linuxAMD64, reg.layer(t, "app", randomBytes(4096, 3), "gzip"))
	reg.image(t, "app", "bomb", linuxAMD64, reg.layer(t, "app", fileTar(t, "zeros", make([]byte, 64<<20)), "gzip"))
	missing := good
	missing.desc.Digest = digest.FromString("nowhere")
	reg.image(t, "app", "missing", linuxAMD64, missing)

	for _, tc := range []struct {
		ref  string
		want error
		text string
	}{
		{reg.host + "/app:others", ErrNoPlatform, "linux/arm64, windows"},
		{reg.host + "/app:windows", ErrNoPlatform, "windows/amd64 (10.0.20348.1)"},
		{reg.host + "/app:arm", ErrNoPlatform, "linux/arm64"},
		{reg.host + "/app:none", ErrNotFound, "none"},
		{reg.host + "/app:missing", ErrNotFound, missing.desc.Digest.String()},
		{reg.host + "/app:wrongdiff", ErrCorrupt, good.desc.Digest.String()},
		{reg.host + "/app:cutgzip", ErrCorrupt, "truncated"},
		{reg.host + "/app:escape", ErrCorrupt, "leads out of the layer"},
		{reg.host + "/app:notar", ErrCorrupt, "tar"},
		{reg.host + "/app:bomb", ErrCorrupt, "more than"},
		{"app/UPPER", ErrInvalidReference, "UPPER"},
		{"", ErrInvalidReference, ""},
		{"127.0.0.1:1/app:v1", ErrUnavailable, "refused"},
	} {
		t.Run(tc.ref, func(t *testing.T) {
			s := newTestStore(t, t.TempDir(), func(c *Config) { c.MaxLayerBytes = 32 << 20 })
			_, err := s.Pull(ctx, tc.ref, guest.Linux, nil)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %v with %q", err, tc.want, tc.text)
			}
			if left := leftovers(t, s); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if list, err := s.List(ctx); err != nil || len(list) > 0 {
				t.Errorf("listed: %v, %v", list, err)
			}
		})
	}
}

// TestResume drops the connection in mid-blob, again and again, and restarts the
// store in between: every byte must be sent about once.
func TestResume(t *testing.T) {
	reg := newTestRegistry(t)
	big := reg.layer(t, "app", fileTar(t, "big", randomBytes(4<<20, 7)), "")
	reg.image(t, "app", "v1", linuxAMD64, big)
	root := t.TempDir()

	ctx, cancel := context.WithCancel(context.Background())
	reg.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, big.desc.Digest.String()) {
			return false
		}
		sendSome(w, r, next, 1<<20, func() { cancel(); <-r.Context().Done() })
		return true
	})
	s := newTestStore(t, root, nil)
	if _, err := s.Pull(ctx, reg.host+"/app:v1", guest.Linux, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled pull: %v", err)
	}
	waitIdle(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	var sent int
	var mu sync.Mutex
	reg.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, big.desc.Digest.String()) {
			return false
		}
		n := sendSome(w, r, next, 1<<20, func() { panic(http.ErrAbortHandler) })
		mu.Lock()
		sent += n
		mu.Unlock()
		return true
	})
	s = newTestStore(t, root, nil)
	if _, err := s.Pull(context.Background(), reg.host+"/app:v1", guest.Linux, nil); err != nil {
		t.Fatal(err)
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if len(reg.rng) < 3 || reg.rng[0] == "bytes=0-" {
		t.Errorf("ranges asked for: %v", reg.rng)
	}
	mu.Lock()
	defer mu.Unlock()
	if int64(sent) > big.desc.Size {
		t.Errorf("%d bytes sent after the restart for a blob of %d", sent, big.desc.Size)
	}
}

// sendSome answers with at most n bytes of what next says, then calls stop if there is more.
func sendSome(w http.ResponseWriter, r *http.Request, next http.Handler, n int, stop func()) int {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	b := rec.Body.Bytes()
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(rec.Code)
	n = min(n, len(b))
	w.Write(b[:n])
	if n < len(b) {
		http.NewResponseController(w).Flush()
		defer stop()
	}
	return n
}

// waitIdle waits for pulls that nobody waits for any more.
func waitIdle(t *testing.T, s *Store) {
	t.Helper()
	s.pulls.wait()
}

func TestConcurrentPullsShareTheirWork(t *testing.T) {
	reg := newTestRegistry(t)
	shared := reg.layer(t, "app", fileTar(t, "f", randomBytes(1<<20, 9)), "gzip")
	for i := range 3 {
		own := reg.layer(t, "app", fileTar(t, fmt.Sprint(i), nil), "gzip")
		reg.image(t, "app", fmt.Sprint(i), linuxAMD64, shared, own)
	}
	s := newTestStore(t, t.TempDir(), nil)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i >= 9 {
				cancel() // must not harm the others
			}
			_, err := s.Pull(ctx, fmt.Sprintf("%s/app:%d", reg.host, i%3), guest.Linux, nil)
			if err != nil && i < 9 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if n := reg.gets[shared.desc.Digest.String()]; n != 1 {
		t.Errorf("the shared layer was downloaded %d times", n)
	}
}

func TestRemoveAndLeases(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	l := reg.layer(t, "app", fileTar(t, "f", randomBytes(1<<20, 11)), "gzip")
	for _, tag := range []string{"a", "b", "c"} {
		reg.image(t, "app", tag, linuxAMD64, l)
	}
	root := t.TempDir()
	s := newTestStore(t, root, func(c *Config) { c.PinnedImages = []string{reg.host + "/app:b"} })
	empty, err := s.FSInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var img Image
	for _, tag := range []string{"a", "b", "c"} {
		if img, err = s.Pull(ctx, reg.host+"/app:"+tag, guest.Linux, nil); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(ctx); err != nil || len(list) != 1 || len(list[0].RepoTags) != 3 || len(list[0].RepoDigests) != 1 || !list[0].Pinned {
		t.Fatalf("list %+v, %v", list, err)
	}
	full, err := s.FSInfo(ctx)
	if err != nil || full.UsedBytes < empty.UsedBytes+2<<20 || full.Inodes <= empty.Inodes {
		t.Errorf("usage went from %+v to %+v, %v", empty, full, err)
	}
	for range 2 {
		if _, err := s.Layers(ctx, img.ID, "c1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(ctx, reg.host+"/app:b"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, img.ID, guest.Linux); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a removed image: %v", err)
	}
	if err := s.Close(); err != nil { // leases outlive the process
		t.Fatal(err)
	}
	s = newTestStore(t, root, nil)
	layers, err := s.Layers(ctx, img.ID, "c1")
	if err != nil || len(layers) != 1 {
		t.Fatalf("leased layers of a removed image: %v, %v", layers, err)
	}
	checkExt4(t, layers[0].Path)
	if err := s.ReleaseLayers(ctx, "c1"); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left after release: %v", left)
	}
	if after, err := s.FSInfo(ctx); err != nil || after.UsedBytes > empty.UsedBytes+256<<10 {
		t.Errorf("usage %+v, was %+v when empty, %v", after, empty, err)
	}
	if err := errors.Join(s.ReleaseLayers(ctx, "c1"), s.Remove(ctx, "unknown"), s.Remove(ctx, img.ID)); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestPullByDigestHasNoTag(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	d, id := reg.image(t, "app", "v1", linuxAMD64, reg.layer(t, "app", fileTar(t, "f", nil), "gzip"))
	s := newTestStore(t, t.TempDir(), nil)
	byDigest := reg.host + "/app@" + d.Digest.String()
	for _, ref := range []string{byDigest, reg.host + "/app:v1@" + d.Digest.String()} {
		img, err := s.Pull(ctx, ref, guest.Linux, nil)
		if err != nil || len(img.RepoTags) != 0 || !slices.Equal(img.RepoDigests, []string{byDigest}) {
			t.Fatalf("%s: tags %v, digests %v, %v", ref, img.RepoTags, img.RepoDigests, err)
		}
	}
	for _, name := range []string{byDigest, id.String(), id.Encoded()} {
		if img, err := s.Get(ctx, name, guest.Linux); err != nil || img.ID != id.String() {
			t.Errorf("Get %s: %v, %v", name, img.ID, err)
		}
	}
	if _, err := s.Get(ctx, id.Encoded()[:12], guest.Linux); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a prefix: %v", err)
	}
}

func TestStartClearsStrays(t *testing.T) {
	root := t.TempDir()
	s := newTestStore(t, root, nil)
	stray := digest.FromString("stray")
	blobs := s.cfg.contentDir() + "/blobs/sha256"
	if err := errors.Join(os.MkdirAll(blobs, 0o700),
		os.WriteFile(s.cfg.tempDir()+"/layer-1", nil, 0o600),
		os.WriteFile(s.cfg.layersDir()+"/"+stray.Encoded()+".ext4", nil, 0o600),
		os.WriteFile(blobs+"/"+stray.Encoded(), []byte("stray"), 0o600),
		s.Close()); err != nil {
		t.Fatal(err)
	}
	s = newTestStore(t, root, nil)
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(blobs + "/" + stray.Encoded()); !os.IsNotExist(err) {
		t.Errorf("a blob without a record stayed: %v", err)
	}
}
