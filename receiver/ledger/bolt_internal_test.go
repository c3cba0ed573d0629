package ledger

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

var errDisk = errors.New("input/output error")

func testBolt(t *testing.T) *Bolt {
	t.Helper()
	b, err := OpenBolt(filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Commit(t.Context(), 1, []Op{{Key: "before", Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// The disk fails before the meta page is written: nothing is there, and the store goes on.
func TestBoltGoesOnAfterACommitThatIsSurelyAbsent(t *testing.T) {
	t.Parallel()
	b := testBolt(t)
	b.commit = func(tx *bolt.Tx) error { return errors.Join(errDisk, tx.Rollback()) }
	err := b.Commit(t.Context(), 2, []Op{{Key: "lost", Value: []byte("1")}})
	if _, unknown := errors.AsType[*UnknownError](err); unknown || !errors.Is(err, errDisk) || !strings.Contains(err.Error(), b.path) {
		t.Errorf("Commit() = %v, want %v, known to be absent, with the file's name", err, errDisk)
	}
	b.commit = (*bolt.Tx).Commit
	if err := b.Commit(t.Context(), 1, []Op{{Key: "lost", Value: []byte("2"), IfAbsent: true}}); err != nil {
		t.Errorf("the same asked again = %v, want no error: neither batch nor epoch was written", err)
	}
}

// The same where bbolt itself says no, for want of space.
func TestBoltGoesOnWhenSpaceComesBack(t *testing.T) {
	t.Parallel()
	b := testBolt(t)
	b.db.MaxSize = 1 << 16
	big := []Op{{Key: "big", Value: make([]byte, 1<<20)}}
	err := b.Commit(t.Context(), 1, big)
	if _, unknown := errors.AsType[*UnknownError](err); err == nil || unknown {
		t.Errorf("Commit() without space = %v, want an error, known to be absent", err)
	}
	b.db.MaxSize = 0
	if err := b.Commit(t.Context(), 1, big); err != nil {
		t.Errorf("Commit() with space = %v, want no error", err)
	}
}

// The sync of the meta page fails: the file shows the batch, the disk may not have it. Nothing is believed any more.
func TestBoltStopsAfterACommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	b := testBolt(t)
	b.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), errDisk) }
	err := b.Commit(t.Context(), 1, []Op{{Key: "perhaps", Value: []byte("1")}})
	if _, unknown := errors.AsType[*UnknownError](err); !unknown || !errors.Is(err, errDisk) {
		t.Errorf("Commit() = %v, want an UnknownError of %v", err, errDisk)
	}
	b.commit = (*bolt.Tx).Commit
	for name, err := range map[string]error{
		"Commit": b.Commit(t.Context(), 1, []Op{{Key: "after", Value: []byte("1")}}),
		"List":   b.List(t.Context(), "", func(string, []byte) error { return nil }),
	} {
		_, unknown := errors.AsType[*UnknownError](err)
		if unknown || !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "restart the receiver") {
			t.Errorf("next %s() = %v, want an error that names %v and says what to do", name, err, errDisk)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenBolt(b.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	var keys []string
	if err := again.List(t.Context(), "", func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(keys, " "); got != "before meta/epoch meta/schema perhaps" {
		t.Errorf("keys = %s, want nothing written after the failure", got)
	}
}

// TestCarryingOverKeepsTheOldLedgerWhereTheDiskFails: the disk fails before, or at, the moment at which it counts.
func TestCarryingOverKeepsTheOldLedgerWhereTheDiskFails(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]func(*bolt.Tx) error{
		"before":  func(tx *bolt.Tx) error { return errors.Join(errDisk, tx.Rollback()) },
		"perhaps": func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), errDisk) },
	} {
		path := filepath.Join(t.TempDir(), "ledger.db")
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket(bucketName)
			return errors.Join(err, b.Put([]byte(schemaKey), []byte("1")), b.Put([]byte("vm/c/SQL01"), []byte("{}")))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		accept := func(Records) error { return nil }
		b := &Bolt{path: path, commit: commit}
		if err := b.open(Options{LockTimeout: DefaultLockTimeout, Carry: accept}); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "next start") {
			t.Errorf("%s: open() = %v, want %v and what comes of it", name, err, errDisk)
		}
		again, err := OpenBolt(path, Options{Carry: accept})
		if err != nil {
			t.Fatalf("%s: the next start: %v", name, err)
		}
		value := ""
		if err := again.List(t.Context(), "vm/", func(_ string, v []byte) error { value = string(v); return nil }); err != nil || value != "{}" {
			t.Errorf("%s: after the next start the record is %q, %v", name, value, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}
