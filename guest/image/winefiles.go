package image

// Where Debian's packages have Wine.
const (
	winePE    = "usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
	wineELF   = "usr/lib/x86_64-linux-gnu/wine/x86_64-unix"
	wineNLS   = "usr/share/wine/nls"
	wineProgs = "usr/lib/wine"
)

// wineUnix are the parts of Wine's libraries that call Linux.
var wineUnix = []string{"ntdll.so", "ws2_32.so", "dnsapi.so", "bcrypt.so", "crypt32.so", "secur32.so", "win32u.so"}

// wineLoads are Linux's libraries that are loaded when they are wanted: libgcc when a thread ends.
var wineLoads = []string{"libgcc_s.so.1"}

// wineComplaint is what Wine prints to every process's stderr that may draw, of
// which cmd.exe is one, where there is no FreeType. Nothing is drawn here.
const (
	wineComplaint = "Wine cannot find the FreeType font library."
	complaintFile = "win32u.so"
)

// wineLibraries are Windows' libraries that programs of servers and command
// lines use. What they import comes along.
var wineLibraries = []string{
	"ntdll.dll", "kernel32.dll", "kernelbase.dll", "apisetschema.dll",
	"ucrtbase.dll", "msvcrt.dll", "vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll",
	"advapi32.dll", "sechost.dll", "bcrypt.dll", "bcryptprimitives.dll", "crypt32.dll", "cryptsp.dll", "ncrypt.dll", "rsaenh.dll",
	"secur32.dll", "sspicli.dll", "userenv.dll", "profapi.dll", "authz.dll", "netapi32.dll", "samlib.dll",
	"ws2_32.dll", "wsock32.dll", "mswsock.dll", "iphlpapi.dll", "dnsapi.dll", "nsi.dll", "winhttp.dll",
	"psapi.dll", "powrprof.dll", "pdh.dll", "version.dll", "dbghelp.dll", "winmm.dll", "shell32.dll", "shlwapi.dll",
	"user32.dll", "gdi32.dll", "imm32.dll", "ole32.dll", "oleaut32.dll", "rpcrt4.dll", "combase.dll", "wtsapi32.dll", "winsta.dll", "tzres.dll",
}

// winePrograms are Windows' programs for command lines, and those that Wine itself runs.
var winePrograms = []string{
	"cmd.exe", "conhost.exe", "start.exe",
	"attrib.exe", "chcp.com", "fc.exe", "find.exe", "findstr.exe", "hostname.exe", "icacls.exe", "ipconfig.exe", "net.exe", "netstat.exe",
	"ping.exe", "reg.exe", "robocopy.exe", "setx.exe", "sort.exe", "subst.exe", "taskkill.exe", "tasklist.exe", "where.exe", "whoami.exe", "xcopy.exe",
}

// wineNLSFiles are the tables of languages and characters that console programs use.
var wineNLSFiles = []string{
	"locale.nls", "l_intl.nls", "sortdefault.nls", "normnfc.nls", "normnfd.nls", "normnfkc.nls", "normnfkd.nls", "normidna.nls",
	"c_037.nls", "c_437.nls", "c_850.nls", "c_1250.nls", "c_1251.nls", "c_1252.nls", "c_10000.nls", "c_20127.nls", "c_28591.nls",
}
