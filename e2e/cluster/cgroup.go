package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupHierarchies are the folders in which a group has to be made: one for
// each controller of version 1, one for version 2.
func cgroupHierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{cgroupMount}, nil
	}
	list, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range list {
		if e.IsDir() { // links are second names
			dirs = append(dirs, filepath.Join(cgroupMount, e.Name()))
		}
	}
	return dirs, nil
}

// makeCgroup makes the group below which kubelet makes its own, so that two kubelets do not meet.
func makeCgroup(name string) error {
	dirs, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		if err := errors.Join(inheritCpuset(dir, name), giveWeight(filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

// giveWeight has the pods get their part of a busy machine's processors. On a
// node, all its pods stand beside one group of the system's; here they stand
// beside every single process of the machine, of which each weighs what a group does.
func giveWeight(group string) error {
	for file, weight := range map[string]string{"cpu.shares": "16384", "cpu.weight": "1600"} { // versions 1 and 2: 16 processes
		err := os.WriteFile(filepath.Join(group, file), []byte(weight), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// inheritCpuset gives a group of version 1 its parent's processors and memory
// nodes: it begins with none, and takes no process then.
func inheritCpuset(dir, name string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		parent, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, file), parent, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes the group and those that kubelet leaves in it. An error
// names a group that still has processes.
func removeCgroup(name string) error {
	dirs, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		var groups []string
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return err
		})
		errs = append(errs, err)
		for _, g := range slices.Backward(groups) {
			if err := os.Remove(g); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
