package images

import (
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Node is the image that installs Paddock on Linux nodes: the program with its
// guest image. buildDir is where `make` puts them.
func Node(buildDir string) (v1.Image, error) {
	program, err := os.ReadFile(filepath.Join(buildDir, "paddock"))
	if err != nil {
		return nil, err
	}
	guest, err := ReadTree(filepath.Join(buildDir, "guest"))
	if err != nil {
		return nil, err
	}
	t := Tree{"paddock": {Mode: 0o755, Content: program}, "guest": Dir(0o755)}
	for name, e := range guest {
		t["guest/"+name] = e
	}
	return Image("amd64", v1.Config{Entrypoint: []string{"/paddock"}}, t)
}

// Webhook is the admission webhook's image.
func Webhook(buildDir string) (v1.Image, error) {
	return Static(filepath.Join(buildDir, "paddock-webhook"))
}

// Static is the image of a program that needs no other file, run as nobody in particular.
func Static(path string) (v1.Image, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	return Image("amd64", v1.Config{Entrypoint: []string{"/" + name}, User: "65532:65532"}, Tree{name: {Mode: 0o755, Content: program}})
}
