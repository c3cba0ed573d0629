// Package ledgertest is the conformance suite of ledger.Store: what the receiver relies on, asked of each store in
// the same way. A store that passes it can stand under the receiver.
//
//	ledgertest.Run(t, openStore, reopenStore)
package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// Open returns an empty store. Whoever gets it closes it; a second Close does nothing.
type Open func(t *testing.T) ledger.Store

// Reopen ends a store without warning or closes it, as the implementation can, and returns a new one on the same
// durable state.
type Reopen func(t *testing.T, s ledger.Store) ledger.Store

// suite is what the tests share.
type suite struct {
	open   Open
	reopen Reopen
}

// Run asks everything of a store. Where reopen is nil, what concerns durability is skipped.
func Run(t *testing.T, open Open, reopen Reopen) {
	t.Helper()
	s := suite{open: open, reopen: reopen}
	for _, test := range []struct {
		name string
		run  func(suite, *testing.T)
	}{
		{"a new store holds nothing but its own keys", suite.empty},
		{"the last write of a key stays", suite.overwrite},
		{"deleting what is not there succeeds", suite.deletes},
		{"an empty value is a value", suite.emptyValues},
		{"a key of the greatest length and a big value come back", suite.bigOnes},
		{"bytes of every kind come back", suite.anyBytes},
		{"what no store can write is refused whole", suite.invalid},
		{"a claim holds once", suite.claim},
		{"a conflict leaves nothing of the batch", suite.conflict},
		{"conditions are asked of the state before the batch", suite.conditionsFirst},
		{"of several writes to one key in a batch the last stays", suite.sameKey},
		{"list is in the order of the keys' bytes", suite.order},
		{"a prefix is one of bytes", suite.prefix},
		{"list stops at the first error and returns it", suite.listStops},
		{"list sees one state", suite.consistentList},
		{"an ended context writes and lists nothing", suite.cancelled},
		{"an older epoch is fenced off", suite.fencing},
		{"an epoch counts even where its batch failed or was empty", suite.fencingByFailure},
		{"concurrent claims have one winner", suite.race},
		{"concurrent batches stay whole", suite.concurrent},
		{"a random history agrees with a map", suite.history},
		{"a closed store refuses", suite.closed},
		{"what was committed survives", suite.durable},
		{"the epoch survives", suite.durableEpoch},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(s, t)
		})
	}
}

