package podsandbox

import (
	"errors"
	"testing"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

func TestParseStop(t *testing.T) {
	for s, want := range map[string]guestapi.ControlEvent{
		"": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN, "SIGTERM": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN,
		"CtrlShutdown": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN, "ctrlc": guestapi.ControlEvent_CONTROL_EVENT_CTRL_C,
		"2": guestapi.ControlEvent_CONTROL_EVENT_CTRL_C, "SIGQUIT": guestapi.ControlEvent_CONTROL_EVENT_CTRL_BREAK,
		"CTRL_LOGOFF": guestapi.ControlEvent_CONTROL_EVENT_NONE,
	} {
		stop, err := parseStop(s, guest.Windows)
		if stop.event != want || (err != nil) != (want == guestapi.ControlEvent_CONTROL_EVENT_NONE) {
			t.Errorf("%q is %v, %v; want %v", s, stop, err, want)
		}
	}
	if stop, err := parseStop("SIGKILL", guest.Windows); err != nil || stop.signal != sigKill {
		t.Errorf("SIGKILL is %v, %v", stop, err)
	}
	if _, err := parseStop("SIGUSR1", guest.Windows); !errors.Is(err, ErrInvalid) {
		t.Errorf("SIGUSR1: %v", err)
	}
	if stop, err := parseStop("SIGUSR1", guest.Linux); err != nil || stop.signal != 10 {
		t.Errorf("SIGUSR1 on Linux is %v, %v", stop, err)
	}
	if _, err := parseStop("CtrlC", guest.Linux); !errors.Is(err, ErrInvalid) {
		t.Errorf("CtrlC on Linux: %v", err)
	}
}

func TestWindowsPath(t *testing.T) {
	for p, want := range map[string]string{
		`c:\Data\`: "C:/Data", `C:\a\..\b`: "C:/b", `\x`: "C:/x", "/var/run": "C:/var/run", `D:\x`: "D:/x", `C:\`: "C:", `\\.\pipe\x`: "//./pipe/x", `/C:\Data`: "C:/Data", `/\Data`: "C:/Data", `/\\.\pipe\x`: "//./pipe/x",
	} {
		if got := windowsPath(p); got != want {
			t.Errorf("%s became %s, want %s", p, got, want)
		}
	}
}

// hostsMounts are where the hosts file is, by place, told by the share or file it is.
func hostsMounts(k *containerMake) map[string]string {
	out := map[string]string{}
	for _, m := range k.mounts {
		if m.Destination == linuxHosts || m.Destination == windowsHosts || m.Destination == "C:/etc/hosts" {
			out[m.Destination] = m.GetShare().GetShareId() + m.GetSandboxFile().String()
		}
	}
	return out
}

func TestWindowsHostsFile(t *testing.T) {
	own := guestapi.SandboxFile_SANDBOX_FILE_HOSTS.String()
	kubelets := "kubelets" + guestapi.SandboxFile_SANDBOX_FILE_UNSPECIFIED.String()
	for given, want := range map[string]map[string]string{
		"":             {linuxHosts: own, windowsHosts: own},
		"C:/etc/hosts": {linuxHosts: kubelets, windowsHosts: kubelets, "C:/etc/hosts": kubelets},
		windowsHosts:   {linuxHosts: kubelets, windowsHosts: kubelets},
	} {
		k := &containerMake{windows: &guestapi.WindowsContainer{}}
		if given != "" {
			k.mounts = []*guestapi.Mount{{Destination: given, Source: &guestapi.Mount_Share{Share: &guestapi.ShareSource{ShareId: "kubelets"}}}}
		}
		k.addWindowsFiles()
		got := hostsMounts(k)
		for place, source := range want {
			if got[place] != source {
				t.Errorf("given %q, %s is %q, want %q", given, place, got[place], source)
			}
		}
		if len(got) != len(want) {
			t.Errorf("given %q: %v", given, got)
		}
	}
}
