package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// prepareWineRoot makes the unpacked packages a root that Wine runs in, as
// the packages' own scripts would.
func prepareWineRoot(root string) error {
	for _, dir := range []string{"proc", "dev", "tmp", "root", "etc", "wine"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"lib": "usr/lib", "lib64": "usr/lib64", filepath.Join(wineProgs, "wineserver"): "wineserver64",
	} {
		path := filepath.Join(root, name)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	// 32-bit programs are not run: without these Wine makes nothing for them.
	if err := os.RemoveAll(filepath.Join(root, "usr/lib/x86_64-linux-gnu/wine/i386-windows")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(winePasswd), 0o644); err != nil {
		return err
	}
	return addZlib(root)
}

// builtinMark tells Wine that a library is one of its own. It lies where a DOS
// program would have its code.
const (
	builtinMark   = "Wine builtin DLL"
	builtinOffset = 64
	builtinSpace  = 32
)

// addZlib is what libwine's postinst does: user32 imports zlib1.dll, which is of another package.
func addZlib(root string) error {
	raw, err := os.ReadFile(filepath.Join(root, "usr/x86_64-w64-mingw32/lib/zlib1.dll"))
	if err != nil {
		return err
	}
	if len(raw) < builtinOffset+builtinSpace {
		return fmt.Errorf("zlib1.dll has %d bytes", len(raw))
	}
	mark := raw[builtinOffset : builtinOffset+builtinSpace]
	clear(mark)
	copy(mark, builtinMark)
	return os.WriteFile(filepath.Join(root, winePE, "zlib1.dll"), raw, 0o644)
}

// prefixScript runs Wine in a root, and waits until its server has written the
// registry. The root's name and the machine's are the same each time, for they get into it.
const prefixScript = `set -e
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
hostname paddock
run() { env -i PATH=/usr/bin HOME=/root WINEPREFIX=/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe,explorer.exe,winex11.drv,winewayland.drv=d" "$(command -v chroot)" "$@"; }
run "$1" /usr/lib/wine/wine64 wineboot --init
run "$1" /usr/lib/wine/wineserver64 -w
`

// prefixTime bounds what takes Wine some 20 seconds on an idle machine.
const prefixTime = 5 * time.Minute

// makePrefix has Wine fill its registry, in namespaces of its own so that
// nothing it starts or mounts outlives it.
func makePrefix(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeout(ctx, prefixTime)
	defer cancel()
	args := []string{"--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	cmd := exec.CommandContext(ctx, "unshare", append(args, "/bin/sh", "-c", prefixScript, "sh", root)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run Wine to make its registry (needs root, or user namespaces): %w: %s", err, lastLines(string(out), 5))
	}
	return nil
}
