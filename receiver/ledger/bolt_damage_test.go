package ledger_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// FuzzBoltDamagedRecord changes bytes of a record of the file, of its key or of its value: the file is refused in words that
// name it, the record and the way out, or, where the bytes are those of a page that is out of use, opened with every
// record as it was written.
func FuzzBoltDamagedRecord(f *testing.F) {
	path := filepath.Join(f.TempDir(), "ledger.db")
	b, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		f.Fatal(err)
	}
	written := map[string]string{}
	var batch []ledger.Op
	for n := range 30 {
		for _, kind := range []string{"incident", "action", "audit", "vm", "pause"} {
			key, value := ledger.Key(kind, fmt.Sprintf("name-%03d", n)), fmt.Sprintf(`{"id":"%s-%03d","why":%q}`, kind, n, strings.Repeat("x", n*9))
			written[key] = value
			batch = append(batch, ledger.Op{Key: key, Value: []byte(value)})
		}
	}
	if err := b.Commit(f.Context(), 7, batch); err != nil {
		f.Fatal(err)
	}
	if err := b.Close(); err != nil {
		f.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, op := range batch[:8] {
		f.Add(op.Key, uint32(3), byte(1))
		f.Add(op.Key, uint32(40), byte(0x20))
	}
	f.Add("pause/name-000", uint32(0), byte(' ')) // a key that now comes before all others: none behind it is found any more
	f.Fuzz(func(t *testing.T, which string, at uint32, flip byte) {
		value, ok := written[which]
		if !ok || flip == 0 {
			t.Skip()
		}
		// A leaf has keys and values side by side, and the seal between them.
		found := bytes.LastIndex(content, []byte(value))
		begin := found - len(which) - 4
		if found < 0 || string(content[begin:begin+len(which)]) != which {
			t.Fatalf("%s does not stand where it was looked for", which)
		}
		damaged := bytes.Clone(content)
		damaged[begin+int(at)%(len(which)+4+len(value))] ^= flip
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := ledger.OpenBolt(path, ledger.Options{})
		if err != nil {
			wantError(t, err, path, "is damaged", "record", "restore a copy")
			return
		}
		defer b.Close() //nolint:errcheck // it was only read
		got := map[string]string{}
		if err := b.List(t.Context(), "", func(key string, value []byte) error {
			if !strings.HasPrefix(key, "meta/") {
				got[key] = string(value)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(written, got); d != "" {
			t.Errorf("opened with other records than were written (-written +read):\n%s", d)
		}
	})
}
