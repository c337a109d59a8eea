package qemu

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// clockTick is the unit of processor time in /proc (USER_HZ, 100 on every Linux).
const clockTick = 10 * time.Millisecond

// Stats implements vm.VM.
func (v *VM) Stats(context.Context) (vm.Stats, error) {
	if err := v.running(); err != nil {
		return vm.Stats{}, err
	}
	s := vm.Stats{Time: time.Now()}
	fields, err := statFields(v.state.PID)
	if err == nil {
		for _, i := range []int{11, 12} { // utime, stime
			ticks, _ := strconv.ParseInt(string(fields[i]), 10, 64)
			s.CPU += time.Duration(ticks) * clockTick
		}
		s.MemoryBytes, err = proportionalSetSize(v.state.PID)
	}
	if err != nil {
		return vm.Stats{}, v.orExited(fmt.Errorf("statistics of VM %s: %w", v.state.ID, err))
	}
	return s, nil
}

func proportionalSetSize(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", pid)
}
