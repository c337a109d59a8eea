package conformance

import (
	"context"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Start brings up a daemon that finds the suite's images for a handler, and a folder for the
// suite. Close the environment even when it fails.
func Start(ctx context.Context, handler, made, moduleDir string) (env *environment.Environment, tempDir string, err error) {
	env, err = environment.Start(ctx, environment.Options{
		Name: "pdkconf", Bridge: "pdkt",
		DefaultHandler: handler, // the suite does not say what it pulls an image for
		Push: func(ctx context.Context, reg *registry.Registry, certsDir string) error {
			var err error
			if handler == Windows {
				err = PushWindowsImages(ctx, reg, moduleDir)
			} else {
				err = PushImages(ctx, reg, made, moduleDir)
			}
			if err != nil {
				return err
			}
			return WriteMirrors(reg, certsDir)
		},
	})
	if err != nil {
		return env, "", err
	}
	tempDir = filepath.Join(env.Root, "tmp")
	return env, tempDir, os.Mkdir(tempDir, 0o755)
}