func (s suite) store(t *testing.T) ledger.Store {
	t.Helper()
	store := s.open(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return store
}

// put is an op that writes a string.
func put(key, value string) ledger.Op { return ledger.Op{Key: key, Value: []byte(value)} }

// claim is put where the key must be free.
func claim(key, value string) ledger.Op {
	return ledger.Op{Key: key, Value: []byte(value), IfAbsent: true}
}

func commit(t *testing.T, s ledger.Store, batch ...ledger.Op) {
	t.Helper()
	if err := s.Commit(t.Context(), 1, batch); err != nil {
		t.Fatalf("Commit(%v) = %v, want no error", keys(batch), err)
	}
}

func keys(batch []ledger.Op) []string {
	var names []string
	for _, op := range batch {
		names = append(names, op.Key)
	}
	return names
}

// contents lists a store without its own keys.
func contents(t *testing.T, s ledger.Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := s.List(t.Context(), "", func(key string, value []byte) error {
		if !strings.HasPrefix(key, "meta/") {
			got[key] = string(value)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("List() = %v, want no error", err)
	}
	return got
}

func check(t *testing.T, s ledger.Store, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, s)); diff != "" {
		t.Errorf("contents of the store (-want +got):\n%s", diff)
	}
}

func listed(t *testing.T, s ledger.Store, prefix string) []string {
	t.Helper()
	var got []string
	if err := s.List(t.Context(), prefix, func(key string, _ []byte) error {
		got = append(got, key)
		return nil
	}); err != nil {
		t.Fatalf("List(%q) = %v, want no error", prefix, err)
	}
	return got
}

func (s suite) empty(t *testing.T) {
	store := s.store(t)
	check(t, store, map[string]string{})
	schema := ""
	if err := store.List(t.Context(), "meta/schema", func(_ string, value []byte) error {
		schema = string(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint(ledger.Schema); schema != want {
		t.Errorf("meta/schema = %q, want %q", schema, want)
	}
}

func (s suite) overwrite(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"), put("b", "1"))
	commit(t, store, put("a", "2"))
	check(t, store, map[string]string{"a": "2", "b": "1"})
}

func (s suite) deletes(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"), put("b", "1"))
	commit(t, store, ledger.Op{Key: "a"}, ledger.Op{Key: "never"})
	check(t, store, map[string]string{"b": "1"})
	commit(t, store, claim("a", "again"))
	check(t, store, map[string]string{"a": "again", "b": "1"})
}

func (s suite) emptyValues(t *testing.T) {
	store := s.store(t)
	commit(t, store, ledger.Op{Key: "a", Value: []byte{}})
	check(t, store, map[string]string{"a": ""})
	if err := store.Commit(t.Context(), 1, []ledger.Op{claim("a", "1")}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("claim of a key with an empty value = %v, want ErrConflict", err)
	}
}

func (s suite) bigOnes(t *testing.T) {
	store := s.store(t)
	long := strings.Repeat("k", ledger.MaxKey)
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: etcd's own limit is 1.5 MiB a request
	commit(t, store, put(long, "1"), put("big", big))
	check(t, store, map[string]string{long: "1", "big": big})
}

func (s suite) anyBytes(t *testing.T) {
	store := s.store(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	key := ledger.Key("vm", string(all), "a/b", "")
	commit(t, store, put(key, string(all)))
	check(t, store, map[string]string{key: string(all)})
}

func (s suite) invalid(t *testing.T) {
	store := s.store(t)
	for name, op := range map[string]ledger.Op{
		"empty key":           put("", "1"),
		"key too long":        put(strings.Repeat("k", ledger.MaxKey+1), "1"),
		"the store's own key": put("meta/epoch", "99"),
		"under meta":          {Key: "meta/schema"},
	} {
		if err := store.Commit(t.Context(), 1, []ledger.Op{put("good", "1"), op}); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("Commit(%s) = %v, want ErrInvalid", name, err)
		}
	}
	check(t, store, map[string]string{})
}

func (s suite) claim(t *testing.T) {
	store := s.store(t)
	commit(t, store, claim("action/1", "first"))
	err := store.Commit(t.Context(), 1, []ledger.Op{claim("action/1", "second")})
	if !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("second claim = %v, want ErrConflict", err)
	}
	check(t, store, map[string]string{"action/1": "first"})
}

func (s suite) conflict(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("taken", "1"), put("kept", "1"))
	for name, batch := range map[string][]ledger.Op{
		"condition last":  {put("new", "1"), {Key: "kept"}, claim("taken", "2")},
		"condition first": {claim("taken", "2"), put("new", "1"), {Key: "kept"}},
		"one of two":      {claim("free", "1"), claim("taken", "2")},
	} {
		if err := store.Commit(t.Context(), 1, batch); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("%s: Commit() = %v, want ErrConflict", name, err)
		}
		check(t, store, map[string]string{"taken": "1", "kept": "1"})
	}
}

func (s suite) conditionsFirst(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"))
	if err := store.Commit(t.Context(), 1, []ledger.Op{{Key: "a"}, claim("a", "2")}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("delete and claim in one batch = %v, want ErrConflict: the key was there before", err)
	}
	commit(t, store, put("b", "1"), claim("b", "2"))
	check(t, store, map[string]string{"a": "1", "b": "2"})
}

func (s suite) sameKey(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"), put("a", "2"), put("b", "1"), ledger.Op{Key: "b"}, ledger.Op{Key: "c"}, put("c", "1"))
	check(t, store, map[string]string{"a": "2", "c": "1"})
}

func (s suite) order(t *testing.T) {
	store := s.store(t)
	want := []string{"intake/00000000000000000002", "intake/00000000000000000010", "vm/a", "vm/a%20b", "vm/a/b", "vm/b", "vm/ä", "z"}
	slices.Sort(want)
	shuffled := slices.Clone(want)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, key := range shuffled {
		commit(t, store, put(key, key))
	}
	got := slices.DeleteFunc(listed(t, store, ""), func(key string) bool { return strings.HasPrefix(key, "meta/") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List(\"\") (-want +got):\n%s", diff)
	}
}

func (s suite) prefix(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("vm", "1"), put("vm/a", "1"), put("vm/a/x", "1"), put("vm/ab", "1"), put("vn", "1"), put("v", "1"), put("vm/\xff", "1"))
	for prefix, want := range map[string][]string{
		"vm":                      {"vm", "vm/a", "vm/a/x", "vm/ab", "vm/\xff"},
		"vm/a":                    {"vm/a", "vm/a/x", "vm/ab"},
		ledger.Prefix("vm", "a"):  {"vm/a/x"},
		ledger.Prefix("vm"):       {"vm/a", "vm/a/x", "vm/ab", "vm/\xff"},
		"vm/\xff":                 {"vm/\xff"},
		"w":                       nil,
		"\xff":                    nil,
		ledger.Prefix("incident"): nil,
	} {
		if diff := cmp.Diff(want, listed(t, store, prefix)); diff != "" {
			t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
		}
	}
}

func (s suite) listStops(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"), put("b", "1"), put("c", "1"))
	stop := errors.New("enough")
	calls := 0
	err := store.List(t.Context(), "", func(key string, _ []byte) error {
		if strings.HasPrefix(key, "meta/") {
			return nil
		}
		calls++
		if key == "b" {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 2 {
		t.Errorf("List() = %v after %d calls, want %v after 2", err, calls, stop)
	}
	commit(t, store, put("d", "1")) // and the store goes on
}

// consistentList lists while a writer keeps two keys equal: no list may see them differ.
func (s suite) consistentList(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("pair/a", "0"), put("pair/b", "0"))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			value := fmt.Sprint(i)
			if err := store.Commit(t.Context(), 1, []ledger.Op{put("pair/a", value), put("pair/b", value)}); err != nil {
				t.Errorf("Commit() = %v", err)
				return
			}
		}
	})
	for range 50 {
		var seen []string
		if err := store.List(t.Context(), "pair/", func(_ string, value []byte) error {
			seen = append(seen, string(value))
			return nil
		}); err != nil {
			t.Errorf("List() = %v", err)
		}
		if len(seen) != 2 || seen[0] != seen[1] {
			t.Errorf("List() saw %v, want two equal values", seen)
		}
	}
	stop.Store(true)
	wg.Wait()
}

