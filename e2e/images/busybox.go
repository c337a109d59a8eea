package images

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// busyboxPath is where Debian's busybox-static puts it.
const busyboxPath = "/bin/busybox"

const passwd = `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/sh
tester:x:1000:1000:tester:/home/tester:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
`

const group = `root:x:0:
www-data:x:33:
tester:x:1000:
extra:x:2000:tester
more:x:2001:tester,www-data
nogroup:x:65534:
`

func busyboxTree() (Tree, error) {
	if _, err := os.Stat(busyboxPath); err != nil {
		return nil, fmt.Errorf("%w; install Debian's busybox-static", err)
	}
	return BusyboxTree(busyboxPath)
}

// BusyboxTree is a root file system with every applet of a static busybox as a hard link.
func BusyboxTree(path string) (Tree, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", path, err)
	}
	t := Tree{
		"bin": Dir(0o755), "etc": Dir(0o755), "tmp": Dir(0o1777), "root": Dir(0o700), "var": Dir(0o755),
		"home": Dir(0o755), "home/tester": {Type: Dir(0).Type, Mode: 0o755, UID: 1000, GID: 1000},
		"etc/passwd":  File(0o644, passwd),
		"etc/group":   File(0o644, group),
		"bin/busybox": {Mode: 0o755, Content: binary},
	}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			t["bin/"+applet] = HardLink("bin/busybox")
		}
	}
	return t, nil
}

// Busybox is a small userland, for amd64 and (files only) arm64.
func Busybox() (v1.ImageIndex, error) {
	tree, err := busyboxTree()
	if err != nil {
		return nil, err
	}
	cfg := v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"/bin/sh"}}
	byArch := map[string]v1.Image{}
	for arch, layers := range map[string][]Tree{
		"amd64": {tree},
		"arm64": {{"etc": Dir(0o755), "etc/arch": File(0o644, "arm64\n")}},
	} {
		if byArch[arch], err = Image(arch, cfg, layers...); err != nil {
			return nil, err
		}
	}
	return Index(byArch), nil
}
