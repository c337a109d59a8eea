package imageservice

import (
	"archive/tar"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Folders at the top of a Windows layer (OCI image specification and hcsshim's ociwclayer).
const (
	windowsFiles     = "Files"     // drive C:
	windowsHives     = "Hives"     // changes of the registry
	windowsUtilityVM = "UtilityVM" // what Hyper-V boots
)

// PAX records of Windows layers (hcsshim's backuptar).
const (
	paxFileAttributes = "MSWINDOWS.fileattr"
	// paxDOSAttributes is where Wine looks for attributes that a Unix file system does not have.
	paxDOSAttributes = paxXattr + "user.DOSATTRIB"
)

// Windows file attributes.
const (
	attrReadOnly = 0x1
	attrHidden   = 0x2
	attrSystem   = 0x4
)

// windowsLayout turns the entries of a Windows layer into those of drive C: as
// Wine sees it. The registry's changes are left out, Wine has a registry of its
// own, and so is what Hyper-V boots. Access control lists have no counterpart:
// everybody may read and run everything, and root alone may write.
//
// Windows knows one folder by any spelling; here a layer's first one is
// kept, and Windows' own folders are always spelled as Wine spells them, so that
// layers agree, and Wine's own files lie in the same folders.
type windowsLayout struct {
	names map[string]string // spelling by path in small letters
}

// spelled are the folders of Windows itself.
var spelled = []string{
	"windows", "windows/system32", "windows/system32/drivers", "windows/system32/drivers/etc", "windows/temp",
	"Program Files", "Program Files/Common Files", "ProgramData",
	"Users", "Users/Default", "Users/Public", "Users/ContainerAdministrator", "Users/ContainerUser",
}

func newWindowsLayout() *windowsLayout {
	l := &windowsLayout{names: map[string]string{}}
	for _, p := range spelled {
		l.names[strings.ToLower(p)] = path.Base(p)
	}
	return l
}

// adapt changes a header in place; skip tells that the entry is not of drive C:.
func (l *windowsLayout) adapt(hdr *tar.Header) (skip bool, err error) {
	if strings.Contains(hdr.Name, `\`) {
		return false, corrupt("%q: a backslash in a name, which Windows cannot have", hdr.Name)
	}
	within, ok, err := onDrive(hdr.Name)
	if err != nil || !ok {
		return true, err
	}
	hdr.Name = l.spell(within)
	switch hdr.Typeflag {
	case tar.TypeLink:
		target, ok, err := onDrive(hdr.Linkname)
		if err != nil || !ok {
			return false, corrupt("%q: a hard link to %q, which is not on drive C:", hdr.Name, hdr.Linkname)
		}
		hdr.Linkname = l.spell(target)
	case tar.TypeSymlink:
		hdr.Linkname = l.linkTarget(hdr.Name, hdr.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return false, corrupt("%q: Windows has no files of type %q", hdr.Name, hdr.Typeflag)
	}
	return false, setAttributes(hdr)
}

// onDrive is a path within drive C:; ok is false for what is of other parts of a layer.
func onDrive(name string) (within string, ok bool, err error) {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	top, rest, _ := strings.Cut(clean, "/")
	switch {
	case strings.EqualFold(top, windowsFiles):
		return rest, true, nil
	case top == "", strings.EqualFold(top, windowsHives), strings.EqualFold(top, windowsUtilityVM):
		return "", false, nil
	}
	return "", false, corrupt("%q: a Windows layer has %s, %s and %s only; this may be one of another OS", name, windowsFiles, windowsHives, windowsUtilityVM)
}

// spell gives each part of a path the spelling it was first met with.
func (l *windowsLayout) spell(p string) string {
	if p == "" {
		return "."
	}
	parts := strings.Split(p, "/")
	lower := ""
	for i, part := range parts {
		// A whiteout's name is that of the file it hides, with a prefix.
		plain := strings.TrimPrefix(part, whiteoutPrefix)
		lower = path.Join(lower, strings.ToLower(plain))
		known, ok := l.names[lower]
		if !ok {
			l.names[lower] = plain
			continue
		}
		parts[i] = strings.TrimSuffix(part, plain) + known
	}
	return strings.Join(parts, "/")
}

// linkTarget is where a link leads, relative to its own folder if it is a path
// of drive C:. Others lead nowhere in a container, there as here.
func (l *windowsLayout) linkTarget(name, target string) string {
	t := strings.ReplaceAll(target, `\`, "/")
	for _, prefix := range []string{"//?/", "/??/"} {
		t = strings.TrimPrefix(t, prefix)
	}
	switch {
	case len(t) >= 2 && strings.EqualFold(t[:2], "C:"):
		t = t[2:]
	case !strings.HasPrefix(t, "/"):
		return t
	}
	up := strings.Repeat("../", strings.Count(path.Clean(name), "/"))
	return up + l.spell(strings.TrimPrefix(path.Clean("/"+t), "/"))
}

func setAttributes(hdr *tar.Header) error {
	hdr.Uid, hdr.Gid, hdr.Mode = 0, 0, 0o755
	text, ok := hdr.PAXRecords[paxFileAttributes]
	if !ok {
		hdr.PAXRecords = nil
		return nil
	}
	attributes, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return corrupt("%q: %s is %q", hdr.Name, paxFileAttributes, text)
	}
	hdr.PAXRecords = nil
	if attributes&attrReadOnly != 0 && hdr.Typeflag != tar.TypeDir { // of a folder it says something else
		hdr.Mode = 0o555
	}
	if special := attributes & (attrHidden | attrSystem); special != 0 && hdr.Typeflag != tar.TypeSymlink {
		hdr.PAXRecords = map[string]string{paxDOSAttributes: fmt.Sprintf("0x%x", special)}
	}
	return nil
}