func (s suite) cancelled(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Commit(ctx, 1, []ledger.Op{put("b", "1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit() with an ended context = %v, want context.Canceled", err)
	}
	err := store.List(ctx, "", func(key string, _ []byte) error {
		return fmt.Errorf("%s was listed", key)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("List() with an ended context = %v, want context.Canceled", err)
	}
	check(t, store, map[string]string{"a": "1"})
}

func (s suite) fencing(t *testing.T) {
	store := s.store(t)
	for _, step := range []struct {
		epoch uint64
		key   string
		want  error
	}{
		{3, "a", nil},
		{3, "b", nil},
		{2, "c", ledger.ErrFenced},
		{0, "d", ledger.ErrFenced},
		{9, "e", nil},
		{3, "f", ledger.ErrFenced},
		{1<<64 - 1, "g", nil},
		{1<<64 - 2, "h", ledger.ErrFenced},
	} {
		if err := store.Commit(t.Context(), step.epoch, []ledger.Op{put(step.key, "1")}); !errors.Is(err, step.want) {
			t.Errorf("Commit(epoch %d, %q) = %v, want %v", step.epoch, step.key, err, step.want)
		}
	}
	check(t, store, map[string]string{"a": "1", "b": "1", "e": "1", "g": "1"})
}

func (s suite) fencingByFailure(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"))
	if err := store.Commit(t.Context(), 5, []ledger.Op{claim("a", "2")}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("claim with epoch 5 = %v, want ErrConflict", err)
	}
	if err := store.Commit(t.Context(), 4, []ledger.Op{put("b", "1")}); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("Commit(epoch 4) after a conflict with epoch 5 = %v, want ErrFenced", err)
	}
	if err := store.Commit(t.Context(), 6, nil); err != nil {
		t.Errorf("Commit(epoch 6) of an empty batch = %v, want no error", err)
	}
	if err := store.Commit(t.Context(), 5, []ledger.Op{put("b", "1")}); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("Commit(epoch 5) after an empty batch with epoch 6 = %v, want ErrFenced", err)
	}
	check(t, store, map[string]string{"a": "1"})
}

func (s suite) race(t *testing.T) {
	store := s.store(t)
	for round := range 5 {
		key := ledger.Key("action", fmt.Sprint(round))
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				switch err := store.Commit(t.Context(), 1, []ledger.Op{claim(key, fmt.Sprint(i))}); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, ledger.ErrConflict):
					lost.Add(1)
				default:
					t.Errorf("claim = %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 7 {
			t.Errorf("round %d: %d claims won and %d lost, want 1 and 7", round, won.Load(), lost.Load())
		}
	}
}

