package cri

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// tokenTTL is how long a URL is good, as long as in the streaming library.
const tokenTTL = time.Minute

// grants knows the URLs that may be used, once, and what was asked for at each.
// It is bounded by the streaming library, which refuses further URLs before a grant is made.
type grants struct {
	mu     sync.Mutex
	byPath map[string]grant
}

// grant is one URL's request; nil where the streaming library serves alone.
type grant struct {
	exec    *runtimeapi.ExecRequest
	attach  *runtimeapi.AttachRequest
	expires time.Time
}

func (g *grants) add(rawURL string, gr grant) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	now := time.Now()
	gr.expires = now.Add(tokenTTL)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byPath == nil {
		g.byPath = map[string]grant{}
	}
	for path, old := range g.byPath {
		if now.After(old.expires) {
			delete(g.byPath, path)
		}
	}
	g.byPath[u.Path] = gr
	return nil
}

// take uses a URL up.
func (g *grants) take(path string) (grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr, ok := g.byPath[path]
	delete(g.byPath, path)
	return gr, ok && time.Now().Before(gr.expires)
}

// handler admits requests with a good URL, and sends each to who speaks its
// protocol: the streaming library knows SPDY and WebSocket up to v4.
func (s *streamingServer) handler(idle time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gr, ok := s.grants.take(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		if (gr.exec != nil || gr.attach != nil) && offersV5(r) {
			serveV5(w, r, gr, s.runtime, idle)
			return
		}
		s.streams.ServeHTTP(w, r)
	})
}

func offersV5(r *http.Request) bool {
	if !websocket.IsWebSocketUpgrade(r) {
		return false
	}
	for _, p := range websocket.Subprotocols(r) {
		if p == protocolV5 {
			return true
		}
	}
	return false
}
