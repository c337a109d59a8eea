//go:build linux

package boot

import (
	"bytes"
	"flag"
	"os"

	"k8s.io/klog/v2"
)

// logToKernel sends the agent's log to the kernel's, where the console's log
// level decides what the host sees of it.
func logToKernel() {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	flags.Set("logtostderr", "false")
	flags.Set("stderrthreshold", "FATAL") // the kernel shows errors on the console by itself
	flags.Set("skip_headers", "true")
	for severity, level := range map[string]string{"INFO": "<6>", "WARNING": "<4>", "ERROR": "<3>", "FATAL": "<2>"} {
		klog.SetOutputBySeverity(severity, &kmsg{f: f, prefix: level + "paddock-agent: "})
	}
	flags.Set("one_output", "true")
}

// kmsg writes one kernel record a line; the kernel refuses records of over 1 KiB.
type kmsg struct {
	f      *os.File
	prefix string
}

func (k *kmsg) Write(p []byte) (int, error) {
	for line := range bytes.SplitSeq(bytes.TrimRight(p, "\n"), []byte("\n")) {
		k.f.Write(append([]byte(k.prefix), line[:min(len(line), 900)]...))
	}
	return len(p), nil
}
