package leakcheck

import "path/filepath"

// cgroups lists the scope's group in each hierarchy, of both versions of cgroups.
func cgroups(s Scope) ([]string, error) {
	if s.Cgroup == "" {
		return nil, nil
	}
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		list, err := filepath.Glob(filepath.Join(pattern, s.Cgroup))
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}
