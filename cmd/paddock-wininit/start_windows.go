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

// start starts a process with the stdio of this one.
func start(r winproc.Request) (windows.Handle, error) {
	if r.Dir == "" {
		r.Dir = root
	}
	if info, err := os.Stat(r.Dir); err != nil || !info.IsDir() {
		return 0, fmt.Errorf("the working directory %s is not a folder of the container", r.Dir)
	}
	program, err := find(r.Args[0], r.Dir, r.Env)
	if err != nil {
		return 0, err
	}
	name, err := windows.UTF16PtrFromString(program)
	if err != nil {
		return 0, err
	}
	line, err := windows.UTF16PtrFromString(windows.ComposeCommandLine(r.Args))
	if err != nil {
		return 0, err
	}
	dir, err := windows.UTF16PtrFromString(r.Dir)
	if err != nil {
		return 0, err
	}
	block, err := environment(r.Env)
	if err != nil {
		return 0, err
	}
	info := windows.StartupInfo{}
	info.Cb = uint32(unsafe.Sizeof(info))
	if err := inheritStdio(&info); err != nil {
		return 0, err
	}
	var process windows.ProcessInformation
	const flags = windows.CREATE_UNICODE_ENVIRONMENT
	if err := windows.CreateProcess(name, line, nil, nil, true, flags, &block[0], dir, &info, &process); err != nil {
		return 0, fmt.Errorf("run %s: %w", program, err)
	}
	_ = windows.CloseHandle(process.Thread)
	return process.Process, nil
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
