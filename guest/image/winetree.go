package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"

	"github.com/paddock-run/paddock/guest"
)

// The disk holds two trees: the root of a Windows container as Linux sees it,
// and what Wine has on drive C:, to lie above the image's.
const (
	wineRoot  = guest.WineRootDir
	wineDrive = guest.WineDriveDir
)

const system32 = wineDrive + "/windows/system32"

// winePasswd names the users that Windows containers run as.
const winePasswd = "ContainerAdministrator:x:0:0::/c/Users/ContainerAdministrator:\n" +
	"ContainerUser:x:1000:1000::/c/Users/ContainerUser:\n"

// diskTree is the content of a disk by path.
type diskTree map[string]diskEntry

type diskEntry struct {
	mode    int64
	kind    byte // of tar
	link    string
	content []byte
}

func (t diskTree) dir(name string, mode int64) {
	if name == "." || name == "" {
		return
	}
	if _, ok := t[name]; !ok {
		t.dir(path.Dir(name), 0o755)
		t[name] = diskEntry{mode: mode, kind: tar.TypeDir}
	}
}

func (t diskTree) file(name string, mode int64, content []byte) {
	t.dir(path.Dir(name), 0o755)
	t[name] = diskEntry{mode: mode, kind: tar.TypeReg, content: content}
}

func (t diskTree) symlink(name, target string) {
	t.dir(path.Dir(name), 0o755)
	t[name] = diskEntry{mode: 0o777, kind: tar.TypeSymlink, link: target}
}

// hardLink is a second name of a file.
func (t diskTree) hardLink(name, of string) {
	t.dir(path.Dir(name), 0o755)
	t[name] = diskEntry{mode: t[of].mode, kind: tar.TypeLink, link: of}
}

func (t diskTree) copy(name string, mode int64, from string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	t.file(name, mode, raw)
	return nil
}

// wineTree gathers the disk from a root in which Wine has run.
func wineTree(root, init string) (diskTree, error) {
	t := diskTree{}
	t.skeleton()
	if err := t.addWine(root); err != nil {
		return nil, err
	}
	if err := t.addPE(root); err != nil {
		return nil, err
	}
	if err := t.addRegistry(root); err != nil {
		return nil, err
	}
	// Wine runs this before a container's first process, to make a prefix and
	// start services: here all that is to be has been made.
	boot := idlePE()
	t.file(path.Join(wineRoot, winePE, "wineboot.exe"), 0o755, boot)
	t.hardLink(system32+"/wineboot.exe", path.Join(wineRoot, winePE, "wineboot.exe"))
	return t, t.copy(wineRoot+guest.WineInit, 0o755, init)
}

// skeleton makes what a container's root and drive C: have in any case.
func (t diskTree) skeleton() {
	for _, d := range []string{"proc", "sys", "dev", "run", "var", "mnt", "c"} {
		t.dir(wineRoot+"/"+d, 0o755)
	}
	t.dir(wineRoot+"/tmp", 0o1777)
	for _, l := range []string{"lib", "lib64"} {
		t.symlink(wineRoot+"/"+l, "usr/"+l)
	}
	t.file(wineRoot+"/etc/passwd", 0o644, []byte(winePasswd))
	t.file(wineRoot+"/etc/group", 0o644, []byte("root:x:0:\nContainerUser:x:1000:\n"))
	for _, f := range []string{"hosts", "hostname", "resolv.conf"} {
		t.file(wineRoot+"/etc/"+f, 0o644, nil)
	}
	t.symlink(wineRoot+guest.WinePrefix+"/dosdevices/c:", guest.WineDrive)
	for _, d := range []string{
		"Program Files/Common Files", "ProgramData", "Users/Public", "Users/Default",
		"Users/ContainerAdministrator/AppData/Local/Temp", "Users/ContainerAdministrator/AppData/Roaming",
		"Users/ContainerUser/AppData/Local/Temp", "Users/ContainerUser/AppData/Roaming",
		"windows/system32/drivers/etc",
	} {
		t.dir(wineDrive+"/"+d, 0o755)
	}
	t.dir(wineDrive+"/windows/temp", 0o1777)
	t.file(wineDrive+"/windows/system32/drivers/etc/hosts", 0o644, nil)
}

