package volumes

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/registry"
)

// host is what the images' names begin with.
const host = "volumes.paddock.test"

// base is a small Debian, under every image.
var base = &debian.Layer{
	Packages: []string{
		"bash", "coreutils", "dash", "findutils", "grep", "hostname", "libc-bin", "libncursesw6", "libssl3", "libstdc++6", "mawk", "sed", "zlib1g",
	},
}

// Users of servers, as in /etc/passwd.
const (
	postgresUser = 999
	mysqlUser    = 998
	rabbitUser   = 997
	jenkinsUser  = 1000
	webUser      = 33
)

// account is what no package brings: its installation script would make it.
func account() images.Tree {
	var passwd, group strings.Builder
	for _, u := range []struct {
		name, home string
		id         int
	}{
		{"root", "/root", 0}, {"www-data", "/var/www", webUser}, {"postgres", "/var/lib/postgresql", postgresUser},
		{"mysql", "/var/lib/mysql", mysqlUser}, {"rabbitmq", "/var/lib/rabbitmq", rabbitUser},
		{"jenkins", "/var/jenkins_home", jenkinsUser}, {"nobody", "/", 65534},
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

// image is what a server runs from.
type image struct {
	name   string
	layer  *debian.Layer
	files  func(ctx context.Context, a *debian.Archive, cache string) (images.Tree, error) // above the layer; may be nil
	config v1.Config
}

func (i image) ref() string { return host + "/" + i.name + ":1" }

// build makes images. Packages and layers are kept in cache.
func build(ctx context.Context, cache string, all []image) ([]v1.Image, error) {
	archive, err := debian.Open(filepath.Join(cache, "debian"))
	if err != nil {
		return nil, err
	}
	var built []v1.Image
	for _, i := range all {
		img, err := i.build(ctx, archive, cache)
		if err != nil {
			return nil, fmt.Errorf("make image %s: %w", i.name, err)
		}
		built = append(built, img)
	}
	return built, nil
}

func (i image) build(ctx context.Context, archive *debian.Archive, cache string) (v1.Image, error) {
	layers := filepath.Join(cache, "layers")
	bottom, err := base.Make(ctx, archive, layers)
	if err != nil {
		return nil, err
	}
	own, err := i.layer.Make(ctx, archive, layers)
	if err != nil {
		return nil, err
	}
	files := account()
	if i.files != nil {
		above, err := i.files(ctx, archive, cache)
		if err != nil {
			return nil, err
		}
		maps.Copy(files, above)
	}
	top, err := files.Layer()
	if err != nil {
		return nil, err
	}
	cfg := i.config
	cfg.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	return images.ImageOf("amd64", cfg, bottom, own, top)
}

// push pushes images that build made.
func push(ctx context.Context, reg *registry.Registry, all []image, built []v1.Image) error {
	for n, i := range all {
		if _, err := reg.Push(ctx, i.name+":1", built[n]); err != nil {
			return err
		}
	}
	return nil
}

// fixed are files that depend on nothing.
func fixed(t images.Tree) func(context.Context, *debian.Archive, string) (images.Tree, error) {
	return func(context.Context, *debian.Archive, string) (images.Tree, error) { return t, nil }
}
