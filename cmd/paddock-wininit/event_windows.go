package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/guest/winproc"
)

// deliver sends the event that the folder names to all descendants of this
// process, once for each interrupt.
func deliver(dir folder, interrupts <-chan os.Signal) {
	for range interrupts {
		event, err := winproc.ReadEvent(dir)
		if err == nil {
			err = broadcast(event)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "paddock-wininit:", err)
		}
	}
}

var (
	kernelbase         = windows.NewLazySystemDLL("kernelbase.dll")
	ctrlRoutine        = kernelbase.NewProc("CtrlRoutine")
	createRemoteThread = windows.NewLazySystemDLL("kernel32.dll").NewProc("CreateRemoteThread")
)

// broadcast has every descendant handle an event, which console hosts do by the
// same thread: kernelbase is at one address in all processes.
func broadcast(event winproc.Event) error {
	if err := ctrlRoutine.Find(); err != nil {
		return err
	}
	pids, err := descendants(windows.GetCurrentProcessId())
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := interrupt(pid, event); err != nil {
			fmt.Fprintf(os.Stderr, "paddock-wininit: %v for process %d: %v\n", event, pid, err)
		}
	}
	return nil
}

func interrupt(pid uint32, event winproc.Event) error {
	const access = windows.PROCESS_CREATE_THREAD | windows.PROCESS_QUERY_INFORMATION |
		windows.PROCESS_VM_OPERATION | windows.PROCESS_VM_WRITE | windows.PROCESS_VM_READ
	process, err := windows.OpenProcess(access, false, pid)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(process)
	thread, _, err := createRemoteThread.Call(uintptr(process), 0, 0, ctrlRoutine.Addr(), uintptr(event), 0, 0)
	if thread == 0 {
		return err
	}
	return windows.CloseHandle(windows.Handle(thread))
}

// descendants are the processes that come from one, without it.
func descendants(of uint32) ([]uint32, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	children := map[uint32][]uint32{}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if entry.ProcessID != entry.ParentProcessID {
			children[entry.ParentProcessID] = append(children[entry.ParentProcessID], entry.ProcessID)
		}
	}
	all, seen := []uint32{of}, map[uint32]bool{of: true}
	for i := 0; i < len(all); i++ {
		for _, pid := range children[all[i]] {
			if !seen[pid] {
				seen[pid] = true
				all = append(all, pid)
			}
		}
	}
	return all[1:], nil
}
