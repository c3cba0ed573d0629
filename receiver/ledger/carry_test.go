package ledger_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// oldRecords are the records of a ledger of schema 1, its own two included.
func oldRecords(n int) map[string]string {
	records := map[string]string{"meta/schema": "1", "meta/epoch": "7", "empty/value": ""}
	for i := range n {
		for _, kind := range []string{"incident", "audit", "vm"} {
			records[ledger.Key(kind, fmt.Sprintf("%04d", i))] = fmt.Sprintf(`{"kind":%q,"why":%q}`, kind, strings.Repeat("x", i%700))
		}
	}
	return records
}

// writeOld writes a file as schema 1 had it: each value as it is, in one bucket.
func writeOld(tb testing.TB, path string, records map[string]string) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		tb.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("hypervigil"))
		for key, value := range records {
			err = errors.Join(err, b.Put([]byte(key), []byte(value)))
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
}

// raw reads a file's records as they stand in it.
func raw(tb testing.TB, path string) map[string]string {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		tb.Fatal(err)
	}
	records := map[string]string{}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("hypervigil")).ForEach(func(key, value []byte) error {
			records[string(key)] = string(value)
			return nil
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
	return records
}

func all(list func(fn func(key string, value []byte) error) error) (map[string]string, error) {
	records := map[string]string{}
	err := list(func(key string, value []byte) error { records[key] = string(value); return nil })
	return records, err
}

// seen is what Carry was shown, time after time. It refuses the nth time where refuse is n.
type seen struct {
	t      *testing.T
	refuse int
	times  []map[string]string
}

var errSeen = errors.New("entry 5 does not follow entry 4")

func (s *seen) carry(r ledger.Records) error {
	got, err := all(func(fn func(string, []byte) error) error { return r.List(s.t.Context(), "", fn) })
	s.times = append(s.times, got)
	if len(s.times) == s.refuse {
		return errSeen
	}
	return err
}

func TestALedgerOfSchema1IsCarriedOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	old := oldRecords(300)
	writeOld(t, path, old)
	s := &seen{t: t}
	b, err := ledger.OpenBolt(path, ledger.Options{Carry: s.carry})
	if err != nil {
		t.Fatal(err)
	}
	carried := maps.Clone(old)
	carried["meta/schema"] = "2"
	if d := cmp.Diff([]map[string]string{old, carried}, s.times); d != "" {
		t.Errorf("Carry was shown other records than there are (-want +got):\n%s", d)
	}
	if err := b.Commit(t.Context(), 6, nil); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("Commit of an epoch from before = %v, want %v", err, ledger.ErrFenced)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for key, value := range raw(t, path) {
		if key != "meta/schema" && (len(value) != 4+len(old[key]) || value[4:] != old[key]) {
			t.Errorf("%s stands in the file as %q, want %q behind a seal", key, value, old[key])
		}
	}
	again := openBolt(t, path) // it is of the present schema now, and nobody is asked
	got, err := all(func(fn func(string, []byte) error) error { return again.List(t.Context(), "", fn) })
	if d := cmp.Diff(carried, got); d != "" || err != nil {
		t.Errorf("read again, %v (-want +got):\n%s", err, d)
	}
}

// TestALedgerThatIsNotCarriedOverIsLeftAsItWas: a refusal, before or after the records were sealed.
func TestALedgerThatIsNotCarriedOverIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(map[string]string)
		refuse int
		asked  int
		want   []string
	}{
		{"the records are refused", nil, 1, 1, []string{errSeen.Error(), "left as it was", "Run the older receiver"}},
		{"the sealed records are refused", nil, 2, 2, []string{errSeen.Error(), "left as it was", "Run the older receiver"}},
		{"an epoch that is no number", func(r map[string]string) { r["meta/epoch"] = "7x" }, 0, 0, []string{`record "meta/epoch"`, "is no number", "left as it was"}},
		{"a newer schema", func(r map[string]string) { r["meta/schema"] = "3" }, 0, 0, []string{"newer receiver (schema 3, this one knows 2)", "run that version"}},
		{"no schema at all", func(r map[string]string) { delete(r, "meta/schema") }, 0, 0, []string{"is damaged", "meta/schema"}},
		{"records without seals under the present schema", func(r map[string]string) { r["meta/schema"] = "2" }, 0, 0, []string{"is damaged", "checksum"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			old := oldRecords(20)
			if tt.change != nil {
				tt.change(old)
			}
			writeOld(t, path, old)
			s := &seen{t: t, refuse: tt.refuse}
			_, err := ledger.OpenBolt(path, ledger.Options{Carry: s.carry})
			wantError(t, err, append(tt.want, path)...)
			if len(s.times) != tt.asked {
				t.Errorf("Carry was asked %d times, want %d", len(s.times), tt.asked)
			}
			if d := cmp.Diff(old, raw(t, path)); d != "" {
				t.Errorf("the file is not as it was (-was +is):\n%s", d)
			}
		})
	}
	t.Run("a bucket where a record should be", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "ledger.db")
		writeOld(t, path, oldRecords(20))
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			_, err := tx.Bucket([]byte("hypervigil")).CreateBucket([]byte("vm/inner"))
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = ledger.OpenBolt(path, ledger.Options{Carry: (&seen{t: t}).carry})
		wantError(t, err, path, `record "vm/inner" is damaged`)
	})
}

