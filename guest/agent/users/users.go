//go:build linux

package users

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/moby/sys/user"

	"github.com/paddock-run/paddock/guest/agent/inroot"
)

// maxFile bounds passwd and group, in bytes.
const maxFile = 4 << 20

// ErrRoot: the request forbids uid 0 and that is who the container would be.
var ErrRoot = errors.New("container must not run as root")

// Request says who is wanted.
type Request struct {
	// User is "", "name", "uid", "name:group" or "uid:gid", as in an image's config.
	User string
	// UID overrides User, GID its group.
	UID, GID *int64
	// Supplemental groups to add.
	Supplemental []uint32
	// Strict: only Supplemental, none of the image's group file.
	Strict bool
	// NotRoot: fail with ErrRoot for uid 0.
	NotRoot bool
}

// Resolved is the answer. Groups holds GID too, first, and no duplicates.
type Resolved struct {
	UID, GID uint32
	Groups   []uint32
	// Home is the home directory; "/" for a user without an entry in passwd.
	Home string
}

// Resolve looks the user up in the image at rootfs.
func Resolve(rootfs string, req Request) (Resolved, error) {
	spec := req.User
	if req.UID != nil {
		spec = strconv.FormatInt(*req.UID, 10)
	}
	passwd, err := readOptional(rootfs, "/etc/passwd")
	if err != nil {
		return Resolved{}, err
	}
	group, err := readOptional(rootfs, "/etc/group")
	if err != nil {
		return Resolved{}, err
	}
	found, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return Resolved{}, fmt.Errorf("user %q in the image's /etc/passwd and /etc/group: %w", spec, err)
	}
	out := Resolved{UID: uint32(found.Uid), GID: uint32(found.Gid), Home: found.Home}
	if req.GID != nil {
		if *req.GID < 0 || *req.GID > maxID {
			return Resolved{}, fmt.Errorf("group %d is out of range", *req.GID)
		}
		out.GID = uint32(*req.GID)
	}
	if req.NotRoot && out.UID == 0 {
		return Resolved{}, fmt.Errorf("user %q: %w", spec, ErrRoot)
	}
	out.Groups = append(out.Groups, out.GID)
	if !req.Strict {
		members, err := memberships(out.UID, passwd, group)
		if err != nil {
			return Resolved{}, err
		}
		out.Groups = append(out.Groups, members...)
	}
	out.Groups = unique(append(out.Groups, req.Supplemental...))
	return out, nil
}

const maxID = 1<<31 - 1

// memberships are the groups of the image that list the user of this uid by name.
func memberships(uid uint32, passwd, group []byte) ([]uint32, error) {
	entries, err := user.ParsePasswdFilter(bytes.NewReader(passwd), func(u user.User) bool { return u.Uid == int(uid) })
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	name := entries[0].Name
	groups, err := user.ParseGroupFilter(bytes.NewReader(group), func(g user.Group) bool { return slices.Contains(g.List, name) })
	if err != nil {
		return nil, err
	}
	var gids []uint32
	for _, g := range groups {
		if g.Gid >= 0 && g.Gid <= maxID {
			gids = append(gids, uint32(g.Gid))
		}
	}
	return gids, nil
}

func unique(ids []uint32) []uint32 {
	var out []uint32
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// readOptional answers nothing for a file the image does not have.
func readOptional(rootfs, path string) ([]byte, error) {
	raw, err := inroot.ReadFile(rootfs, path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}
