package podsandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// Linux signal numbers, whatever the host: the process is in a Linux guest.
var linuxSignals = map[string]uint32{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9,
	"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17,
	"CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26,
	"PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
}

const (
	sigKill = 9
	sigTerm = 15
	sigMin  = 34 // SIGRTMIN
	sigMax  = 64 // SIGRTMAX
)

// parseSignal reads a signal's name (TERM, SIGTERM, SIGRTMIN+3, RTMAX-1) or number; "" is SIGTERM.
func parseSignal(s string) (uint32, error) {
	if s == "" {
		return sigTerm, nil
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n >= 1 && n <= sigMax {
		return uint32(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, ok := linuxSignals[name]; ok {
		return n, nil
	}
	for _, rt := range []struct {
		prefix     string
		base, sign int
	}{{"RTMIN", sigMin, 1}, {"RTMAX", sigMax, -1}} {
		rest, found := strings.CutPrefix(name, rt.prefix)
		if !found {
			continue
		}
		offset := 0
		if rest != "" {
			n, err := strconv.Atoi(rest)
			if err != nil || (rest[0] != '+' && rest[0] != '-') || n*rt.sign < 0 {
				break
			}
			offset = n
		}
		if n := rt.base + offset; n >= sigMin && n <= sigMax {
			return uint32(n), nil
		}
	}
	return 0, fmt.Errorf("%w: unknown signal %q", ErrInvalid, s)
}
