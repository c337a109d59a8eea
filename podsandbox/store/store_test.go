package store

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

type record struct{ Name string }

func TestRecordsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "state.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable[record](s, "things")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		if err := table.Put(id, &record{Name: id + id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Delete("a"); err != nil {
		t.Fatal(err)
	}
	if err := table.Delete("never there"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	s.Close()

	s, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table, _ = NewTable[record](s, "things")
	all, err := table.All()
	if err != nil || len(all) != 1 || all["b"].Name != "bb" {
		t.Fatalf("All: %v, %v", all, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(versionKey, binary.BigEndian.AppendUint32(nil, SchemaVersion+1))
	})
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrNewer) {
		t.Fatalf("open: %v, want ErrNewer", err)
	}
}
