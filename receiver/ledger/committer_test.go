package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// slowStore is a store whose commits take a second and are recorded.
type slowStore struct {
	*ledger.Memory
	mu      sync.Mutex
	commits []string // the keys of each commit, joined
	epochs  map[uint64]bool
	err     error
}

func newSlowStore() *slowStore {
	return &slowStore{Memory: ledger.NewMemory(), epochs: map[uint64]bool{}}
}

func (s *slowStore) Commit(ctx context.Context, epoch uint64, batch []ledger.Op) error {
	time.Sleep(time.Second) // of the bubble's clock
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for _, op := range batch {
		keys = append(keys, op.Key)
	}
	s.commits = append(s.commits, strings.Join(keys, " "))
	s.epochs[epoch] = true
	if s.err != nil {
		return s.err
	}
	return s.Memory.Commit(ctx, epoch, batch)
}

func puts(names ...string) []ledger.Op {
	var batch []ledger.Op
	for _, n := range names {
		batch = append(batch, ledger.Op{Key: n, Value: []byte("1")})
	}
	return batch
}

func claims(names ...string) []ledger.Op {
	batch := puts(names...)
	for i := range batch {
		batch[i].IfAbsent = true
	}
	return batch
}

// queueUp commits each batch from a goroutine of its own, in the order given: the first is being written while the
// others queue. It returns their errors.
func queueUp(t *testing.T, c *ledger.Committer, batches ...[]ledger.Op) []error {
	t.Helper()
	errs := make([]error, len(batches))
	var wg sync.WaitGroup
	for i, batch := range batches {
		wg.Go(func() { errs[i] = c.Commit(t.Context(), batch) })
		synctest.Wait()
	}
	wg.Wait()
	return errs
}

func TestCommitterWritesTogetherWhatQueued(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		batches [][]ledger.Op
		want    []string // commits of the store
		errs    map[int]error
	}{
		{
			"different keys share a commit, in order",
			[][]ledger.Op{puts("a"), puts("c", "b"), puts("e"), puts("d")},
			[]string{"a", "c b e d"},
			nil,
		},
		{
			"one key twice makes two commits: the later batch stays the later",
			[][]ledger.Op{puts("a"), puts("b"), puts("b", "c"), puts("d")},
			[]string{"a", "b", "b c d"},
			nil,
		},
		{
			"two claims of one key: the first to come wins",
			[][]ledger.Op{puts("a"), claims("x"), claims("x")},
			[]string{"a", "x", "x"},
			map[int]error{2: ledger.ErrConflict},
		},
		{
			"a conflict fails its own caller only",
			[][]ledger.Op{puts("a"), puts("b"), puts("c"), claims("a"), puts("d"), claims("e"), puts("f"), puts("g")},
			[]string{"a", "b c a d e f g", "b c", "a", "d", "e", "f g"},
			map[int]error{3: ledger.ErrConflict},
		},
		{
			"a delete before a claim of the same key counts",
			[][]ledger.Op{puts("a"), {{Key: "a"}}, claims("a")},
			[]string{"a", "a", "a"},
			nil,
		},
		{
			"a batch of nothing is answered",
			[][]ledger.Op{puts("a"), nil, puts("b")},
			[]string{"a", "b"},
			nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newSlowStore()
				c := ledger.NewCommitter(store, 7)
				for i, err := range queueUp(t, c, test.batches...) {
					if !errors.Is(err, test.errs[i]) {
						t.Errorf("batch %d = %v, want %v", i, err, test.errs[i])
					}
				}
				if err := c.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
				if diff := cmp.Diff(test.want, store.commits); diff != "" {
					t.Errorf("commits of the store (-want +got):\n%s", diff)
				}
				if got := slices.Collect(maps.Keys(store.epochs)); !slices.Equal(got, []uint64{7}) {
					t.Errorf("epochs = %v, want 7 alone", got)
				}
			})
		})
	}
}

func TestCommitterBoundsOneCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSlowStore()
		c := ledger.NewCommitter(store, 1)
		big := func(key string) []ledger.Op { return []ledger.Op{{Key: key, Value: make([]byte, 5<<20)}} }
		var many []ledger.Op
		for i := range 4000 {
			many = append(many, ledger.Op{Key: fmt.Sprintf("n%d", i), Value: []byte{}})
		}
		queueUp(t, c, puts("a"), big("b"), big("c"), big("d"), many, puts("e"), many[:97:97])
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		var sizes []int
		for _, keys := range store.commits {
			sizes = append(sizes, len(strings.Fields(keys)))
		}
		// Each big one alone, the third with the many; the last has keys of the many.
		if diff := cmp.Diff([]int{1, 1, 1, 4002, 97}, sizes); diff != "" {
			t.Errorf("ops of each commit (-want +got):\n%s", diff)
		}
	})
}

func TestCommitterRefusesAnInvalidBatchAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSlowStore()
		c := ledger.NewCommitter(store, 1)
		errs := queueUp(t, c, puts("a"), puts("meta/schema"), puts("b"))
		if errs[0] != nil || !errors.Is(errs[1], ledger.ErrInvalid) || errs[2] != nil {
			t.Errorf("errors = %v, want the second to be ErrInvalid", errs)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCommitterTellsEveryCallerOfAGroup(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{&ledger.UnknownError{Err: errors.New("disk")}, ledger.ErrFenced, errors.New("disk full")} {
		t.Run(failure.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newSlowStore()
				store.err = failure
				c := ledger.NewCommitter(store, 1)
				for i, err := range queueUp(t, c, puts("a"), puts("b"), claims("c")) {
					if !errors.Is(err, failure) {
						t.Errorf("batch %d = %v, want %v", i, err, failure)
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if len(store.commits) != 2 {
					t.Errorf("the store was asked %d times (%q), want 2: only a conflict is asked again", len(store.commits), store.commits)
				}
			})
		})
	}
}

