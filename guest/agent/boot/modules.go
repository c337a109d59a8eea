//go:build linux

package boot

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The guest image's build writes these; see guest/image. A list names one .ko
// file a line, in the order to load.
const (
	moduleList       = "/etc/paddock/modules"
	hypervModuleList = "/etc/paddock/modules.hyperv"
	moduleDeps       = "/etc/paddock/modules.dep"
	moduleAliases    = "/etc/paddock/modules.alias"
)

// loadModules loads what the image lists for this hypervisor.
func loadModules() error {
	if onHyperV() {
		return loadList(hypervModuleList)
	}
	return loadList(moduleList)
}

// onHyperV reads the hypervisor's signature as the kernel reports it.
func onHyperV() bool {
	raw, err := os.ReadFile("/sys/hypervisor/type")
	if err == nil && strings.Contains(strings.ToLower(string(raw)), "hyper-v") {
		return true
	}
	vendor, err := os.ReadFile("/sys/class/dmi/id/sys_vendor")
	if err == nil && strings.Contains(string(vendor), "Microsoft") {
		return true
	}
	// Kernel-direct boot has no DMI tables; the VMBus is announced through ACPI.
	found, _ := filepath.Glob("/sys/bus/acpi/devices/[vV][mM][bB][uU][sS]:*")
	return len(found) > 0
}

// loadList loads a list's modules. A module whose hardware is absent or which
// the kernel has built in is not an error; another failure is only logged, as
// what needs the module says better what is missing.
func loadList(list string) error {
	return eachLine(list, func(path string) bool {
		if err := loadModule(path); err != nil {
			logf("load module %s: %v", path, err)
		}
		return true
	})
}

// Modprobe loads the modules of a name or device alias, as the kernel asks for
// them at run time.
func Modprobe(alias string) error {
	alias = strings.ReplaceAll(alias, "-", "_")
	var failed error
	err := eachLine(moduleAliases, func(line string) bool {
		pattern, path, ok := strings.Cut(line, " ")
		matched, _ := filepath.Match(strings.ReplaceAll(pattern, "-", "_"), alias)
		if ok && matched {
			failed = errors.Join(failed, loadWithDeps(strings.TrimSpace(path)))
		}
		return true
	})
	return errors.Join(err, failed)
}

func loadWithDeps(module string) error {
	err := eachLine(moduleDeps, func(line string) bool {
		path, deps, _ := strings.Cut(line, ":")
		if path != module {
			return true
		}
		for _, dep := range strings.Fields(deps) {
			if err := loadModule(dep); err != nil {
				logf("load module %s for %s: %v", dep, module, err)
			}
		}
		return false
	})
	return errors.Join(err, loadModule(module))
}

// eachLine calls f with every line that says something until f answers false;
// a file that is not there has none.
func eachLine(file string, f func(line string) bool) error {
	in, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line != "" && !strings.HasPrefix(line, "#") && !f(line) {
			return nil
		}
	}
	return lines.Err()
}

func loadModule(path string) error {
	if !strings.HasPrefix(path, "/") {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return err
		}
		path = fmt.Sprintf("/lib/modules/%s/%s", unix.ByteSliceToString(u.Release[:]), path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