// addWine adds what of Wine is Linux's, and the libraries it needs.
func (t diskTree) addWine(root string) error {
	const lib = wineRoot + "/usr/lib/x86_64-linux-gnu/"
	programs := []string{path.Join(wineProgs, "wine64"), path.Join(wineProgs, "wineserver64")}
	var parts []string
	for _, name := range wineUnix {
		parts = append(parts, path.Join(wineELF, name))
	}
	for _, p := range slices.Concat(programs, parts) {
		if err := t.copy(path.Join(wineRoot, p), 0o755, filepath.Join(root, p)); err != nil {
			return err
		}
	}
	t.hardLink(path.Join(wineRoot, wineProgs, "wineserver"), path.Join(wineRoot, wineProgs, "wineserver64"))
	if err := t.silence(path.Join(wineRoot, wineELF, complaintFile)); err != nil {
		return err
	}
	var loaded []string
	for _, name := range wineLoads {
		file, err := findLibrary(root, name)
		if err != nil {
			return err
		}
		if err := t.copy(lib+name, 0o644, file); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		loaded = append(loaded, rel)
	}
	needs, err := neededBy(root, programs[0], slices.Concat(programs[1:], parts, loaded)...)
	if err != nil {
		return err
	}
	if err := t.copy(wineRoot+"/usr"+needs.interpreter, 0o755, needs.loader); err != nil {
		return err
	}
	for _, l := range needs.libraries {
		if err := t.copy(lib+l.soname, 0o644, l.path); err != nil {
			return err
		}
	}
	for _, name := range wineNLSFiles {
		file := path.Join(wineNLS, name)
		if err := t.copy(path.Join(wineRoot, file), 0o644, filepath.Join(root, file)); err != nil {
			return err
		}
		t.hardLink(system32+"/"+name, path.Join(wineRoot, file))
	}
	return nil
}

// silence takes the complaint about FreeType out of Wine: its text becomes empty.
func (t diskTree) silence(name string) error {
	content := t[name].content
	at := bytes.Index(content, []byte(wineComplaint))
	if at < 0 {
		return fmt.Errorf("%s does not complain about FreeType any more: look at wineComplaint", name)
	}
	content[at] = 0
	return nil
}

// addPE adds what of Wine is Windows', where Wine and where Windows' programs look for it.
func (t diskTree) addPE(root string) error {
	dir := filepath.Join(root, winePE)
	files, err := peClosure(dir, slices.Concat(wineLibraries, winePrograms))
	if err != nil {
		return err
	}
	for _, name := range files {
		content, err := stripPE(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		file := path.Join(wineRoot, winePE, name)
		t.file(file, 0o755, content)
		t.hardLink(system32+"/"+name, file)
	}
	return nil
}

func (t diskTree) addRegistry(root string) error {
	raw, err := os.ReadFile(filepath.Join(root, "wine/system.reg"))
	if err != nil {
		return fmt.Errorf("Wine made no registry: %w", err)
	}
	machine, err := trimRegistry(raw)
	if err != nil {
		return err
	}
	const prefix = wineRoot + guest.WinePrefix
	t.file(prefix+"/system.reg", 0o644, append(machine, machineKeys()...))
	t.file(prefix+"/user.reg", 0o644, []byte(userRegistry))
	t.file(prefix+"/userdef.reg", 0o644, []byte(defaultRegistry))
	// Wine does not look whether it has to be updated.
	t.file(prefix+"/.update-timestamp", 0o644, []byte("disable\n"))
	return nil
}

// writeDisk writes the tree as a read-only ext4 disk, the same bytes each time.
func (t diskTree) writeDisk(w io.ReadWriteSeeker) error {
	pr, pw := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := t.writeTar(pw)
		pw.CloseWithError(err)
		written <- err
	}()
	err := tar2ext4.ConvertTarToExt4(pr, w, tar2ext4.MaximumDiskSize(1<<30))
	pr.CloseWithError(errors.New("the disk cannot be written"))
	return errors.Join(err, <-written)
}

func (t diskTree) writeTar(w io.Writer) error {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	// A hard link comes after the file; all else in order.
	slices.SortFunc(names, func(a, b string) int {
		if la, lb := t[a].kind == tar.TypeLink, t[b].kind == tar.TypeLink; la != lb {
			if la {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	out := tar.NewWriter(w)
	for _, name := range names {
		e := t[name]
		hdr := &tar.Header{Typeflag: e.kind, Name: name, Mode: e.mode, Linkname: e.link, Size: int64(len(e.content)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := out.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := out.Write(e.content); err != nil {
			return err
		}
	}
	return out.Close()
}
