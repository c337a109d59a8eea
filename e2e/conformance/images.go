package conformance

import (
	"context"
	"fmt"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/registry"
)

// hosts are those that the suite's images are named by.
var hosts = []string{"registry.k8s.io", "k8s.gcr.io", "gcr.io"}

const (
	e2e     = "e2e-test-images/"
	staging = "k8s-staging-cri-tools/"
)

const passwd = `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`

const group = `root:x:0:
www-data:x:33:
nobody:x:65534:
`

// testImage is one repository:tag.
type testImage struct {
	name   string
	layer  images.Tree // above busybox
	config v1.Config
}

// PushImages makes every image of the suite and pushes it. made holds what
// hack/busybox.sh and hack/webservers.sh made: a static busybox with all applets,
// and web; moduleDir is the folder of e2e/go.mod.
func PushImages(ctx context.Context, reg *registry.Registry, made, moduleDir string) error {
	base, err := images.BusyboxTree(filepath.Join(made, "busybox"))
	if err != nil {
		return err
	}
	base["etc/passwd"], base["etc/group"] = images.File(0o644, passwd), images.File(0o644, group)
	servers, err := readWebServers(filepath.Join(made, "web"))
	if err != nil {
		return fmt.Errorf("web servers: %w (hack/webservers.sh makes them)", err)
	}
	setuid, err := images.BuildProgram(moduleDir, "./cmd/testsetuid")
	if err != nil {
		return err
	}
	all := append(programs(servers, setuid), users()...)
	for _, t := range append(all, references()...) {
		index, err := t.build(base)
		if err != nil {
			return fmt.Errorf("make image %s: %w", t.name, err)
		}
		if _, err := reg.Push(ctx, t.name, index); err != nil {
			return err
		}
	}
	return nil
}

// WriteMirrors makes the suite's image names lead to the registry.
func WriteMirrors(reg *registry.Registry, certsDir string) error {
	for _, host := range hosts {
		if err := reg.WriteMirror(certsDir, host); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(certsDir, host), err)
		}
	}
	return nil
}

// build makes an index for amd64 and (files only) arm64, as the originals have.
func (t testImage) build(base images.Tree) (v1.ImageIndex, error) {
	cfg := t.config
	cfg.Env = append(cfg.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	if cfg.Entrypoint == nil && cfg.Cmd == nil {
		cfg.Cmd = []string{"sh"}
	}
	layers := []images.Tree{base}
	if t.layer != nil {
		layers = append(layers, t.layer)
	}
	amd64, err := images.Image("amd64", cfg, layers...)
	if err != nil {
		return nil, err
	}
	arm64, err := images.Image("arm64", cfg, images.Tree{"etc": images.Dir(0o755), "etc/image": images.File(0o644, t.name+"\n")})
	if err != nil {
		return nil, err
	}
	return images.Index(map[string]v1.Image{"amd64": amd64, "arm64": arm64}), nil
}
