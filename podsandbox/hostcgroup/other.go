//go:build !linux

package hostcgroup

// Read tells that there is no such cgroup: only Linux has them.
func Read(string) (Limits, bool) { return Limits{}, false }
