package guest

// On Linux hosts, Windows containers run under Wine in a Linux guest. This is
// how a VM's Wine disk is laid out, and where a container has what is on it.
const (
	// WineDiskFile is the disk, beside the kernel and initrd.
	WineDiskFile = "wine.ext4"

	// WineRootDir on the disk is a container's root as Linux sees it.
	WineRootDir = "root"
	// WineDriveDir on the disk lies above the image on drive C:.
	WineDriveDir = "drive"

	// WineLoader runs a Windows program.
	WineLoader = "/usr/lib/wine/wine64"
	// WineInit starts and watches a container's processes: cmd/paddock-wininit.
	WineInit = "/usr/lib/paddock/wininit.exe"
	// WineDrive is drive C:.
	WineDrive = "/c"
	// WinePrefix is the folder of Wine's registry and drives.
	WinePrefix = "/wine"
)

// WineWindowsVersion is the version of Windows that Wine claims to be, which
// decides what images there are for it: that of Windows Server 2025.
const WineWindowsVersion = "10.0.26100"
