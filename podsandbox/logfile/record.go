package logfile

import (
	"encoding/json"
	"fmt"
	"os"
)

// record is the sidecar: the streams' offsets when the log file had a size.
type record struct {
	Offsets [streams]uint64
	Size    int64
	// File identifies the log file; zero when the container has no log.
	File fileID
}

// fileID tells a file from others of its folder, under whatever name.
type fileID struct{ Device, Inode uint64 }

// save replaces the record at path in one step.
func (r record) save(path string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("log record %s: %w", path, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("log record: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("log record: %w", err)
	}
	return nil
}

func loadRecord(path string) (record, error) {
	var r record
	data, err := os.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("log record: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("log record %s: %w", path, err)
	}
	return r, nil
}
