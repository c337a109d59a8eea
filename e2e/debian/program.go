package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Program is one that is built of Debian's sources.
type Program struct {
	Name string
	// Source is a source package; Headers is a binary package to build with, or "".
	Source, Headers string
	// Build is a shell script in the sources' folder; $OUT is where programs go, $ROOT has the headers.
	Build string
}

// Make builds the program, and returns the folder that it is in. What is in cache is used again.
func (p Program) Make(ctx context.Context, a *Archive, cache string) (string, error) {
	dir := filepath.Join(cache, "program-"+p.Name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := p.make(ctx, a, dir); err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	return dir, nil
}

func (p Program) make(ctx context.Context, a *Archive, dir string) (err error) {
	work, err := os.MkdirTemp("", "paddock-source-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	sources, root := filepath.Join(work, "src"), filepath.Join(work, "root")
	if err := errors.Join(os.Mkdir(sources, 0o755), os.MkdirAll(dir+".new", 0o755)); err != nil {
		return err
	}
	archive, err := a.Source(ctx, p.Source)
	if err != nil {
		return err
	}
	if err := Run(ctx, work, nil, "tar", "-xf", archive, "-C", sources, "--strip-components=1"); err != nil {
		return err
	}
	if p.Headers != "" {
		debs, err := a.Fetch(ctx, p.Headers)
		if err != nil {
			return err
		}
		for _, deb := range debs {
			if err := Run(ctx, work, nil, "dpkg-deb", "-x", deb, root); err != nil {
				return err
			}
		}
	}
	if err := Run(ctx, sources, []string{"OUT=" + dir + ".new", "ROOT=" + root}, "sh", "-ec", p.Build); err != nil {
		return err
	}
	return os.Rename(dir+".new", dir)
}

// Run runs a command of a build in a folder; an error has its last output.
func Run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, text.Bytes()[max(0, text.Len()-2000):])
	}
	return nil
}
