package main

import (
	"encoding/json"
	"io"
	"os"
	"os/user"
	"runtime"
	"strings"
)

// report is what a process sees of its container.
type report struct {
	OS       string
	Args     []string
	Env      map[string]string // names in capitals
	Dir      string
	Hostname string
	User     string
	Drive    []string // what is in the root of the current drive
	CPUs     int
}

func writeReport(w io.Writer) error {
	r := report{OS: runtime.GOOS, Args: os.Args[2:], Env: map[string]string{}, CPUs: runtime.NumCPU()}
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		r.Env[strings.ToUpper(name)] = value
	}
	var err error
	if r.Dir, err = os.Getwd(); err != nil {
		return err
	}
	if r.Hostname, err = os.Hostname(); err != nil {
		return err
	}
	if u, err := user.Current(); err == nil {
		r.User = u.Username
	} else {
		r.User = "unknown: " + err.Error()
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		r.Drive = append(r.Drive, e.Name())
	}
	return json.NewEncoder(w).Encode(r)
}
