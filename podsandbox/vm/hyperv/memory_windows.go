package hyperv

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

//go:generate go run golang.org/x/sys/windows/mkwinsyscall -output zsyscall_windows.go memory_windows.go

//sys globalMemoryStatusEx(status *memoryStatusEx) (err error) = kernel32.GlobalMemoryStatusEx
//sys getProcessMemoryInfo(process windows.Handle, counters *processMemoryCounters, size uint32) (err error) = kernel32.K32GetProcessMemoryInfo

// memoryStatusEx is MEMORYSTATUSEX of sysinfoapi.h.
type memoryStatusEx struct {
	length, load                                                                          uint32
	totalPhys, availPhys, totalPage, availPage, totalVirtual, availVirtual, availExtended uint64
}

// hostMemory is the host's memory, in bytes; 0 if it cannot be told.
func hostMemory() uint64 {
	s := memoryStatusEx{length: uint32(unsafe.Sizeof(memoryStatusEx{}))}
	if err := globalMemoryStatusEx(&s); err != nil {
		return 0
	}
	return s.totalPhys
}

// processMemoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type processMemoryCounters struct {
	size, pageFaults                                                                                  uint32
	peakWorkingSet, workingSet, peakPaged, paged, peakNonPaged, nonPaged, pagefileUsage, peakPagefile uintptr
}

// vmmem is the process that stands for a VM's memory.
const vmmem = "vmmem"

// workingSet is how much of the host's memory a VM with overcommit uses: HCS does
// not tell, but the process vmmem that runs as the VM's own account
// (NT VIRTUAL MACHINE\<RuntimeId>). 0 if there is no such process.
func workingSet(runtimeID string) (uint64, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		name := strings.TrimSuffix(strings.ToLower(windows.UTF16ToString(entry.ExeFile[:])), ".exe")
		if name != vmmem {
			continue
		}
		if bytes, ours := workingSetOf(entry.ProcessID, runtimeID); ours {
			return bytes, nil
		}
	}
	return 0, nil
}

// workingSetOf is a process's working set, if it runs as the VM's account.
func workingSetOf(pid uint32, runtimeID string) (uint64, bool) {
	p, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return 0, false
	}
	defer windows.CloseHandle(p)
	var token windows.Token
	if err := windows.OpenProcessToken(p, windows.TOKEN_QUERY, &token); err != nil {
		return 0, false
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return 0, false
	}
	account, domain, _, err := user.User.Sid.LookupAccount("")
	if err != nil || !strings.EqualFold(domain, "NT VIRTUAL MACHINE") || !strings.EqualFold(account, runtimeID) {
		return 0, false
	}
	c := processMemoryCounters{size: uint32(unsafe.Sizeof(processMemoryCounters{}))}
	if err := getProcessMemoryInfo(p, &c, c.size); err != nil {
		return 0, false
	}
	return uint64(c.workingSet), true
}
