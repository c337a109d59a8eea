//go:build linux

package fileshare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/idmap"
)

const (
	base     = 65536
	unmapped = 70000 // on the host; 65534 for the client
)

// TestMapped works on a share whose ids are mapped, through the kernel's client.
func TestMapped(t *testing.T) {
	r := newRig(t)
	hostRoot := filepath.Join(r.dir, "host")
	must(t, os.Mkdir(hostRoot, 0o755))
	must(t, os.Chmod(r.dir, 0o755))
	guestRoot := r.mountShare(t, Share{ID: "mapped", HostPath: hostRoot, IDs: &idmap.Range{Host: base, Size: 65536}})
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, host, guest string)
	}{
		{"owners", testMappedOwners},
		{"create", testMappedCreate},
		{"chown", testMappedChown},
		{"not mapped", testNotMapped},
		{"ACLs", testMappedACL},
		{"file capabilities", testMappedCaps},
		{"in a user namespace", testInUserNamespace},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(hostRoot, "case")
			must(t, err)
			must(t, os.Chmod(dir, 0o777))
			tc.run(t, dir, filepath.Join(guestRoot, filepath.Base(dir)))
		})
	}
}

func TestMappingIsPartOfAShare(t *testing.T) {
	r := newRig(t)
	ids := func(host uint32) *idmap.Range { return &idmap.Range{Host: host, Size: 65536} }
	share := Share{ID: "s", HostPath: r.dir, ReadOnly: true, IDs: ids(base)}
	for range 2 {
		if _, err := r.srv.Add(r.ctx(t), share); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []*idmap.Range{nil, ids(2 * base)} {
		again := share
		again.IDs = other
		if _, err := r.srv.Add(r.ctx(t), again); err == nil {
			t.Errorf("the share was accepted again with the mapping %v", other)
		}
	}
	if _, err := r.srv.Add(r.ctx(t), Share{ID: "bad", HostPath: r.dir, IDs: ids(idmap.None - 5)}); err == nil {
		t.Error("a mapping beyond the highest id was accepted")
	}
}

func wantOwner(t *testing.T, path string, uid, gid uint32) {
	t.Helper()
	if st := statOf(t, path); st.Uid != uid || st.Gid != gid {
		t.Errorf("%s is of %d:%d, want %d:%d", path, st.Uid, st.Gid, uid, gid)
	}
}

// hostFile makes a file on the host.
func hostFile(t *testing.T, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("text"), mode))
	must(t, os.Chown(path, uid, gid))
	must(t, os.Chmod(path, mode))
}

func testMappedOwners(t *testing.T, host, guest string) {
	hostFile(t, host+"/root", 0, 0, 0o600)
	hostFile(t, host+"/user", 1000, 65535, 0o600)
	hostFile(t, host+"/other", unmapped, 3, 0o644)
	wantOwner(t, guest, base, base)
	wantOwner(t, guest+"/root", base, base)
	wantOwner(t, guest+"/user", base+1000, base+65535)
	wantOwner(t, guest+"/other", 65534, base+3)
	must(t, asUser(base+1000, base, "cat "+guest+"/user "+guest+"/other"))
	if err := asUser(base+1000, base, "cat "+guest+"/root"); err == nil {
		t.Error("root's file was read by another")
	}
}

func testMappedCreate(t *testing.T, host, guest string) {
	must(t, asUser(base, base, fmt.Sprintf("cd %s; echo x > f; mkdir d; ln -s f l; mkfifo p; ln f g; echo y >> f", guest)))
	must(t, asUser(base+1000, base+2000, fmt.Sprintf("cd %s; echo x > uf; mkdir ud; ln -s f ul; mkfifo up", guest)))
	for _, name := range []string{"f", "d", "l", "p", "g"} {
		wantOwner(t, host+"/"+name, 0, 0)
		wantOwner(t, host+"/u"+name, 1000, 2000)
		if name == "p" {
			break
		}
	}
	must(t, os.Chown(host+"/ud", 1000, 3000))
	must(t, os.Chmod(host+"/ud", 0o2777|os.ModeSetgid))
	must(t, asUser(base+1000, base+2000, "echo x > "+guest+"/ud/inherits"))
	wantOwner(t, host+"/ud/inherits", 1000, 3000)
	// The test's own ids have no counterpart, as those of the guest's agent.
	_, err := os.Create(guest + "/none")
	wantErrno(t, "create by one who is not mapped", err, unix.EOVERFLOW)
	wantErrno(t, "mkdir by one who is not mapped", os.Mkdir(guest+"/none", 0o755), unix.EOVERFLOW)
	_, err = unix.Open(guest, unix.O_TMPFILE|unix.O_RDWR, 0o600)
	wantErrno(t, "tmpfile by one who is not mapped", err, unix.EOVERFLOW)
	wantErrno(t, "device node", unix.Mknod(guest+"/dev", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), unix.EPERM)
}