// FuzzOldBoltCutShort cuts a file of schema 1 at any place and changes a byte of it: what is carried over was shown to
// Carry whole, and everything else is refused in words that name the file.
func FuzzOldBoltCutShort(f *testing.F) {
	path := filepath.Join(f.TempDir(), "ledger.db")
	old := oldRecords(60)
	writeOld(f, path, old)
	carried := maps.Clone(old)
	carried["meta/schema"] = "2"
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, at := range []uint32{1, 4096, 8192, 8193, 20000, uint32(len(content) - 1), uint32(len(content))} { //nolint:gosec // it is small
		f.Add(at, uint32(0), byte(0))
		f.Add(uint32(len(content)-1), at+17, byte(0x40)) //nolint:gosec // it is small
	}
	f.Fuzz(func(t *testing.T, at, which uint32, flip byte) {
		damaged := append([]byte(nil), content[:1+int(at)%len(content)]...)
		damaged[int(which)%len(damaged)] ^= flip
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &seen{t: t}
		b, err := ledger.OpenBolt(path, ledger.Options{Carry: s.carry})
		if err != nil {
			wantError(t, err, path)
			return
		}
		defer b.Close() //nolint:errcheck // it was only read
		got, err := all(func(fn func(string, []byte) error) error { return b.List(t.Context(), "", fn) })
		if err != nil {
			t.Fatal(err)
		}
		if len(s.times) != 2 {
			t.Fatalf("Carry was asked %d times", len(s.times))
		}
		if d := cmp.Diff(s.times[1], got); d != "" {
			t.Errorf("other records than Carry took (-took +is):\n%s", d)
		}
		if flip == 0 {
			if d := cmp.Diff(carried, got); d != "" {
				t.Errorf("cut at %d of %d: other records than were written (-written +read):\n%s", at, len(content), d)
			}
		}
	})
}

// childCarry names the variable that makes the test binary a process that carries a ledger over, and childStops the one
// that makes it stop when everything is sealed and nothing of that is kept.
const (
	childCarry = "HYPERVIGIL_TEST_LEDGER_CARRY"
	childStops = "HYPERVIGIL_TEST_LEDGER_CARRY_STOPS"
)

// carryUntilKilled carries a ledger over, and says when everything is sealed and about to be kept. It ends only where
// something is wrong.
func carryUntilKilled(path string) int {
	asked := 0
	_, err := ledger.OpenBolt(path, ledger.Options{Carry: func(ledger.Records) error {
		if asked++; asked == 2 {
			fmt.Println("sealed")
			if os.Getenv(childStops) != "" {
				time.Sleep(time.Hour) // until it is killed
			}
		}
		return nil
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	time.Sleep(time.Hour) // until it is killed
	return 1
}

// TestACrashWhileCarryingOver kills the process when everything is sealed and nothing of that kept, and then while it is
// being kept: the ledger is wholly the old one or wholly the new one, and the next start goes on from there.
func TestACrashWhileCarryingOver(t *testing.T) {
	t.Parallel()
	for round := range 4 {
		path := filepath.Join(t.TempDir(), "ledger.db")
		old := oldRecords(400)
		writeOld(t, path, old)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), childCarry+"="+path)
		if round == 0 {
			child.Env = append(child.Env, childStops+"=1")
		}
		var complaints strings.Builder
		child.Stderr = &complaints
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "sealed\n" {
			t.Errorf("the child says %q (%v)", line, err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		err = child.Wait()
		if child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v\n%s", err, complaints.String())
		}
		left := raw(t, path)
		if round == 0 || left["meta/schema"] == "1" {
			if d := cmp.Diff(old, left); d != "" {
				t.Errorf("the ledger of before is not as it was (-was +is):\n%s", d)
			}
		}
		b, err := ledger.OpenBolt(path, ledger.Options{Carry: (&seen{t: t}).carry})
		if err != nil {
			t.Fatalf("the next start, of a ledger of schema %s: %v", left["meta/schema"], err)
		}
		got, err := all(func(fn func(string, []byte) error) error { return b.List(t.Context(), "", fn) })
		old["meta/schema"] = "2"
		if d := cmp.Diff(old, got); d != "" || err != nil {
			t.Errorf("after the next start, %v (-want +got):\n%s", err, d)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
