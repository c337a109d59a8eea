package imageservice

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/guest"
)

// needBasic guards a registry with a user and password.
func needBasic(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	if user, pass, ok := r.BasicAuth(); ok && user == "user" && pass == "secret" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// needBearer guards it with tokens that its own token service gives out.
func needBearer(url string) func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Path == "/token" {
			user, pass, _ := r.BasicAuth()
			if user == "" && r.Method == http.MethodPost && r.ParseForm() == nil {
				user, pass = r.PostForm.Get("username"), r.PostForm.Get("password")
				if r.PostForm.Get("refresh_token") == "identity" {
					user, pass = "user", "secret"
				}
			}
			if user != "user" || pass != "secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			json.NewEncoder(w).Encode(map[string]string{"token": "good", "access_token": "good"})
			return true
		}
		if r.Header.Get("Authorization") == "Bearer good" {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test",scope="repository:app:pull"`, url))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func TestAuth(t *testing.T) {
	reg := newTestRegistry(t)
	reg.image(t, "app", "v1", linuxAMD64, reg.layer(t, "app", fileTar(t, "f", nil), "gzip"))
	encoded := base64.StdEncoding.EncodeToString([]byte("user:secret"))
	for name, tc := range map[string]struct {
		bearer bool
		auth   *Auth
		want   error
	}{
		"basic":              {false, &Auth{Username: "user", Password: "secret"}, nil},
		"basic, encoded":     {false, &Auth{Auth: encoded}, nil},
		"basic, server":      {false, &Auth{Auth: encoded, ServerAddress: "https://" + reg.host + "/v1/"}, nil},
		"basic, bare server": {false, &Auth{Auth: encoded, ServerAddress: reg.host}, nil},
		"other server":       {false, &Auth{Auth: encoded, ServerAddress: "https://elsewhere.example"}, ErrUnauthorized},
		"wrong password":     {false, &Auth{Username: "user", Password: "guess"}, ErrUnauthorized},
		"anonymous":          {false, nil, ErrUnauthorized},
		"not base64":         {false, &Auth{Auth: "%%%"}, ErrUnauthorized},
		"bearer":             {true, &Auth{Username: "user", Password: "secret"}, nil},
		"bearer, identity":   {true, &Auth{IdentityToken: "identity"}, nil},
		"bearer, registry":   {true, &Auth{RegistryToken: "good"}, nil},
		"bearer, bad token":  {true, &Auth{RegistryToken: "bad"}, ErrUnauthorized},
		"bearer, wrong":      {true, &Auth{Username: "user", Password: "guess"}, ErrUnauthorized},
		"bearer, anonymous":  {true, nil, ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			reg.setFault(needBasic)
			if tc.bearer {
				reg.setFault(needBearer(reg.URL))
			}
			s := newTestStore(t, t.TempDir(), nil)
			_, err := s.Pull(context.Background(), reg.host+"/app:v1", guest.Linux, tc.auth)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "guess") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

// TestMirrors pulls names of registries that do not exist through hosts.toml.
func TestMirrors(t *testing.T) {
	reg := newTestRegistry(t)
	reg.image(t, "library/app", "latest", linuxAMD64, reg.layer(t, "library/app", fileTar(t, "f", nil), "gzip"))
	secure := httptest.NewUnstartedServer(reg.Config.Handler)
	secure.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	secure.StartTLS()
	defer secure.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()

	certs := t.TempDir()
	write := func(host, toml string) {
		dir := filepath.Join(certs, host)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(toml), 0o644),
			os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("docker.io", fmt.Sprintf("server = %q\n[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", down.URL, reg.URL))
	write("fallback.example", fmt.Sprintf("server = %q\n[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", reg.URL, down.URL))
	write("ca.example", fmt.Sprintf("server = %q\nca = \"ca.crt\"\n", secure.URL))
	write("skip.example", fmt.Sprintf("server = %q\nskip_verify = true\n", secure.URL))
	write("strict.example", fmt.Sprintf("server = %q\n", secure.URL))
	write("path.example", fmt.Sprintf("server = %q\n[host.\"%s/proxy/v2\"]\noverride_path = true\ncapabilities = [\"pull\", \"resolve\"]\n[host.\"%s/proxy/v2\".header]\nx-key = \"k\"\n", down.URL, reg.URL, reg.URL))
	write("_default", fmt.Sprintf("server = %q\n", reg.URL))
	reg.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		rest, ok := strings.CutPrefix(r.URL.Path, "/proxy")
		if !ok {
			return false
		}
		if r.Header.Get("X-Key") != "k" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		r.URL.Path = rest
		next.ServeHTTP(w, r)
		return true
	})
	for ref, want := range map[string]error{
		"app":                               nil,
		"fallback.example/library/app":      nil,
		"ca.example/library/app":            nil,
		"skip.example/library/app":          nil,
		"strict.example/library/app":        ErrUnavailable,
		"path.example/library/app":          nil,
		"unheard-of.example/library/app":    nil,
		"unheard-of.example/library/absent": ErrNotFound,
	} {
		t.Run(ref, func(t *testing.T) {
			s := newTestStore(t, t.TempDir(), func(c *Config) { c.CertsDir = certs })
			if _, err := s.Pull(context.Background(), ref, guest.Linux, nil); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}
