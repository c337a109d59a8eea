package winspec

import "strings"

// environment merges Windows' variables, the image's and the container's; the
// later wins, and a name's case does not matter.
func environment(c Container, account string) []string {
	profile := `C:\Users\` + account
	env := []string{
		`ALLUSERSPROFILE=C:\ProgramData`,
		`APPDATA=` + profile + `\AppData\Roaming`,
		`CommonProgramFiles=C:\Program Files\Common Files`,
		`COMPUTERNAME=` + ComputerName(c.Hostname),
		`ComSpec=C:\Windows\system32\cmd.exe`,
		`HOSTNAME=` + c.Hostname,
		`LOCALAPPDATA=` + profile + `\AppData\Local`,
		`OS=Windows_NT`,
		`Path=C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0\`,
		`PATHEXT=.COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC`,
		`PROCESSOR_ARCHITECTURE=AMD64`,
		`ProgramData=C:\ProgramData`,
		`ProgramFiles=C:\Program Files`,
		`PUBLIC=C:\Users\Public`,
		`SystemDrive=C:`,
		`SystemRoot=C:\Windows`,
		`TEMP=` + profile + `\AppData\Local\Temp`,
		`TMP=` + profile + `\AppData\Local\Temp`,
		`USERDOMAIN=User Manager`,
		`USERNAME=` + account,
		`USERPROFILE=` + profile,
		`windir=C:\Windows`,
	}
	for _, list := range [][]string{c.Image.Env, c.Env} {
		for _, e := range list {
			env = set(env, e)
		}
	}
	return env
}

// set gives a variable its value. The name is spelled as it was first.
func set(env []string, entry string) []string {
	name, value, ok := strings.Cut(entry, "=")
	if !ok || name == "" {
		return env // an image's mistake
	}
	for i, e := range env {
		if have, _, _ := strings.Cut(e, "="); strings.EqualFold(have, name) {
			env[i] = have + "=" + value
			return env
		}
	}
	return append(env, entry)
}

// maxComputerName is what NetBIOS allows.
const maxComputerName = 15

// ComputerName is what Windows calls a machine of that host name.
func ComputerName(hostname string) string {
	host, _, _ := strings.Cut(hostname, ".")
	return strings.ToUpper(host[:min(len(host), maxComputerName)])
}