func testMappedChown(t *testing.T, host, guest string) {
	hostFile(t, host+"/f", 0, 0, 0o644)
	must(t, os.Chown(guest+"/f", base+1000, base+5))
	wantOwner(t, host+"/f", 1000, 5)
	must(t, os.Chown(guest+"/f", -1, base+6))
	wantOwner(t, host+"/f", 1000, 6)
	wantErrno(t, "chown to an owner that is not mapped", os.Chown(guest+"/f", 1000, -1), unix.EOVERFLOW)
	wantErrno(t, "chown to a group that is not mapped", os.Chown(guest+"/f", -1, 2*base), unix.EOVERFLOW)
	wantOwner(t, host+"/f", 1000, 6)
}

// testNotMapped: what has an owner outside of the mapping is for reading. The
// client's kernel refuses most of it; that the server does is tested in posix.
func testNotMapped(t *testing.T, host, guest string) {
	hostFile(t, host+"/f", unmapped, 0, 0o666)
	hostFile(t, host+"/mine", 0, 0, 0o666)
	got, err := os.ReadFile(guest + "/f")
	if string(got) != "text" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	wantErrno(t, "write", os.WriteFile(guest+"/f", nil, 0o644), unix.EACCES)
	wantErrno(t, "remove", os.Remove(guest+"/f"), unix.EOVERFLOW)
	wantErrno(t, "rename", os.Rename(guest+"/f", guest+"/g"), unix.EOVERFLOW)
	wantErrno(t, "rename over it", os.Rename(guest+"/mine", guest+"/f"), unix.EOVERFLOW)
	wantErrno(t, "link", os.Link(guest+"/f", guest+"/g"), unix.EOVERFLOW)
	wantErrno(t, "set an attribute", unix.Setxattr(guest+"/f", "user.a", []byte("b"), 0), unix.EPERM)
	if err := os.Chmod(guest+"/f", 0o600); err == nil {
		t.Error("chmod was accepted")
	}
	if st := statOf(t, host+"/f"); st.Mode&0o777 != 0o666 || st.Uid != unmapped || st.Nlink != 1 || st.Size != 4 {
		t.Errorf("the host's file has become %+v", st)
	}
}

// acl builds an ACL that gives read access to users beside the owner.
func acl(users ...uint32) []byte {
	const userObj, user, groupObj, mask, other = 1, 2, 4, 16, 32
	out := binary.LittleEndian.AppendUint32(nil, 2)
	add := func(tag, perm uint16, id uint32) {
		out = binary.LittleEndian.AppendUint16(out, tag)
		out = binary.LittleEndian.AppendUint16(out, perm)
		out = binary.LittleEndian.AppendUint32(out, id)
	}
	add(userObj, 6, idmap.None)
	for _, id := range users {
		add(user, 4, id)
	}
	add(groupObj, 0, idmap.None)
	add(mask, 4, idmap.None)
	add(other, 0, idmap.None)
	return out
}

func xattrOf(t *testing.T, path, name string) []byte {
	t.Helper()
	buf := make([]byte, 4096)
	size, err := unix.Getxattr(path, name, buf)
	if err != nil {
		t.Fatalf("%s of %s: %v", name, path, err)
	}
	if asked, err := unix.Getxattr(path, name, nil); asked != size || err != nil {
		t.Errorf("%s of %s is said to have %d bytes and has %d (%v)", name, path, asked, size, err)
	}
	return buf[:size]
}

