package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// job holds a process and all that it starts. When this program is killed, they end.
type job windows.Handle

func newJob() (job, error) {
	h, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("make a job: %w", err)
	}
	j := job(h)
	return j, j.limit(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)
}

// release lets what the process started live on without it, and without this program.
func (j job) release() error { return j.limit(0) }

func (j job) limit(flags uint32) error {
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = flags
	_, err := windows.SetInformationJobObject(windows.Handle(j), windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		return fmt.Errorf("limits of the job: %w", err)
	}
	return nil
}
