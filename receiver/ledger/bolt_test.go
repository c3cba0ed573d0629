package ledger_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/ledger/ledgertest"
)

func openBolt(t *testing.T, path string) *ledger.Bolt {
	t.Helper()
	b, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		t.Fatalf("OpenBolt(%q) = %v, want no error", path, err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBoltConforms(t *testing.T) {
	t.Parallel()
	paths := ledgerPaths{of: map[ledger.Store]string{}}
	ledgertest.Run(t,
		func(t *testing.T) ledger.Store {
			path := filepath.Join(t.TempDir(), "ledger.db")
			return paths.remember(openBolt(t, path), path)
		},
		func(t *testing.T, s ledger.Store) ledger.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := paths.path(s)
			return paths.remember(openBolt(t, path), path)
		})
}

func TestBoltFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not mode bits there")
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	openBolt(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of a new ledger = %o, want 600", got)
	}
}

func TestBoltRefusesASecondReceiver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	first := openBolt(t, path)
	_, err := ledger.OpenBolt(path, ledger.Options{LockTimeout: 10 * time.Millisecond})
	wantError(t, err, path, "another receiver may hold it")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openBolt(t, path)
}

func TestBoltRefusesPlacesWhereNoLedgerCanBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing", "ledger.db")
	_, err := ledger.OpenBolt(missing, ledger.Options{})
	wantError(t, err, missing, filepath.Join(dir, "missing")+" does not exist", "create it")

	_, err = ledger.OpenBolt(dir, ledger.Options{})
	wantError(t, err, dir, "not a regular file")

	_, err = ledger.OpenBolt("", ledger.Options{})
	wantError(t, err, "no path is given")

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ledger.OpenBolt(filepath.Join(file, "ledger.db"), ledger.Options{})
	wantError(t, err, "ledger.db", "not a directory")

	_, err = ledger.OpenBolt(filepath.Join(dir, "ledger.db"), ledger.Options{LockTimeout: -time.Second})
	wantError(t, err, "-1s")
}

func TestBoltRefusesADirectoryItMayNotWrite(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("mode bits do not keep this user out")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ledger.db")
	_, err := ledger.OpenBolt(path, ledger.Options{})
	wantError(t, err, path, "must be writable for the receiver's user")
}

func TestBoltRefusesFilesThatAreNoLedger(t *testing.T) {
	t.Parallel()
	write := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	schema := func(value string) func(*testing.T, string) {
		return func(t *testing.T, path string) { edit(t, path, "hypervigil", "meta/schema", value) }
	}
	for _, test := range []struct {
		name string
		make func(*testing.T, string)
		want []string
	}{
		{"text", write("this is no ledger"), []string{"no ledger or is damaged"}},
		{"zeros", write(strings.Repeat("\x00", 1<<16)), []string{"no ledger or is damaged"}},
		{"another program's", func(t *testing.T, path string) { edit(t, path, "theirs", "k", "v") }, []string{"another program", "theirs"}},
		{"newer schema", schema("3"), []string{"newer receiver (schema 3, this one knows 2)", "run that version"}},
		{"older schema", schema("1"), []string{"older receiver (schema 1, this one knows 2)", "start hypervigil-receiver with it"}},
		{"schema of nobody", schema("0"), []string{`is damaged (record "meta/schema" is 0`}},
		{"no schema", schema(""), []string{`is damaged (record "meta/schema" is "", which is no number)`}},
		{"nonsense as schema", schema("one"), []string{`is "one", which is no number`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			test.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ledger.OpenBolt(path, ledger.Options{})
			wantError(t, err, append(test.want, path)...)
			// Refused means untouched, but for bbolt's own bookkeeping, and not locked.
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(after) != len(before) {
				t.Errorf("the file had %d bytes and has %d", len(before), len(after))
			}
			_, err = ledger.OpenBolt(path, ledger.Options{LockTimeout: 10 * time.Millisecond})
			wantError(t, err, test.want...)
		})
	}
}

// A page in the middle is overwritten: the damage is found at the start, not in the night when it is read.
func TestBoltRefusesADamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	b := openBolt(t, path)
	for i := range 50 {
		key := ledger.Key("incident", strings.Repeat("x", 1+i))
		if err := b.Commit(t.Context(), 1, []ledger.Op{{Key: key, Value: make([]byte, 2000)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 2 * page; at < len(content); at += page { // the two meta pages stay
		clear(content[at : at+32])
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ledger.OpenBolt(path, ledger.Options{})
	wantError(t, err, path, "damaged", "move it away")
}

// bbolt goes back to the commit before where the newest one's meta page is damaged: a command would be sent twice.
func TestBoltRefusesAFileWithADamagedMetaPage(t *testing.T) {
	t.Parallel()
	content, _ := wholeLedger(t)
	page := os.Getpagesize()
	for name, at := range map[string]int{"the first": 0, "the second": page} {
		for offset := 16; offset < 80; offset += 21 { // behind the page's header
			damaged := bytes.Clone(content)
			damaged[at+offset] ^= 0x10
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ledger.OpenBolt(path, ledger.Options{})
			if err == nil {
				t.Fatalf("%s, byte %d: it was opened", name, offset)
			}
			wantError(t, err, path, "damaged", "move it away")
		}
	}
}

func TestBoltSurvivesACreationCutShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Between bbolt's first pages and the schema.
	path := filepath.Join(dir, "pages.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openBolt(t, path)
	// Before bbolt's first pages.
	path = filepath.Join(dir, "empty.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openBolt(t, path)
}

func edit(t *testing.T, path, bucket, key, value string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q, want it to contain %q", err, part)
		}
	}
}
