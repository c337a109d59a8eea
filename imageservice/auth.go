package imageservice

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
)

// matches tells whether the credentials are meant for a registry host. Without a
// ServerAddress they are meant for every host that is asked, as in containerd.
func (a *Auth) matches(host string) bool {
	if a == nil {
		return false
	}
	if a.ServerAddress == "" {
		return true
	}
	address := a.ServerAddress
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	return err == nil && u.Host == host
}

// credentials returns the user and secret for a host; an empty user with a
// secret is an identity token. Both are empty for anonymous access.
func (a *Auth) credentials(host string) (user, secret string, err error) {
	switch {
	case !a.matches(host):
		return "", "", nil
	case a.Auth != "":
		return decodeAuth(a.Auth)
	case a.Username != "":
		return a.Username, a.Password, nil
	case a.IdentityToken != "":
		return "", a.IdentityToken, nil
	}
	return "", "", nil
}

// decodeAuth reads base64 of "user:password". Its errors never repeat the secret.
func decodeAuth(s string) (user, secret string, err error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", "", fmt.Errorf("%w: auth is not base64 of user:password", ErrUnauthorized)
	}
	user, secret, ok := strings.Cut(string(b), ":")
	if !ok {
		return "", "", fmt.Errorf("%w: auth decodes to no user:password", ErrUnauthorized)
	}
	return user, strings.Trim(secret, "\x00"), nil
}

// bearer sends a registry token as it is. The token goes to the host it was
// given for only, not to where that one redirects.
type bearer struct{ host, token string }

func (b bearer) Authorize(_ context.Context, req *http.Request) error {
	if req.URL.Host == b.host {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return nil
}

func (b bearer) AddResponses(context.Context, []*http.Response) error {
	return fmt.Errorf("registry token refused by %s: %w", b.host, errors.Join(docker.ErrInvalidAuthorization, errdefs.ErrNotImplemented))
}
