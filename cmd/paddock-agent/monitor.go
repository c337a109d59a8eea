//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
)

// monitorSlack is how late Go's monitor may wake up, in nanoseconds.
const monitorSlack = 4_000_000

// slowMonitor lets the kernel delay the timers of Go's monitor thread (sysmon,
// runtime/proc.go). While any goroutine runs it sleeps 20 us at a time, which on a
// processor that they share is a switch of threads and back every time: under
// emulation more than half of what the agent is at. What the monitor is for, to
// take processors back from threads in long system calls and to preempt long
// loops, can wait for some milliseconds.
//
// The runtime starts it first of all its threads, before any of the program's
// code: it has the lowest number after the process's own.
func slowMonitor() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	monitor := 0
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err == nil && tid != os.Getpid() && (monitor == 0 || tid < monitor) {
			monitor = tid
		}
	}
	if monitor == 0 {
		return fmt.Errorf("the process has one thread only")
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", monitor), strconv.AppendInt(nil, monitorSlack, 10), 0)
}
