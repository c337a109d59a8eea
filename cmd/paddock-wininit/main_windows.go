// Command paddock-wininit starts one Windows process in a utility VM and tells
// how it ended: see package winproc. It runs under Wine, beside the process.
package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/guest/winproc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "paddock-wininit runs in a utility VM, with the folder of a process as its argument")
		os.Exit(2)
	}
	code, err := run(folder(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "paddock-wininit:", err)
		os.Exit(2)
	}
	// Of this only the low 8 bits arrive; the folder has all of them.
	windows.ExitProcess(code)
}

func run(dir folder) (code uint32, err error) {
	interrupts := make(chan os.Signal, 8)
	signal.Notify(interrupts, os.Interrupt)
	req, err := winproc.ReadRequest(dir)
	if err != nil {
		return 0, err
	}
	process, job, err := start(req)
	if err != nil {
		return 1, winproc.WriteFailed(dir, err.Error())
	}
	if err := winproc.WriteStarted(dir); err != nil {
		return 0, err
	}
	go deliver(dir, interrupts)
	if _, err := windows.WaitForSingleObject(process, windows.INFINITE); err != nil {
		return 0, fmt.Errorf("wait for the process: %w", err)
	}
	if err := windows.GetExitCodeProcess(process, &code); err != nil {
		return 0, fmt.Errorf("exit code of the process: %w", err)
	}
	if err := job.release(); err != nil {
		return 0, err
	}
	return code, winproc.WriteExit(dir, code)
}
