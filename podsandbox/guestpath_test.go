package podsandbox

import (
	"testing"

	"github.com/paddock-run/paddock/guest"
)

func TestGuestPath(t *testing.T) {
	for _, c := range []struct {
		path string
		host guest.OS
		want string
	}{
		{"c:/dev/termination-log", guest.Windows, "/dev/termination-log"},
		{`C:\dev\termination-log`, guest.Windows, "/dev/termination-log"},
		{"c:", guest.Windows, "/"},
		{"c:a", guest.Windows, "/a"},
		{"/etc/hosts", guest.Windows, "/etc/hosts"},
		{`/odd\name`, guest.Windows, `/odd\name`}, // a name of a Linux file
		{"/a//b/", guest.Windows, "/a/b"},
		{"1:/x", guest.Windows, "1:/x"},
		{"c:/x", guest.Linux, "c:/x"},
		{"/etc/./hosts", guest.Linux, "/etc/hosts"},
	} {
		if got := GuestPath(c.path, c.host); got != c.want {
			t.Errorf("%q on %v: %q, want %q", c.path, c.host, got, c.want)
		}
	}
}
