package debian

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/images"
)

// Base is a small Debian, under every image.
var Base = &Layer{
	Packages: []string{
		"bash", "coreutils", "dash", "findutils", "grep", "hostname", "libc-bin", "libncursesw6", "libssl3", "libstdc++6", "mawk", "sed", "zlib1g",
	},
}

// Users of servers, as in /etc/passwd.
const (
	PostgresUser = 999
	MySQLUser    = 998
	RabbitUser   = 997
	PlainUser    = 1000
	WebUser      = 33
)

// account is what no package brings: its installation script would make it.
func account() images.Tree {
	var passwd, group strings.Builder
	for _, u := range []struct {
		name, home string
		id         int
	}{
		{"root", "/root", 0}, {"www-data", "/var/www", WebUser}, {"postgres", "/var/lib/postgresql", PostgresUser},
		{"mysql", "/var/lib/mysql", MySQLUser}, {"rabbitmq", "/var/lib/rabbitmq", RabbitUser},
		{"user", "/home/user", PlainUser}, {"nobody", "/", 65534},
	} {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::%s:/bin/sh\n", u.name, u.id, u.id, u.home)
		fmt.Fprintf(&group, "%s:x:%d:\n", u.name, u.id)
	}
	return images.Tree{
		"etc": images.Dir(0o755), "etc/passwd": images.File(0o644, passwd.String()), "etc/group": images.File(0o644, group.String()),
		"etc/nsswitch.conf": images.File(0o644, "passwd: files\ngroup: files\nhosts: files dns\n"),
		"usr/bin/sh":        images.Symlink("dash"), "usr/bin/awk": images.Symlink("mawk"),
		"etc/hosts": images.File(0o644, "127.0.0.1 localhost\n"),
		"tmp":       images.Dir(0o1777), "run": images.Dir(0o1777), "root": images.Dir(0o700), "var": images.Dir(0o755),
	}
}

// Image says what an image is made of, above Base.
type Image struct {
	Name  string
	Layer *Layer
	// Files lie above the layer; cache is a folder for what it takes long to make. May be nil.
	Files  func(ctx context.Context, a *Archive, cache string) (images.Tree, error)
	Config v1.Config
}

// Build makes the image. Packages and layers are kept in cache.
func (i Image) Build(ctx context.Context, cache string) (v1.Image, error) {
	img, err := i.build(ctx, cache)
	if err != nil {
		return nil, fmt.Errorf("make image %s: %w", i.Name, err)
	}
	return img, nil
}

func (i Image) build(ctx context.Context, cache string) (v1.Image, error) {
	archive, err := Open(filepath.Join(cache, "debian"))
	if err != nil {
		return nil, err
	}
	layers := filepath.Join(cache, "layers")
	bottom, err := Base.Make(ctx, archive, layers)
	if err != nil {
		return nil, err
	}
	own, err := i.Layer.Make(ctx, archive, layers)
	if err != nil {
		return nil, err
	}
	files := account()
	if i.Files != nil {
		above, err := i.Files(ctx, archive, cache)
		if err != nil {
			return nil, err
		}
		maps.Copy(files, above)
	}
	top, err := files.Layer()
	if err != nil {
		return nil, err
	}
	cfg := i.Config
	cfg.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	return images.ImageOf("amd64", cfg, bottom, own, top)
}

// Fixed are files that depend on nothing.
func Fixed(t images.Tree) func(context.Context, *Archive, string) (images.Tree, error) {
	return func(context.Context, *Archive, string) (images.Tree, error) { return t, nil }
}
