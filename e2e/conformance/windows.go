package conformance

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Windows is the handler of Windows pods.
const Windows = "wcow"

// WindowsSpecs is how many specs are run for Windows pods; docs/conformance.md has the same number.
const WindowsSpecs = 51

// onLinuxOnly are the source files of specs that the suite has on Linux alone.
const onLinuxOnly = `_linux\.go`

// windowsSkips are those of its other specs that are not for Windows pods.
var windowsSkips = []string{
	// The suite leaves it out for Windows itself.
	"image status get image fields should not have Uid.Username empty",
	// On Linux it reads /etc/resolv.conf.
	"runtime should support DNS config",
}

// unixCommands are those that the suite runs in containers where it is itself run on Linux.
var unixCommands = []string{"echo", "ls", "pgrep", "sleep", "top"}

// PushWindowsImages makes the images of what the suite has for Windows pods, under the names that
// it has for Linux images, and pushes them. moduleDir is the folder of e2e/go.mod.
func PushWindowsImages(ctx context.Context, reg *registry.Registry, moduleDir string) error {
	tools, err := images.BuildFor("windows", moduleDir, "./cmd/wintools")
	if err != nil {
		return err
	}
	server, err := images.WindowsProgram(moduleDir, "./cmd/webserver", "webserver", "-http=:80")
	if err != nil {
		return err
	}
	busybox, err := windowsBusybox(tools, v1.Config{Cmd: []string{"sh"}}, nil)
	if err != nil {
		return err
	}
	pause, err := windowsBusybox(tools, v1.Config{Entrypoint: []string{"sleep", "1000000"}}, nil)
	if err != nil {
		return err
	}
	made := map[string]v1.Image{e2e + "busybox:1.29-2": busybox, e2e + "nginx:1.14-2": server, "pause:3.9": pause}
	for _, r := range references() {
		files := images.Tree{}
		for name, entry := range r.layer {
			files["Files/"+name] = entry
		}
		if made[r.name], err = windowsBusybox(tools, v1.Config{Cmd: []string{"sh"}}, files); err != nil {
			return err
		}
	}
	for name, img := range made {
		index, err := images.Platforms(img)
		if err != nil {
			return fmt.Errorf("make image %s: %w", name, err)
		}
		if _, err := reg.Push(ctx, name, index); err != nil {
			return err
		}
	}
	return nil
}

// windowsBusybox is an image with the Unix commands of cmd/wintools, and more files.
func windowsBusybox(tools []byte, cfg v1.Config, more images.Tree) (v1.Image, error) {
	const first = "Files/bin/sh.exe"
	bin := images.Tree{"Files/bin": images.Dir(0o755), first: {Mode: 0o755, Content: tools}}
	for _, name := range unixCommands {
		bin["Files/bin/"+name+".exe"] = images.HardLink(first)
	}
	cfg.Env = []string{`PATH=C:\bin;C:\Windows\System32;C:\Windows`}
	layers := []images.Tree{bin}
	if more != nil {
		layers = append(layers, more)
	}
	return images.Windows(cfg, layers...)
}
