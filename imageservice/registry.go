package imageservice

import (
	"context"
	"net/http"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
)

// registry is the connection of one pull to its registry and mirrors.
type registry struct {
	remotes.Resolver
	traffic    *traffic
	transports []*http.Transport
}

func (s *Store) newRegistry(ctx context.Context, auth *Auth) *registry {
	r := &registry{traffic: &traffic{}}
	hosts := config.ConfigureHosts(ctx, config.HostOptions{
		HostDir:      hostDirs(s.cfg.CertsDir),
		Credentials:  auth.credentials,
		UpdateClient: r.watch,
	})
	r.Resolver = docker.NewResolver(docker.ResolverOptions{
		Hosts:   withRegistryToken(hosts, auth),
		Headers: http.Header{"User-Agent": {s.cfg.UserAgent}},
	})
	return r
}

// watch makes a client report its traffic, and be closed with the pull.
func (r *registry) watch(c *http.Client) error {
	if t, ok := c.Transport.(*http.Transport); ok {
		r.transports = append(r.transports, t)
	}
	if _, ok := c.Transport.(*countingTransport); !ok {
		c.Transport = &countingTransport{next: c.Transport, traffic: r.traffic}
	}
	return nil
}

func (r *registry) close() {
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
}

// hostDirs finds a registry's folder in the first of the roots that has one.
func hostDirs(list string) func(string) (string, error) {
	var find []func(string) (string, error)
	for _, root := range filepath.SplitList(list) {
		find = append(find, config.HostDirFromRoot(root))
	}
	return func(host string) (string, error) {
		for _, fn := range find {
			dir, err := fn(host)
			if err == nil || !errdefs.IsNotFound(err) {
				return dir, err
			}
		}
		return "", errdefs.ErrNotFound
	}
}

func withRegistryToken(hosts docker.RegistryHosts, auth *Auth) docker.RegistryHosts {
	if auth == nil || auth.RegistryToken == "" {
		return hosts
	}
	return func(name string) ([]docker.RegistryHost, error) {
		list, err := hosts(name)
		for i := range list {
			if auth.matches(list[i].Host) {
				list[i].Authorizer = bearer{host: list[i].Host, token: auth.RegistryToken}
			}
		}
		return list, err
	}
}
