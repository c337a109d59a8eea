package imageservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
)

func TestFaultyRegistry(t *testing.T) {
	for name, tc := range map[string]struct {
		times int // how often the fault strikes
		fault func(w http.ResponseWriter, r *http.Request, next http.Handler)
		want  error
	}{
		"a 500 once":   {1, status(500), nil},
		"500 always":   {1000, status(500), ErrUnavailable},
		"403":          {1000, status(403), ErrUnauthorized},
		"corrupt once": {1, corrupted, nil},
		"corrupt":      {1000, corrupted, ErrCorrupt},
		"too long":     {1000, tooLong, ErrCorrupt},
		"short":        {1000, short, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			reg := newTestRegistry(t)
			l := reg.layer(t, "app", fileTar(t, "f", randomBytes(100_000, 5)), "gzip")
			reg.image(t, "app", "v1", linuxAMD64, l)
			var mu sync.Mutex
			left := tc.times
			reg.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
				mu.Lock()
				defer mu.Unlock()
				if !strings.HasSuffix(r.URL.Path, l.desc.Digest.String()) || left == 0 {
					return false
				}
				left--
				tc.fault(w, r, next)
				return true
			})
			s := newTestStore(t, t.TempDir(), nil)
			_, err := s.Pull(context.Background(), reg.host+"/app:v1", guest.Linux, nil)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), l.desc.Digest.String()) {
				t.Errorf("the error does not name the blob: %v", err)
			}
			if err != nil && len(leftovers(t, s)) > 0 {
				t.Errorf("left behind: %v", leftovers(t, s))
			}
		})
	}
}

func status(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) }
}

func rewritten(w http.ResponseWriter, r *http.Request, next http.Handler, change func([]byte) []byte) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	b := change(bytes.Clone(rec.Body.Bytes()))
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	if cr := rec.Header().Get("Content-Range"); cr != "" {
		w.Header().Set("Content-Range", cr)
	}
	w.WriteHeader(rec.Code)
	w.Write(b)
}

func corrupted(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rewritten(w, r, next, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
}

func tooLong(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rewritten(w, r, next, func(b []byte) []byte { return append(b, 0) })
}

func short(w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// TestStalledRegistry: a registry that stops sending does not hold a pull for ever.
func TestStalledRegistry(t *testing.T) {
	reg := newTestRegistry(t)
	l := reg.layer(t, "app", fileTar(t, "f", randomBytes(100_000, 5)), "gzip")
	reg.image(t, "app", "v1", linuxAMD64, l)
	reg.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, l.desc.Digest.String()) {
			return false
		}
		sendSome(w, r, next, 1000, func() { <-r.Context().Done() })
		return true
	})
	s := newTestStore(t, t.TempDir(), func(c *Config) { c.PullProgressTimeout = 300 * time.Millisecond })
	_, err := s.Pull(context.Background(), reg.host+"/app:v1", guest.Linux, nil)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no byte received") {
		t.Errorf("got %v", err)
	}
}
