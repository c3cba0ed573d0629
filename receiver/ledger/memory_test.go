package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/ledger/ledgertest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t,
		func(*testing.T) ledger.Store { return ledger.NewMemory() },
		func(t *testing.T, s ledger.Store) ledger.Store {
			m, ok := s.(*ledger.Memory)
			if !ok {
				t.Fatalf("the suite gave a %T", s)
			}
			return m.Crash()
		})
}

func TestMemoryFailsAsToldAndKeepsWhatItSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failure ledger.Failure
		unknown bool
		after   []string // keys after the crash
	}{
		{ledger.None, false, []string{"a", "b"}},
		{ledger.Absent, false, []string{"a"}},
		{ledger.UnknownKept, true, []string{"a", "b"}},
		{ledger.UnknownLost, true, []string{"a"}},
	} {
		t.Run(test.failure.String(), func(t *testing.T) {
			t.Parallel()
			m := ledger.NewMemory()
			op := func(key string) []ledger.Op { return []ledger.Op{{Key: key, Value: []byte("1")}} }
			if err := m.Commit(t.Context(), 1, op("a")); err != nil {
				t.Fatal(err)
			}
			m.FailCommits(func(batch []ledger.Op) ledger.Failure {
				if len(batch) > 0 && batch[0].Key == "b" {
					return test.failure
				}
				return ledger.None
			})
			err := m.Commit(t.Context(), 1, op("b"))
			if (err == nil) != (test.failure == ledger.None) {
				t.Errorf("Commit() = %v for failure %s", err, test.failure)
			}
			if _, unknown := errors.AsType[*ledger.UnknownError](err); unknown != test.unknown {
				t.Errorf("Commit() = %v, unknown = %t, want %t", err, unknown, test.unknown)
			}
			// After an unknown outcome nothing goes on; after the others everything does.
			if err := m.Commit(t.Context(), 1, nil); (err != nil) != test.unknown {
				t.Errorf("next Commit() = %v, want an error: %t", err, test.unknown)
			}
			if err := m.List(t.Context(), "", func(string, []byte) error { return nil }); (err != nil) != test.unknown {
				t.Errorf("next List() = %v, want an error: %t", err, test.unknown)
			}
			after := m.Crash()
			after.FailCommits(nil)
			var got []string
			if err := after.List(t.Context(), "", func(key string, _ []byte) error {
				got = append(got, key)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			got = slices.DeleteFunc(got, func(key string) bool { return key == "meta/schema" || key == "meta/epoch" })
			if diff := cmp.Diff(test.after, got); diff != "" {
				t.Errorf("after the crash (-want +got):\n%s", diff)
			}
			if err := after.Commit(t.Context(), 1, op("c")); err != nil {
				t.Errorf("Commit() after the crash = %v, want no error", err)
			}
			if err := m.Commit(t.Context(), 1, op("c")); !errors.Is(err, ledger.ErrClosed) {
				t.Errorf("Commit() to the crashed store = %v, want ErrClosed", err)
			}
		})
	}
}

func TestMemoryZeroesWhatItListed(t *testing.T) {
	t.Parallel()
	m := ledger.NewMemory()
	if err := m.Commit(t.Context(), 1, []ledger.Op{{Key: "a", Value: []byte("kept")}}); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for range 2 { // the store's own copy is untouched
		if err := m.List(t.Context(), "a", func(_ string, value []byte) error {
			if string(value) != "kept" {
				t.Errorf("value = %q during the call, want %q", value, "kept")
			}
			kept = value
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if string(kept) != "\x00\x00\x00\x00" {
			t.Errorf("value = %q after the call, want zeros", kept)
		}
	}
}
