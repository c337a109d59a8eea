package winspec

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestCommand(t *testing.T) {
	shell := imagespec.ImageConfig{Cmd: []string{`cmd /S /C "my app.exe" x`}, ArgsEscaped: true}
	for name, tc := range map[string]struct {
		c    Container
		args []string
		line string
	}{
		"image":                  {Container{Image: imagespec.ImageConfig{Entrypoint: []string{"app.exe"}, Cmd: []string{"a b"}}}, []string{"app.exe", "a b"}, ""},
		"command":                {Container{Image: shell, Command: []string{`C:\app.exe`}, Args: []string{"x"}}, []string{`C:\app.exe`, "x"}, ""},
		"args":                   {Container{Image: imagespec.ImageConfig{Entrypoint: []string{"app.exe"}, Cmd: []string{"a"}}, Args: []string{"b"}}, []string{"app.exe", "b"}, ""},
		"shell form":             {Container{Image: shell}, []string{"cmd"}, `cmd /S /C "my app.exe" x`},
		"shell form, args given": {Container{Image: shell, Args: []string{"other.exe"}}, []string{"other.exe"}, ""},
		"escaped, with arguments": {Container{Image: imagespec.ImageConfig{Entrypoint: []string{`"C:\my app.exe" /x`}, ArgsEscaped: true}, Args: []string{`a "b" c\`}},
			[]string{`C:\my app.exe`, `a "b" c\`}, `"C:\my app.exe" /x "a \"b\" c\\"`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Generate(tc.c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.args, p.Args); diff != "" || p.CommandLine != tc.line {
				t.Errorf("command line %q, want %q; args %s", p.CommandLine, tc.line, diff)
			}
		})
	}
	if _, err := Generate(Container{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("no command: %v", err)
	}
}

// TestEscape has the examples of Microsoft's documentation of CommandLineToArgvW.
func TestEscape(t *testing.T) {
	for arg, want := range map[string]string{
		`abc`: `abc`, ``: `""`, `a b`: `"a b"`, `a"b`: `"a\"b"`, `a\\\b`: `a\\\b`,
		`a\"b c`: `"a\\\"b c"`, `a b\`: `"a b\\"`, `de fg`: `"de fg"`,
	} {
		if got := escape(arg); got != want {
			t.Errorf("%s became %s, want %s", arg, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	p, err := Generate(Container{
		Image:    imagespec.ImageConfig{Cmd: []string{"x"}, Env: []string{`PATH=C:\app;C:\Windows\system32`, "from=image", "broken"}, User: "ContainerUser"},
		Env:      []string{"FROM=container", `temp=C:\T`},
		Hostname: "a-rather-long-name.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`Path=C:\app;C:\Windows\system32`, "from=container", `TEMP=C:\T`, `TMP=C:\Users\ContainerUser\AppData\Local\Temp`,
		`SystemRoot=C:\Windows`, "COMPUTERNAME=A-RATHER-LONG-N", "USERNAME=ContainerUser",
	} {
		if !slices.Contains(p.Env, want) {
			t.Errorf("%s is not in\n%s", want, strings.Join(p.Env, "\n"))
		}
	}
	if slices.ContainsFunc(p.Env, func(e string) bool { return !strings.Contains(e, "=") }) {
		t.Error("a variable without a value came through")
	}
}

func TestWorkingDir(t *testing.T) {
	for dir, want := range map[string]string{"": `C:\`, `C:\app`: `C:\app`, "C:/app": `C:\app`, `\app`: `C:\app`, "/app": `C:\app`, "C:": `C:\`} {
		if got := workingDir(Container{WorkingDir: dir}); got != want {
			t.Errorf("%q became %q, want %q", dir, got, want)
		}
	}
	if got := workingDir(Container{Image: imagespec.ImageConfig{WorkingDir: `C:\image`}}); got != `C:\image` {
		t.Errorf("the image's folder became %q", got)
	}
}

func TestAccount(t *testing.T) {
	for name, want := range map[string]string{
		"": Administrator, "ContainerUser": User, `User Manager\containeradministrator`: Administrator, `NT AUTHORITY\SYSTEM`: Administrator,
	} {
		if got, err := Account(name); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := Account("sql"); !errors.Is(err, ErrInvalid) {
		t.Errorf("an account of the image: %v", err)
	}
}