func (s suite) concurrent(t *testing.T) {
	store := s.store(t)
	want := map[string]string{}
	for g := range 4 {
		for i := range 10 {
			for part := range 3 {
				want[ledger.Key("x", fmt.Sprint(g), fmt.Sprint(i), fmt.Sprint(part))] = fmt.Sprint(g, i)
			}
		}
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 10 {
				var batch []ledger.Op
				for part := range 3 {
					batch = append(batch, put(ledger.Key("x", fmt.Sprint(g), fmt.Sprint(i), fmt.Sprint(part)), fmt.Sprint(g, i)))
				}
				if err := store.Commit(t.Context(), 1, batch); err != nil {
					t.Errorf("Commit() = %v", err)
				}
			}
		})
	}
	wg.Wait()
	check(t, store, want)
}

// history runs random batches on the store and on a map, which says what ought to come of them.
func (s suite) history(t *testing.T) {
	for seed := range uint64(3) {
		store := s.store(t)
		model := map[string]string{}
		random := rand.New(rand.NewPCG(seed, 7))
		for n := range 60 {
			var batch []ledger.Op
			for range random.IntN(5) {
				op := ledger.Op{Key: ledger.Key("k", fmt.Sprint(random.IntN(8))), IfAbsent: random.IntN(4) == 0}
				if random.IntN(3) > 0 {
					op.Value = bytes.Repeat([]byte{byte(n)}, random.IntN(40))
				}
				batch = append(batch, op)
			}
			next := maps.Clone(model)
			var want error
			for _, op := range batch {
				if _, exists := model[op.Key]; exists && op.IfAbsent {
					want = ledger.ErrConflict
				}
				if op.Value == nil {
					delete(next, op.Key)
				} else {
					next[op.Key] = string(op.Value)
				}
			}
			if err := store.Commit(t.Context(), 1, batch); !errors.Is(err, want) {
				t.Fatalf("seed %d: batch %d: Commit(%v) = %v, want %v", seed, n, keys(batch), err, want)
			}
			if want == nil {
				model = next
			}
			if n%10 == 9 {
				check(t, store, model)
			}
			if s.reopen != nil && n%20 == 19 {
				store = s.again(t, store)
			}
		}
		check(t, store, model)
	}
}

func (s suite) closed(t *testing.T) {
	store := s.store(t)
	commit(t, store, put("a", "1"))
	for range 2 {
		if err := store.Close(); err != nil {
			t.Errorf("Close() = %v, want no error", err)
		}
	}
	if err := store.Commit(t.Context(), 1, []ledger.Op{put("a", "2")}); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("Commit() after Close = %v, want ErrClosed", err)
	}
	if err := store.List(t.Context(), "", func(string, []byte) error { return nil }); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("List() after Close = %v, want ErrClosed", err)
	}
}

// again reopens a store and sees to its end.
func (s suite) again(t *testing.T, store ledger.Store) ledger.Store {
	t.Helper()
	next := s.reopen(t, store)
	t.Cleanup(func() {
		if err := next.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return next
}

func (s suite) durable(t *testing.T) {
	if s.reopen == nil {
		t.Skip("this store cannot be opened again")
	}
	store := s.store(t)
	commit(t, store, put("a", "1"), put("b", "1"), ledger.Op{Key: "e", Value: []byte{}})
	commit(t, store, put("a", "2"), ledger.Op{Key: "b"}, claim("c", "1"))
	store = s.again(t, store)
	check(t, store, map[string]string{"a": "2", "c": "1", "e": ""})
	if err := store.Commit(t.Context(), 1, []ledger.Op{claim("c", "2")}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("claim of a key from before = %v, want ErrConflict", err)
	}
	commit(t, store, put("d", "1"))
	check(t, s.again(t, store), map[string]string{"a": "2", "c": "1", "d": "1", "e": ""})
}

func (s suite) durableEpoch(t *testing.T) {
	if s.reopen == nil {
		t.Skip("this store cannot be opened again")
	}
	store := s.store(t)
	if err := store.Commit(t.Context(), 7, []ledger.Op{put("a", "1")}); err != nil {
		t.Fatal(err)
	}
	store = s.again(t, store)
	if err := store.Commit(t.Context(), 6, []ledger.Op{put("a", "2")}); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("Commit(epoch 6) after the store was opened again = %v, want ErrFenced", err)
	}
	if err := store.Commit(t.Context(), 7, []ledger.Op{put("a", "3")}); err != nil {
		t.Errorf("Commit(epoch 7) after the store was opened again = %v, want no error", err)
	}
	check(t, store, map[string]string{"a": "3"})
}
