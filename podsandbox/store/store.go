package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// SchemaVersion is what this code writes.
const SchemaVersion uint32 = 1

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = 2 * time.Second

var (
	// ErrNewer: a later version wrote the file.
	ErrNewer = errors.New("state was written by a newer version")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("state is in use by another process")
)

var (
	metaBucket = []byte("meta")
	versionKey = []byte("schema")
)

// Store is an open state file. Its methods may be called concurrently.
type Store struct{ db *bbolt.DB }

// Open opens or makes the file at path, and its folder. The caller closes it.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open state %s: %w; stop it first", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	if err := db.Update(checkSchema); err != nil {
		db.Close()
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	return &Store{db: db}, nil
}

// Close releases the file.
func (s *Store) Close() error { return s.db.Close() }

func checkSchema(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	raw := meta.Get(versionKey)
	if raw == nil {
		return meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, SchemaVersion))
	}
	if len(raw) != 4 {
		return fmt.Errorf("schema version has %d bytes instead of 4", len(raw))
	}
	if v := binary.BigEndian.Uint32(raw); v > SchemaVersion {
		return fmt.Errorf("%w: schema %d, this one knows %d", ErrNewer, v, SchemaVersion)
	}
	return nil
}
