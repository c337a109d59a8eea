package winspec

import (
	"errors"
	"fmt"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// ErrInvalid: what was asked for can never work.
var ErrInvalid = errors.New("invalid Windows container")

// Container is all that a process is made from.
type Container struct {
	Image         imagespec.ImageConfig
	Command, Args []string
	WorkingDir    string
	Env           []string // NAME=value; wins over the image's
	Hostname      string
	Username      string // "": the image's, else ContainerAdministrator
}

// Process is what the container runs.
type Process struct {
	Args []string
	// CommandLine, if set, is what the process gets instead of Args joined by Windows' rules.
	CommandLine string
	Env         []string
	Dir         string
	// Account is one of those that every Windows container has.
	Account string
}

// Generate makes the process. Errors wrap ErrInvalid.
func Generate(c Container) (Process, error) {
	args, err := ocispec.Args(ocispec.Container{Image: c.Image, Command: c.Command, Args: c.Args})
	if err != nil {
		return Process{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p := Process{Args: args, Dir: workingDir(c)}
	name := c.Username
	if name == "" {
		name = c.Image.User
	}
	if p.Account, err = Account(name); err != nil {
		return Process{}, err
	}
	// Docker writes an image's command in shell form as one argument that is a
	// whole command line already.
	if c.Image.ArgsEscaped && len(c.Command) == 0 && args[0] == imageArg(c.Image) { //nolint:staticcheck // images have it
		p.CommandLine = joinEscaped(args)
		p.Args = splitProgram(args)
	}
	p.Env = environment(c, p.Account)
	return p, nil
}

// imageArg is an image's own first argument.
func imageArg(image imagespec.ImageConfig) string {
	for _, list := range [][]string{image.Entrypoint, image.Cmd} {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// CommandLine joins arguments by Windows' rules: CommandLineToArgvW takes them apart again.
func CommandLine(args []string) string {
	escaped := make([]string, len(args))
	for i, a := range args {
		escaped[i] = escape(a)
	}
	return strings.Join(escaped, " ")
}

// joinEscaped is a command line whose beginning is one.
func joinEscaped(args []string) string {
	line := args[0]
	for _, a := range args[1:] {
		line += " " + escape(a)
	}
	return line
}

// splitProgram names the program at a command line's beginning.
func splitProgram(args []string) []string {
	program := args[0]
	if rest, ok := strings.CutPrefix(program, `"`); ok {
		program, _, _ = strings.Cut(rest, `"`)
	} else {
		program, _, _ = strings.Cut(program, " ")
	}
	return append([]string{program}, args[1:]...)
}

// escape quotes an argument as CommandLineToArgvW reads it.
func escape(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n\v\"") {
		return arg
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range arg {
		switch r {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1)) // one for each before it, one for itself
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, slashes))
	b.WriteByte('"')
	return b.String()
}

func workingDir(c Container) string {
	dir := c.WorkingDir
	if dir == "" {
		dir = c.Image.WorkingDir
	}
	dir = strings.ReplaceAll(dir, "/", `\`)
	switch {
	case dir == "":
		return `C:\`
	case strings.HasPrefix(dir, `\`):
		return "C:" + dir
	case len(dir) == 2 && dir[1] == ':':
		return dir + `\`
	}
	return dir
}
