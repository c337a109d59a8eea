package store

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// Table is the records of one kind, by id.
type Table[T any] struct {
	db     *bbolt.DB
	bucket []byte
}

// NewTable opens the table called name, made if absent.
func NewTable[T any](s *Store, name string) (*Table[T], error) {
	t := &Table[T]{db: s.db, bucket: []byte(name)}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(t.bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", name, err)
	}
	return t, nil
}

// Put stores a record durably, replacing an earlier one.
func (t *Table[T]) Put(id string, record *T) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", t.bucket, id, err)
	}
	err = t.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(t.bucket).Put([]byte(id), data)
	})
	if err != nil {
		return fmt.Errorf("store %s %s: %w", t.bucket, id, err)
	}
	return nil
}

// Delete removes a record. An unknown id succeeds.
func (t *Table[T]) Delete(id string) error {
	err := t.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(t.bucket).Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", t.bucket, id, err)
	}
	return nil
}

// All returns every record by id. One that cannot be decoded fails the call and is named.
func (t *Table[T]) All() (map[string]*T, error) {
	all := map[string]*T{}
	err := t.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(t.bucket).ForEach(func(id, data []byte) error {
			record := new(T)
			if err := json.Unmarshal(data, record); err != nil {
				return fmt.Errorf("decode %s %s: %w", t.bucket, id, err)
			}
			all[string(id)] = record
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
