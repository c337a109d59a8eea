//go:build linux

package users

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func image(t testing.TB, passwd, group string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestResolve(t *testing.T) {
	root := image(t, "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/www:/bin/sh\n", "root:x:0:\nweb:x:33:\nextra:x:50:web,other\n")
	id := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name string
		req  Request
		want Resolved
		err  error
		fail bool
	}{
		{name: "default", want: Resolved{Groups: []uint32{0}, Home: "/root"}},
		{name: "name", req: Request{User: "web"}, want: Resolved{33, 33, []uint32{33, 50}, "/www"}},
		{name: "name and group name", req: Request{User: "web:extra"}, want: Resolved{33, 50, []uint32{50}, "/www"}},
		{name: "numbers unknown to the image", req: Request{User: "1003:1004"}, want: Resolved{1003, 1004, []uint32{1004}, "/"}},
		{name: "uid overrides", req: Request{User: "root", UID: id(33), GID: id(7), Supplemental: []uint32{9, 50}}, want: Resolved{33, 7, []uint32{7, 50, 9}, "/www"}},
		{name: "strict", req: Request{UID: id(33), Supplemental: []uint32{9}, Strict: true}, want: Resolved{33, 33, []uint32{33, 9}, "/www"}},
		{name: "not root", req: Request{NotRoot: true}, err: ErrRoot},
		{name: "not root by number", req: Request{User: "0:5", NotRoot: true}, err: ErrRoot},
		{name: "unknown name", req: Request{User: "ghost"}, fail: true},
		{name: "unknown group", req: Request{User: "web:ghosts"}, fail: true},
		{name: "negative group", req: Request{GID: id(-1)}, fail: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(root, tt.req)
			if tt.fail || tt.err != nil {
				if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
					t.Fatalf("have %v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveHostile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("evil:x:0:0::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := image(t, "", "")
	passwd := filepath.Join(root, "etc/passwd")
	os.Remove(passwd)
	if err := os.Symlink(outside, passwd); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(root, Request{User: "evil"}); err == nil {
		t.Errorf("followed a link out of the image: %v", got)
	}
	os.Remove(passwd)
	if err := os.Mkdir(passwd, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(root, Request{User: "root"}); err == nil {
		t.Errorf("read a directory as passwd: %v", got)
	}
	if got, err := Resolve(t.TempDir(), Request{}); err != nil || got.UID != 0 {
		t.Errorf("an image without files: %v, %v", got, err)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("web", "web:x:33:33::/www:/bin/sh\n", "web:x:33:web\n")
	f.Add("1:2", "::::\n", "x")
	f.Add("-1:99999999999", "a:b:c:d:e:f:g:h", ":::,,,")
	f.Fuzz(func(t *testing.T, who, passwd, group string) {
		got, err := Resolve(image(t, passwd, group), Request{User: who})
		if err == nil && (got.UID > maxID || got.GID > maxID || len(got.Groups) == 0) {
			t.Fatalf("%q: %v", who, got)
		}
	})
}
