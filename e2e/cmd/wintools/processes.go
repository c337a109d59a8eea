//go:build windows

package main

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// running lists the programs of all processes, by their ids.
func running() (map[uint32]string, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	all := map[uint32]string{}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		all[entry.ProcessID] = windows.UTF16ToString(entry.ExeFile[:])
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return all, nil
}

// processes prints the ids of those whose program's name has a text.
func processes(args []string) error {
	if len(args) != 1 {
		return errors.New("want a text")
	}
	all, err := running()
	if err != nil {
		return err
	}
	found := false
	for id, program := range all {
		if strings.Contains(program, args[0]) {
			fmt.Println(id)
			found = true
		}
	}
	if !found {
		return exitCode(1)
	}
	return nil
}
