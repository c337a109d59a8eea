package image

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/paddock-run/paddock/guest"
)

// keptKeys are the parts of the registry that are kept: the server reads all of
// it at each start, and most is about windows, sounds and components that are not there.
var keptKeys = []string{
	`Software\\Microsoft\\Cryptography`,
	`Software\\Microsoft\\Rpc`,
	`Software\\Microsoft\\OLE`,
	`Software\\Microsoft\\Windows NT\\CurrentVersion`,
	`Software\\Microsoft\\Windows\\CurrentVersion`,
	`System\\ControlSet001\\Control\\ComputerName`,
	`System\\ControlSet001\\Control\\Filesystem`,
	`System\\ControlSet001\\Control\\Lsa`,
	`System\\ControlSet001\\Control\\Nls`,
	`System\\ControlSet001\\Control\\ProductOptions`,
	`System\\ControlSet001\\Control\\SecurityProviders`,
	`System\\ControlSet001\\Control\\Session Manager`,
	`System\\ControlSet001\\Control\\TimeZoneInformation`,
	`System\\ControlSet001\\Control\\Windows`,
	`System\\ControlSet001\\Services\\Tcpip`,
	`System\\ControlSet001\\Services\\Winsock`,
	`System\\CurrentControlSet`,
	`System\\Select`,
}

// droppedKeys are not kept although they lie in one that is.
var droppedKeys = []string{
	`Software\\Microsoft\\Cryptography\\Providers`,
	`Software\\Microsoft\\Windows NT\\CurrentVersion\\Font`,
	`Software\\Microsoft\\Windows NT\\CurrentVersion\\MCI`,
	`Software\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList`,
	`Software\\Microsoft\\Windows NT\\CurrentVersion\\Gre_Initialize`,
	`Software\\Microsoft\\Windows\\CurrentVersion\\Explorer`,
	`Software\\Microsoft\\Windows\\CurrentVersion\\Installer`,
	`Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings`,
	`Software\\Microsoft\\Windows\\CurrentVersion\\Telephony`,
	`Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall`,
}

const registryHeader = "WINE REGISTRY Version 2\n;; All keys relative to "

// trimRegistry keeps of a registry file what keptKeys name, without the times
// at which its keys were made.
func trimRegistry(raw []byte) ([]byte, error) {
	var out bytes.Buffer
	keep := true // what precedes the first key
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if key, ok := registryKey(line); ok {
			if keep = kept(key); keep {
				fmt.Fprintf(&out, "[%s] 0\n", key)
			}
			continue
		}
		if keep && !strings.HasPrefix(line, "#time=") {
			out.WriteString(line + "\n")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(out.String(), registryHeader) {
		return nil, fmt.Errorf("Wine's registry begins with %.60q", out.String())
	}
	return out.Bytes(), nil
}

// registryKey reads a line such as [System\\Select] 1795795306.
func registryKey(line string) (string, bool) {
	if !strings.HasPrefix(line, "[") {
		return "", false
	}
	end := strings.LastIndex(line, "] ")
	if end < 0 {
		return "", false
	}
	return line[1:end], true
}

func kept(key string) bool {
	for _, d := range droppedKeys {
		if strings.HasPrefix(key, d) {
			return false
		}
	}
	for _, k := range keptKeys {
		if key == k || strings.HasPrefix(key, k+`\\`) {
			return true
		}
	}
	return false
}

// machineKeys follow the machine's registry and win over it: which Windows this
// claims to be, and where it has its things.
func machineKeys() string {
	parts := strings.Split(guest.WineWindowsVersion, ".")
	build := parts[len(parts)-1]
	return `
[Software\\Microsoft\\Cryptography] 0
"MachineGuid"="00000000-0000-0000-0000-000000000000"

[Software\\Microsoft\\Windows NT\\CurrentVersion] 0
"CurrentBuild"="` + build + `"
"CurrentBuildNumber"="` + build + `"
"EditionId"="ServerDatacenter"
"InstallationType"="Server Core"
"InstallDate"=dword:00000000
"ProductName"="Windows Server (Wine)"
"SystemRoot"="C:\\Windows"

[Software\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList] 0
"Default"=str(2):"%SystemDrive%\\Users\\Default"
"ProfilesDirectory"=str(2):"%SystemDrive%\\Users"
"ProgramData"=str(2):"%SystemDrive%\\ProgramData"
"Public"=str(2):"%SystemDrive%\\Users\\Public"

[System\\ControlSet001\\Control\\ProductOptions] 0
"ProductType"="ServerNT"

[System\\ControlSet001\\Control\\Session Manager\\Environment] 0
"TEMP"=str(2):"%SystemRoot%\\TEMP"
"TMP"=str(2):"%SystemRoot%\\TEMP"
`
}

// userRegistry is the user's part of the registry: next to nothing, for services and command lines.
const userRegistry = `WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\User\\S-1-5-21-0-0-0-1000

#arch=win64

[Control Panel\\International] 0
"Locale"="00000409"
"LocaleName"="en-US"
"sLanguage"="ENU"
"sShortDate"="M/d/yyyy"
"sTimeFormat"="h:mm:ss tt"

[Environment] 0

[Software\\Wine\\Drivers] 0
"Audio"=""
"Graphics"="null"
`

// defaultRegistry is that of users to come.
const defaultRegistry = `WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\User\\.Default

#arch=win64
`