func TestCommitterTakesBackWhatIsQueuedWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSlowStore()
		c := ledger.NewCommitter(store, 1)
		begun, cancelBegun := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancelBegun()
		queued, cancelQueued := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancelQueued()
		var errBegun, errQueued error
		var wg sync.WaitGroup
		wg.Go(func() { errBegun = c.Commit(begun, puts("begun")) })
		synctest.Wait()
		wg.Go(func() { errQueued = c.Commit(queued, puts("queued")) })
		start := time.Now()
		wg.Wait()
		if waited := time.Since(start); waited != 300*time.Millisecond {
			t.Errorf("the callers waited %s, want 300ms: no longer than their contexts", waited)
		}
		if _, unknown := errors.AsType[*ledger.UnknownError](errBegun); !unknown || !errors.Is(errBegun, context.DeadlineExceeded) {
			t.Errorf("Commit() of the batch being written = %v, want an UnknownError of context.DeadlineExceeded", errBegun)
		}
		if _, unknown := errors.AsType[*ledger.UnknownError](errQueued); unknown || !errors.Is(errQueued, context.DeadlineExceeded) {
			t.Errorf("Commit() of the queued batch = %v, want context.DeadlineExceeded, known to be absent", errQueued)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"begun"}, store.commits); diff != "" {
			t.Errorf("commits of the store (-want +got):\n%s", diff)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Commit(ended, puts("late")); !errors.Is(err, context.Canceled) {
			t.Errorf("Commit() with an ended context = %v, want context.Canceled", err)
		}
	})
}

func TestCommitterCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSlowStore()
		c := ledger.NewCommitter(store, 1)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if err := c.Commit(t.Context(), puts(fmt.Sprint(i))); err != nil {
					t.Errorf("Commit() = %v, want no error: it came before Close", err)
				}
			})
			synctest.Wait()
		}
		for range 2 {
			wg.Go(func() {
				if err := c.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			})
		}
		synctest.Wait()
		if err := c.Commit(t.Context(), puts("late")); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("Commit() after Close = %v, want ErrClosed", err)
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"0", "1 2 3 4"}, store.commits); diff != "" {
			t.Errorf("commits of the store (-want +got):\n%s", diff)
		}
		if err := store.List(t.Context(), "", func(string, []byte) error { return nil }); err != nil {
			t.Errorf("the store after the committer's end = %v, want it open", err)
		}
	})
}

// Everything at once on a real store; the race detector watches.
func TestCommitterUnderLoad(t *testing.T) {
	t.Parallel()
	store := ledger.NewMemory()
	c := ledger.NewCommitter(store, 1)
	var mu sync.Mutex
	winners := map[string]int{}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				own := ledger.Key("own", fmt.Sprint(g), fmt.Sprint(i))
				if err := c.Commit(t.Context(), puts(own, "shared")); err != nil {
					t.Errorf("Commit() = %v", err)
				}
				claimed := ledger.Key("claim", fmt.Sprint(i))
				switch err := c.Commit(t.Context(), claims(claimed)); {
				case err == nil:
					mu.Lock()
					winners[claimed]++
					mu.Unlock()
				case !errors.Is(err, ledger.ErrConflict):
					t.Errorf("claim = %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	count := 0
	if err := store.List(t.Context(), "own/", func(string, []byte) error { count++; return nil }); err != nil {
		t.Error(err)
	}
	if count != 800 || len(winners) != 100 {
		t.Errorf("%d keys and %d claims, want 800 and 100", count, len(winners))
	}
	for key, n := range winners {
		if n != 1 {
			t.Errorf("%s was claimed %d times", key, n)
		}
	}
}

func TestCommitterMetrics(t *testing.T) {
	t.Parallel()
	store := ledger.NewMemory()
	c := ledger.NewCommitter(store, 1)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	want := func(ok, conflict, failed, unknown int) {
		t.Helper()
		text := fmt.Sprintf(`
# HELP hypervigil_ledger_commits_total Commits to the ledger by result: ok, conflict, fenced, failed (nothing was written), unknown.
# TYPE hypervigil_ledger_commits_total counter
hypervigil_ledger_commits_total{result="conflict"} %d
hypervigil_ledger_commits_total{result="failed"} %d
hypervigil_ledger_commits_total{result="fenced"} 0
hypervigil_ledger_commits_total{result="ok"} %d
hypervigil_ledger_commits_total{result="unknown"} %d
`, conflict, failed, ok, unknown)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "hypervigil_ledger_commits_total"); err != nil {
			t.Error(err)
		}
	}
	want(0, 0, 0, 0)
	if err := c.Commit(t.Context(), claims("a")); err != nil {
		t.Error(err)
	}
	if err := c.Commit(t.Context(), claims("a")); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("second claim = %v, want ErrConflict", err)
	}
	for _, failure := range []ledger.Failure{ledger.Absent, ledger.UnknownLost} {
		store.FailCommits(func([]ledger.Op) ledger.Failure { return failure })
		if err := c.Commit(t.Context(), puts("b")); err == nil {
			t.Errorf("Commit() with failure %s = no error", failure)
		}
	}
	want(1, 1, 1, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
