// Package winproc is what the agent of a utility VM and the program that starts
// Windows processes in it (cmd/paddock-wininit) agree on.
//
// Each process has a folder, which both see. The agent writes the request into
// it and starts the program, by Wine, with the folder as its argument and the
// process's own stdio. The program starts the process and says so, waits for
// its end, and says how it ended:
//
//	request.json ──▶ started ──▶ exit
//	            └──▶ failed
//
// Every file appears whole: it is written under another name and renamed.
// To deliver a console event, the agent writes its number to the file event and
// interrupts the program (SIGINT).
package winproc

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Files of a process's folder.
const (
	requestFile = "request.json"
	// StartedFile is there once the process runs.
	StartedFile = "started"
	// FailedFile says why it could not be started.
	FailedFile = "failed"
	exitFile   = "exit"
	eventFile  = "event"
)

// maxFile bounds what is read of the folder, in bytes.
const maxFile = 4 << 20

// Request says what to run.
type Request struct {
	// Args are the program, looked for as Windows does, and its arguments.
	Args []string
	// Env is the whole environment, as NAME=value.
	Env []string
	// Dir is the folder to start in; C:\ if empty.
	Dir string
}

// WriteRequest puts a request into a folder.
func WriteRequest(dir string, r Request) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return write(dir, requestFile, raw)
}

// ReadRequest reads a folder's request.
func ReadRequest(dir string) (Request, error) {
	var r Request
	raw, err := read(dir, requestFile)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", requestFile, err)
	}
	if len(r.Args) == 0 || r.Args[0] == "" {
		return r, fmt.Errorf("%s: no program", requestFile)
	}
	return r, nil
}

// WriteStarted says that the process runs.
func WriteStarted(dir string) error { return write(dir, StartedFile, nil) }

// WriteFailed says why the process could not be started.
func WriteFailed(dir, why string) error { return write(dir, FailedFile, []byte(why)) }

// ReadFailed tells why the process could not be started.
func ReadFailed(dir string) (string, error) {
	raw, err := read(dir, FailedFile)
	return string(raw), err
}

// WriteExit says how the process ended.
func WriteExit(dir string, code uint32) error {
	return write(dir, exitFile, []byte(strconv.FormatUint(uint64(code), 10)))
}

// ReadExit tells the process's exit code; os.ErrNotExist if it was not told.
func ReadExit(dir string) (uint32, error) {
	n, err := readNumber(dir, exitFile)
	return n, err
}

// WriteEvent says which event to deliver next.
func WriteEvent(dir string, e Event) error {
	return write(dir, eventFile, []byte(strconv.FormatUint(uint64(e), 10)))
}

// ReadEvent tells it.
func ReadEvent(dir string) (Event, error) {
	n, err := readNumber(dir, eventFile)
	if err == nil && !Event(n).Valid() {
		err = fmt.Errorf("%s: %d is no console event", eventFile, n)
	}
	return Event(n), err
}

func readNumber(dir, name string) (uint32, error) {
	raw, err := read(dir, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(raw), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return uint32(n), nil
}

func write(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", content, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func read(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}
