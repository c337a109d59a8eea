package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
)

// bridgePrefix starts the name of the sample's bridge.
const bridgePrefix = "pdks"

// daemonDir is the folder of the sample's daemon.
const daemonDir = rootDir + "/daemon"

// stopEarlier ends the daemon of a sample that was killed. Its pods are taken
// over and removed by the daemon of this one.
func stopEarlier() error {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, link := range links {
		proc := filepath.Dir(link)
		exe, err := os.Readlink(link)
		if err != nil || filepath.Dir(exe) != daemonDir+"/bin" {
			continue
		}
		cmdline, err := os.ReadFile(proc + "/cmdline")
		if err != nil || !bytes.Contains(cmdline, []byte("\x00serve\x00")) {
			continue // a helper of a running pod
		}
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil {
			return err
		}
		fmt.Printf("Stopping the daemon of an earlier sample (process %d).\n", pid)
		if err := terminate(pid); err != nil {
			return err
		}
	}
	return nil
}

// removeEarlierBridges deletes the bridges of samples that were killed; their pods have gone.
func removeEarlierBridges(present string) error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		if strings.HasPrefix(l.Name, bridgePrefix) && l.Name != present {
			if err := (&cninet.Network{Bridge: l.Name}).Remove(); err != nil {
				return err
			}
		}
	}
	return nil
}

// terminate ends a process that is no child of ours.
func terminate(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for range 300 {
		// A process that has ended has no program, also while nobody has waited for it.
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("process %d did not end within 30 s of SIGTERM", pid)
}
