package cri

import (
	"strconv"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CRI writes SIGRTMIN+1 as SIGNAL_SIGRTMINPLUS1 and SIGRTMAX-1 as SIGNAL_SIGRTMAXMINUS1.
var (
	fromCRISignal = strings.NewReplacer("SIGNAL_", "", "PLUS", "+", "MINUS", "-")
	toCRISignal   = strings.NewReplacer("+", "PLUS", "-", "MINUS")
)

// signalNumbers are Linux's, for images that give their stop signal as a number.
var signalNumbers = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
	9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
	16: "SIGSTKFLT", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU",
	23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO",
	30: "SIGPWR", 31: "SIGSYS", 34: "SIGRTMIN", 64: "SIGRTMAX",
}

const (
	sigRTMin = 34
	sigRTMid = 49 // the last one counted from SIGRTMIN
	sigRTMax = 64
)

// signalName is the name of a signal, "SIGRTMIN+3"; "" for the runtime's default.
func signalName(s runtimeapi.Signal) string {
	if s == runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		return ""
	}
	return fromCRISignal.Replace(s.String())
}

// criSignal reads a signal as images and configs write it: "SIGTERM", "term", "15".
func criSignal(name string) runtimeapi.Signal {
	name = strings.ToUpper(name)
	if n, err := strconv.Atoi(name); err == nil {
		name = signalOfNumber(n)
	}
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	return runtimeapi.Signal(runtimeapi.Signal_value["SIGNAL_"+toCRISignal.Replace(name)])
}

func signalOfNumber(n int) string {
	switch {
	case n > sigRTMin && n <= sigRTMid:
		return "SIGRTMIN+" + strconv.Itoa(n-sigRTMin)
	case n > sigRTMid && n < sigRTMax:
		return "SIGRTMAX-" + strconv.Itoa(sigRTMax-n)
	case n > 0 && n < len(signalNumbers):
		return signalNumbers[n]
	}
	return ""
}
