package fileshare

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// confine gives up what a share server does not need, for good: every privilege but that of passing
// through folders; and by its job the making of processes, memory beyond maxMemory, and
// windows, the clipboard and the settings of a desktop. What it keeps is its account, by which the files'
// access lists are judged: SYSTEM, as the daemon's.
func confine() error {
	if err := dropPrivileges(); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	if err := enterJob(); err != nil {
		return fmt.Errorf("enter a job of its own: %w", err)
	}
	return nil
}

// dropPrivileges removes all but SeChangeNotifyPrivilege, which everybody has.
func dropPrivileges() error {
	var token windows.Token
	err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_QUERY|windows.TOKEN_ADJUST_PRIVILEGES, &token)
	if err != nil {
		return err
	}
	defer token.Close()
	name, err := windows.UTF16PtrFromString("SeChangeNotifyPrivilege")
	if err != nil {
		return err
	}
	var kept windows.LUID
	if err := windows.LookupPrivilegeValue(nil, name, &kept); err != nil {
		return err
	}
	var size uint32
	windows.GetTokenInformation(token, windows.TokenPrivileges, nil, 0, &size)
	if size == 0 {
		return fmt.Errorf("privileges of the process %d: unknown", os.Getpid())
	}
	buf := make([]byte, size)
	if err := windows.GetTokenInformation(token, windows.TokenPrivileges, &buf[0], size, &size); err != nil {
		return err
	}
	all := (*windows.Tokenprivileges)(unsafe.Pointer(&buf[0])).AllPrivileges()
	for i := range all {
		if all[i].Luid != kept {
			all[i].Attributes = windows.SE_PRIVILEGE_REMOVED
		}
	}
	return windows.AdjustTokenPrivileges(token, false, (*windows.Tokenprivileges)(unsafe.Pointer(&buf[0])), 0, nil, nil)
}

// maxMemory is what a server may commit, in bytes: more than what its own bounds add up to.
const maxMemory = 3 << 30

// Variables of the package, as their addresses are passed as numbers.
var (
	jobLimits = windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags:         windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
			ActiveProcessLimit: 1,
		},
		ProcessMemoryLimit: maxMemory,
	}
	jobUI = windows.JOBOBJECT_BASIC_UI_RESTRICTIONS{UIRestrictionsClass: 0xff} // all of JOB_OBJECT_UILIMIT_*
)

// enterJob enters a job without a name, which lasts as long as the process.
func enterJob() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	for _, l := range []struct {
		class  uint32
		limits uintptr
		size   uintptr
	}{
		{windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&jobLimits)), unsafe.Sizeof(jobLimits)},
		{windows.JobObjectBasicUIRestrictions, uintptr(unsafe.Pointer(&jobUI)), unsafe.Sizeof(jobUI)},
	} {
		if _, err := windows.SetInformationJobObject(job, l.class, l.limits, uint32(l.size)); err != nil {
			return err
		}
	}
	return windows.AssignProcessToJobObject(job, windows.CurrentProcess())
}
