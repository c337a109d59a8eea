package ocispec

import (
	"fmt"
	"slices"
	"strings"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Args is Kubernetes' rule: a command replaces the image's entrypoint
// and drops its arguments; arguments alone replace the image's. Errors wrap ErrInvalid.
func Args(c Container) ([]string, error) {
	command, args := c.Command, c.Args
	if len(command) == 0 {
		if len(args) == 0 {
			args = c.Image.Cmd
		}
		if e := c.Image.Entrypoint; len(e) != 1 || e[0] != "" {
			command = e
		}
	}
	all := slices.Concat(command, args)
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no command: neither the container nor its image has one", ErrInvalid)
	}
	return all, nil
}

// environment merges the defaults, the image's and the container's variables; the later wins.
func environment(c Container) []string {
	env := []string{defaultPath}
	if c.TTY {
		env = setEnv(env, "TERM=xterm")
	}
	if c.Hostname != "" {
		env = setEnv(env, "HOSTNAME="+c.Hostname)
	}
	for _, e := range c.Image.Env {
		env = setEnv(env, e)
	}
	for _, e := range c.Env {
		env = setEnv(env, e)
	}
	return env
}

func setEnv(env []string, entry string) []string {
	key, _, _ := strings.Cut(entry, "=")
	for i, e := range env {
		if k, _, _ := strings.Cut(e, "="); k == key {
			env[i] = entry
			return env
		}
	}
	return append(env, entry)
}

func workingDir(c Container) string {
	switch {
	case c.WorkingDir != "":
		return c.WorkingDir
	case c.Image.WorkingDir != "":
		return c.Image.WorkingDir
	}
	return "/"
}
