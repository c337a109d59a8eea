package conformance

import (
	"context"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Start brings up a daemon that finds the suite's images, and a folder for the
// suite. Close the environment even when it fails.
func Start(ctx context.Context, made, moduleDir string) (env *environment.Environment, tempDir string, err error) {
	env, err = environment.Start(ctx, environment.Options{
		Name: "pdkconf", Bridge: "pdkt",
		Push: func(ctx context.Context, reg *registry.Registry, certsDir string) error {
			if err := PushImages(ctx, reg, made, moduleDir); err != nil {
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
