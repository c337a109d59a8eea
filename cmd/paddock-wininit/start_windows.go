package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/guest/winproc"
)

// root is the folder of a process that names none.
const root = `C:\`

// start starts a process with the stdio of this one, in a job that ends with this one.
func start(r winproc.Request) (process windows.Handle, j job, err error) {
	if r.Dir == "" {
		r.Dir = root
	}
	if info, err := os.Stat(r.Dir); err != nil || !info.IsDir() {
		return 0, 0, fmt.Errorf("the working directory %s is not a folder of the container", r.Dir)
	}
	program, err := find(r.Args[0], r.Dir, r.Env)
	if err != nil {
		return 0, 0, err
	}
	if r.CommandLine == "" {
		r.CommandLine = windows.ComposeCommandLine(r.Args)
	}
	if j, err = newJob(); err != nil {
		return 0, 0, err
	}
	p, err := create(program, r)
	if err != nil {
		return 0, 0, fmt.Errorf("run %s: %w", program, err)
	}
	defer windows.CloseHandle(p.Thread)
	if err := windows.AssignProcessToJobObject(windows.Handle(j), p.Process); err != nil {
		_ = windows.TerminateProcess(p.Process, 1)
		return 0, 0, fmt.Errorf("put the process into a job: %w", err)
	}
	if _, err := windows.ResumeThread(p.Thread); err != nil {
		return 0, 0, fmt.Errorf("let the process run: %w", err)
	}
	return p.Process, j, nil
}

// create makes a process that does not run yet.
func create(program string, r winproc.Request) (p windows.ProcessInformation, err error) {
	var words [3]*uint16
	for i, s := range []string{program, r.CommandLine, r.Dir} {
		if words[i], err = windows.UTF16PtrFromString(s); err != nil {
			return p, err
		}
	}
	block, err := environment(r.Env)
	if err != nil {
		return p, err
	}
	info := windows.StartupInfo{}
	info.Cb = uint32(unsafe.Sizeof(info))
	if err := inheritStdio(&info); err != nil {
		return p, err
	}
	const flags = windows.CREATE_UNICODE_ENVIRONMENT | windows.CREATE_SUSPENDED
	err = windows.CreateProcess(words[0], words[1], nil, nil, true, flags, &block[0], words[2], &info, &p)
	return p, err
}

// inheritStdio gives the process this one's pipes. A console it shares anyway.
func inheritStdio(info *windows.StartupInfo) error {
	var mode uint32
	for std, to := range map[uint32]*windows.Handle{
		windows.STD_INPUT_HANDLE: &info.StdInput, windows.STD_OUTPUT_HANDLE: &info.StdOutput, windows.STD_ERROR_HANDLE: &info.StdErr,
	} {
		h, err := windows.GetStdHandle(std)
		if err != nil {
			return fmt.Errorf("stdio: %w", err)
		}
		if h == 0 || h == windows.InvalidHandle || windows.GetConsoleMode(h, &mode) == nil {
			continue
		}
		if err := windows.SetHandleInformation(h, windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT); err != nil {
			return fmt.Errorf("stdio: %w", err)
		}
		*to = h
		info.Flags |= windows.STARTF_USESTDHANDLES
	}
	return nil
}

// environment is the block that CreateProcess takes, which is sorted.
func environment(env []string) ([]uint16, error) {
	env = slices.Clone(env)
	slices.SortFunc(env, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) })
	var block []uint16
	for _, e := range env {
		if strings.ContainsRune(e, 0) {
			return nil, fmt.Errorf("variable %q contains a NUL", e)
		}
		block = append(append(block, utf16.Encode([]rune(e))...), 0)
	}
	if len(block) == 0 {
		block = append(block, 0)
	}
	return append(block, 0), nil
}

// find looks for a program as CreateProcess does for a process whose folder and
// PATH are those that this one is to have: as named, with .exe, and by the
// extensions of PATHEXT.
func find(name, dir string, env []string) (string, error) {
	name = filepath.FromSlash(name)
	var places []string
	switch {
	case filepath.IsAbs(name):
		places = []string{""}
	case filepath.VolumeName(name) == "" && strings.HasPrefix(name, `\`):
		places, name = []string{""}, filepath.VolumeName(root)+name
	case strings.ContainsRune(name, '\\'):
		places = []string{dir}
	default:
		system := variable(env, "SystemRoot")
		places = append([]string{dir, filepath.Join(system, "System32"), system}, filepath.SplitList(variable(env, "PATH"))...)
	}
	extensions := []string{""}
	if filepath.Ext(name) == "" {
		extensions = append(append([]string{".exe"}, strings.Split(variable(env, "PATHEXT"), ";")...), "")
	}
	for _, place := range places {
		for _, ext := range extensions {
			path := filepath.Join(place, name) + ext
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("the system cannot find the file specified: %q is an executable neither in %s nor in PATH", name, dir)
}

// variable is the value of a variable, whose name's case does not matter.
func variable(env []string, name string) string {
	for _, e := range env {
		if k, v, ok := strings.Cut(e, "="); ok && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}
