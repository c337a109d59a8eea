package daemon

import (
	"os"
	"strings"
)

// LogTail is the last lines that the daemon printed.
func (d *Daemon) LogTail(lines int) string {
	b, err := os.ReadFile(d.LogFile)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
