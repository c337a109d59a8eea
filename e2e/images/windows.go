package images

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// WindowsVersion is the build that images made here say they need: Windows Server 2022's.
const WindowsVersion = "10.0.20348.2700"

// windowsBase is what Windows' own tools put into every base layer beside files.
func windowsBase() Tree {
	return Tree{
		"Files": Dir(0o755), "Files/Windows": Dir(0o755), "Files/Windows/System32": Dir(0o755),
		"Files/License.txt": File(0o644, "as a base image has one\r\n"),
		"Hives":             Dir(0o755), "Hives/Software_Delta": File(0o644, "regf"),
		"UtilityVM": Dir(0o755), "UtilityVM/Files": Dir(0o755), "UtilityVM/Files/bootmgr": File(0o644, "not for containers"),
	}
}

// Windows is an image of Windows layers above a base one.
func Windows(cfg v1.Config, layers ...Tree) (v1.Image, error) {
	img, err := Image("amd64", cfg, append([]Tree{windowsBase()}, layers...)...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.OSVersion = "windows", WindowsVersion
	return mutate.ConfigFile(img, file)
}

// WindowsProgram is an image that runs one of this module's commands, built for Windows.
func WindowsProgram(moduleDir, pkg, name string, args ...string) (v1.Image, error) {
	program, err := BuildFor("windows", moduleDir, pkg)
	if err != nil {
		return nil, err
	}
	return Windows(v1.Config{Entrypoint: append([]string{`C:\App\` + name + ".exe"}, args...), WorkingDir: `C:\App`, Env: []string{"FROM_IMAGE=yes"}},
		Tree{"Files/App": Dir(0o755), "Files/App/" + name + ".exe": {Mode: 0o755, Content: program}})
}

// Platforms makes one reference of images, each of the platform that its config says.
func Platforms(list ...v1.Image) (v1.ImageIndex, error) {
	var idx v1.ImageIndex = empty.Index
	for _, img := range list {
		file, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: file.OS, Architecture: file.Architecture, OSVersion: file.OSVersion},
		}})
	}
	return idx, nil
}

// WebServerEverywhere is cmd/webserver for Linux and Windows under one reference.
func WebServerEverywhere(moduleDir string) (v1.ImageIndex, error) {
	linux, err := WebServer(moduleDir)
	if err != nil {
		return nil, err
	}
	windows, err := WindowsProgram(moduleDir, "./cmd/webserver", "webserver")
	if err != nil {
		return nil, err
	}
	return Platforms(linux, windows)
}

// OnBothSystems is one reference to a command of this module on Linux, with
// busybox, and on Windows.
func OnBothSystems(moduleDir, pkg string) (v1.ImageIndex, error) {
	linux, err := OnBusybox(moduleDir, pkg)
	if err != nil {
		return nil, err
	}
	windows, err := WindowsProgram(moduleDir, pkg, "program")
	if err != nil {
		return nil, err
	}
	return Platforms(linux, windows)
}
