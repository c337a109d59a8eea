package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEndpointIsAPipe(t *testing.T) {
	for socket, want := range map[string]string{
		"npipe:////./pipe/paddock": `\\.\pipe\paddock`,
		`npipe://\\.\pipe\paddock`: `\\.\pipe\paddock`,
		`\\.\pipe\a\b`:             `\\.\pipe\a\b`,
		"unix:///run/paddock.sock": "",
		"npipe:////./pipe/":        "",
		"npipe:////server/pipe/x":  "",
		`\\.\pip`:                  "",
		"tcp://127.0.0.1:1":        "",
	} {
		got, err := (&Config{Socket: socket}).Endpoint()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", socket, got, err, want)
		}
	}
}

func TestPathsAreExpanded(t *testing.T) {
	c, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(os.Getenv("ProgramData"), "paddock"); c.Root != want || !filepath.IsAbs(c.Root) {
		t.Errorf("root %q, want %q", c.Root, want)
	}
	if want := filepath.Join(os.Getenv("ProgramFiles"), "containerd", "cni", "bin"); c.CNI.BinDirs[0] != want {
		t.Errorf("bin dir %q, want %q", c.CNI.BinDirs[0], want)
	}
	if _, err := parse([]byte(`root: '%PADDOCK_NO_SUCH_VARIABLE%\x'`)); err == nil {
		t.Error("a path with a variable that is not set was accepted")
	}
}
