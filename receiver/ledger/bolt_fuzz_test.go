package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// wholeLedger is the content of a ledger with as many records as make it branch.
func wholeLedger(tb testing.TB) ([]byte, int) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "ledger.db")
	b, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var batch []ledger.Op
	for i := range 60 {
		batch = append(batch, ledger.Op{Key: ledger.Key("incident", strings.Repeat("x", 1+i)), Value: []byte(strings.Repeat("v", 400))})
	}
	if err := b.Commit(tb.Context(), 1, batch); err != nil {
		tb.Fatal(err)
	}
	if err := b.Close(); err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content, len(batch)
}

// FuzzBoltCutShort cuts the file at any place: what is opened then has every record, and everything else is refused in
// words that name the file and the way out.
func FuzzBoltCutShort(f *testing.F) {
	content, records := wholeLedger(f)
	for _, at := range []uint32{1, 4096, 8192, 8193, 20000, uint32(len(content) - 1), uint32(len(content))} { //nolint:gosec // it is small
		f.Add(at)
	}
	f.Fuzz(func(t *testing.T, at uint32) {
		length := 1 + int(at)%len(content) // an empty file is a new ledger
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path, content[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := ledger.OpenBolt(path, ledger.Options{})
		if err != nil {
			wantError(t, err, path, "damaged", "move it away")
			return
		}
		defer b.Close() //nolint:errcheck // it was only read
		if n := len(listed(t, b)); n != records {
			t.Errorf("cut at %d of %d: it was opened with %d of %d records", length, len(content), n, records)
		}
	})
}

// listed lists the keys of the incidents.
func listed(t *testing.T, s ledger.Store) (keys []string) {
	t.Helper()
	if err := s.List(t.Context(), "incident/", func(key string, _ []byte) error { keys = append(keys, key); return nil }); err != nil {
		t.Errorf("List() = %v", err)
	}
	return keys
}