func testMappedACL(t *testing.T, host, guest string) {
	const name = "system.posix_acl_access"
	hostFile(t, host+"/f", 0, 0, 0o600)
	err := unix.Setxattr(host+"/f", name, acl(1000, unmapped), 0)
	if err == unix.ENOTSUP {
		t.Skip("the host's file system has no ACLs")
	}
	must(t, err)
	if got, want := xattrOf(t, guest+"/f", name), acl(base+1000); !slices.Equal(got, want) {
		t.Errorf("the client sees %v, want %v", got, want)
	}
	must(t, asUser(base+1000, base+1000, "cat "+guest+"/f"))
	if err := asUser(base+1001, base+1000, "cat "+guest+"/f"); err == nil {
		t.Error("read by one whom the ACL does not name")
	}
	must(t, unix.Setxattr(guest+"/f", name, acl(base+1001, base+1002), 0))
	if got, want := xattrOf(t, host+"/f", name), acl(1001, 1002); !slices.Equal(got, want) {
		t.Errorf("the host has %v, want %v", got, want)
	}
	wantErrno(t, "an ACL for one who is not mapped", unix.Setxattr(guest+"/f", name, acl(7), 0), unix.EINVAL)
	hostFile(t, host+"/plain", 0, 0, 0o600)
	_, err = unix.Getxattr(guest+"/plain", name, make([]byte, 64))
	wantErrno(t, "no ACL", err, unix.ENODATA)
}

// caps is the right to bind low ports, for a root if that is not None.
func caps(root uint32) []byte {
	revision := uint32(0x02000001)
	if root != idmap.None {
		revision = 0x03000001
	}
	out := binary.LittleEndian.AppendUint32(nil, revision)
	for _, word := range []uint32{1 << unix.CAP_NET_BIND_SERVICE, 0, 0, 0} {
		out = binary.LittleEndian.AppendUint32(out, word)
	}
	if root != idmap.None {
		out = binary.LittleEndian.AppendUint32(out, root)
	}
	return out
}

func testMappedCaps(t *testing.T, host, guest string) {
	const name = "security.capability"
	hostFile(t, host+"/f", 0, 0, 0o755)
	must(t, unix.Setxattr(host+"/f", name, caps(idmap.None), 0))
	if got, want := xattrOf(t, guest+"/f", name), caps(base); !slices.Equal(got, want) {
		t.Errorf("the client sees %v, want %v", got, want)
	}
	hostFile(t, host+"/g", 0, 0, 0o755)
	must(t, unix.Setxattr(guest+"/g", name, caps(base), 0))
	// To the host's root they are its own, in the form without an id.
	if got, want := xattrOf(t, host+"/g", name), caps(idmap.None); !slices.Equal(got, want) {
		t.Errorf("the host has %v, want %v", got, want)
	}
	wantErrno(t, "capabilities for a root that is not mapped", unix.Setxattr(guest+"/g", name, caps(7), 0), unix.EINVAL)
}

// testInUserNamespace does what a container of a pod with a user namespace does.
func testInUserNamespace(t *testing.T, host, guest string) {
	hostFile(t, host+"/secret", 0, 0, 0o400)
	hostFile(t, host+"/foreign", unmapped, unmapped, 0o644)
	script := `cd "$1"; id -u; cat secret; echo; stat -c %u:%g secret foreign .
		echo x > f; chown 1000:2000 f; chmod 4755 f; mkdir d; mv f d/f; stat -c '%u:%g %a' d d/f; echo y > /dev/null
		(echo z > foreign) 2>/dev/null || echo refused; mknod n c 1 3 2>/dev/null || echo no devices`
	cmd := exec.Command("sh", "-ec", script, "sh", guest)
	mapping := []syscall.SysProcIDMap{{HostID: base, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: mapping, GidMappings: mapping,
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{}}
	out, err := cmd.CombinedOutput()
	want := "0\ntext\n0:0\n65534:65534\n0:0\n0:0 755\n1000:2000 4755\nrefused\nno devices\n"
	if string(out) != want || err != nil {
		var exit *exec.ExitError
		t.Errorf("said %q, want %q (%v, ran %v)", out, want, err, errors.As(err, &exit))
	}
	wantOwner(t, host+"/d", 0, 0)
	wantOwner(t, host+"/d/f", 1000, 2000)
	if text, _ := os.ReadFile(host + "/foreign"); !strings.Contains(string(text), "text") {
		t.Errorf("the file of another holds %q", text)
	}
}
