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
	"io/fs"
	"strconv"
)

// Files of a process's folder.
const (
	requestFile = "request.json"
	startedFile = "started"
	failedFile  = "failed"
	exitFile    = "exit"
	eventFile   = "event"
)

// MaxFile bounds each of them, in bytes.
const MaxFile = 4 << 20

// Folder is a process's folder. Neither side trusts the other with more: names are plain.
type Folder interface {
	// ReadFile reads a file of at most MaxFile bytes; fs.ErrNotExist if there is none.
	ReadFile(name string) ([]byte, error)
	// WriteFile makes or replaces a file.
	WriteFile(name string, content []byte, mode fs.FileMode) error
	// Rename gives a file another's name.
	Rename(from, to string) error
}

// Request says what to run.
type Request struct {
	// Args are the program, looked for as Windows does, and its arguments.
	Args []string
	// CommandLine, if set, is what the process gets instead of Args joined.
	CommandLine string
	// Env is the whole environment, as NAME=value.
	Env []string
	// Dir is the folder to start in; C:\ if empty.
	Dir string
}

// WriteRequest puts a request into a folder.
func WriteRequest(f Folder, r Request) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return write(f, requestFile, raw)
}

// ReadRequest reads a folder's request.
func ReadRequest(f Folder) (Request, error) {
	var r Request
	raw, err := f.ReadFile(requestFile)
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
func WriteStarted(f Folder) error { return write(f, startedFile, nil) }

// Started tells whether the process runs or ran.
func Started(f Folder) bool {
	_, err := f.ReadFile(startedFile)
	return err == nil
}

// WriteFailed says why the process could not be started.
func WriteFailed(f Folder, why string) error { return write(f, failedFile, []byte(why)) }

// Failed tells why the process could not be started; ok is false if it was not said.
func Failed(f Folder) (why string, ok bool) {
	const most = 4096
	raw, err := f.ReadFile(failedFile)
	return string(raw[:min(len(raw), most)]), err == nil
}

// WriteExit says how the process ended.
func WriteExit(f Folder, code uint32) error { return writeNumber(f, exitFile, code) }

// ReadExit tells the process's exit code; fs.ErrNotExist if it was not said.
func ReadExit(f Folder) (uint32, error) { return readNumber(f, exitFile) }

// WriteEvent says which event to deliver next.
func WriteEvent(f Folder, e Event) error { return writeNumber(f, eventFile, uint32(e)) }

// ReadEvent tells it.
func ReadEvent(f Folder) (Event, error) {
	n, err := readNumber(f, eventFile)
	if err == nil && !Event(n).Valid() {
		err = fmt.Errorf("%s: %d is no console event", eventFile, n)
	}
	return Event(n), err
}

func writeNumber(f Folder, name string, n uint32) error {
	return write(f, name, strconv.AppendUint(nil, uint64(n), 10))
}

func readNumber(f Folder, name string) (uint32, error) {
	raw, err := f.ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(raw), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return uint32(n), nil
}

func write(f Folder, name string, content []byte) error {
	if err := f.WriteFile(name+".new", content, 0o644); err != nil {
		return err
	}
	return f.Rename(name+".new", name)
}
