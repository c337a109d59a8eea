package qemu

import "time"

func readTSC() uint64

// measureTSC is the frequency of the host's time stamp counter in kHz: what a
// guest under TCG sees, and would spend a while calibrating at boot.
func measureTSC() uint64 {
	const span = 20 * time.Millisecond
	start, from := time.Now(), readTSC()
	time.Sleep(span)
	cycles, passed := readTSC()-from, time.Since(start)
	return cycles * uint64(time.Millisecond) / uint64(passed)
}
