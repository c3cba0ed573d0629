package simulate

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// seedVariable names the first schedule's seed: where a failure is to be played again, and in "make test", which takes the
// committed tree's.
const seedVariable = "HYPERVIGIL_SIMULATE_SEED"

// TestSchedules plays schedules from a fresh seed, which is in the log; the environment may name an earlier one.
func TestSchedules(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	if v := os.Getenv(seedVariable); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	schedules := few(1000)
	t.Logf("%s=%d plays these %d schedules again", seedVariable, seed, schedules)
	r, err := Run(Options{Schedules: schedules, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failures) == 0 {
		return
	}
	f, ok, err := Explain(r.Failures[0].Seed)
	if err != nil || !ok {
		t.Fatalf("schedule %d failed and cannot be explained: %v", r.Failures[0].Seed, err)
	}
	var b strings.Builder
	f.Write(&b)
	t.Errorf("%d of %d schedules failed; seed %d:\n%s", len(r.Failures), schedules, seed, b.String())
}

// TestSameSeedSameTrace: a schedule is a function of its seed, or no failure could be looked into.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	first, second := bare(t), bare(t)
	for seed := range uint64(few(40)) {
		var a, b trace
		ra, rb := first.play(generate(seed), &a), second.play(generate(seed), &b)
		if diff := cmp.Diff(a.String(), b.String()); diff != "" {
			t.Fatalf("seed %d told two stories (-first +second):\n%s", seed, diff)
		}
		if len(strings.Split(a.String(), "\n")) < 3 {
			t.Errorf("seed %d: nothing happened", seed)
		}
		if diff := cmp.Diff(ra.commands, rb.commands); diff != "" {
			t.Errorf("seed %d: commands (-first +second):\n%s", seed, diff)
		}
	}
}

// TestWorkersChangeNothing: the report is the same for one worker and for three.
func TestWorkersChangeNothing(t *testing.T) {
	t.Parallel()
	var reports []string
	for _, workers := range []int{1, 3} {
		r, err := Run(Options{Schedules: few(70), Seed: 7, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		r.Write(&b)
		reports = append(reports, b.String())
	}
	if diff := cmp.Diff(reports[0], reports[1]); diff != "" {
		t.Errorf("one worker and three (-one +three):\n%s", diff)
	}
}

// TestBytesMadeLateAreTheSame: the disk makes bytes of large records no sooner than somebody reads them. Nobody can
// tell the difference.
func TestBytesMadeLateAreTheSame(t *testing.T) {
	t.Parallel()
	b := bare(t)
	for seed := range uint64(few(60)) {
		var eager, late trace
		for _, try := range []struct {
			t     *trace
			eager bool
		}{{&eager, true}, {&late, false}} {
			s := generate(seed)
			w, err := newWorld(b.list[s.Variant], s, try.t)
			if err != nil {
				t.Fatal(err)
			}
			w.disk.eager = try.eager
			w.guarded()
		}
		if diff := cmp.Diff(eager.String(), late.String()); diff != "" {
			t.Fatalf("seed %d (-eager +late):\n%s", seed, diff)
		}
	}
}

// TestDiskLosesWhatWasNotSynced: a crash in the middle of a commit keeps or loses the whole of it.
func TestDiskLosesWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failure ledger.Failure
		want    []string
	}{
		{ledger.UnknownLost, []string{"incident/a"}},
		{ledger.UnknownKept, []string{"action/a/restart_service/001", "incident/a", "incident/b"}},
	} {
		t.Run(test.failure.String(), func(t *testing.T) {
			t.Parallel()
			d, err := newDisk(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.commit([]incident.Effect{incident.Put{Key: "incident/a", Value: incident.Incident{ID: "a"}}}); err != nil {
				t.Fatal(err)
			}
			d.next = test.failure
			if err := d.commit([]incident.Effect{
				incident.Put{Key: "incident/b", Value: incident.Incident{ID: "b"}},
				incident.Put{Key: "action/a/restart_service/001", Value: incident.Action{Number: 1}, IfAbsent: true},
			}); err == nil {
				t.Fatal("the commit that the machine died in returned no error")
			}
			records, err := d.crash().records()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range records {
				if !strings.HasPrefix(r.Key, "meta/") {
					got = append(got, r.Key)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("after the crash (-want +got):\n%s", diff)
			}
		})
	}
}

// TestJudgeKnowsWhatACrashKept: what was on disk when the machine died counts afterwards, an offer and an approval as
// all else.
func TestJudgeKnowsWhatACrashKept(t *testing.T) {
	t.Parallel()
	b := bare(t)
	variant := slices.IndexFunc(b.list, func(b base) bool { return b.variant.name == "proposed" })
	if variant < 0 {
		t.Fatal(`there is no variant "proposed"`)
	}
	for name, test := range map[string]struct {
		kept  Point
		after time.Duration // of the approval, where no point is waited for
	}{
		"an offer":    {onOffered, 30 * time.Second},
		"an approval": {onApproved, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			approve := Op{Kind: opApprove, What: approveOnce, VM: "SQL02", At: test.after}
			if test.after == 0 {
				approve.On = onOffered
			}
			var history trace
			r := b.play(Schedule{Seed: 1, Variant: variant, Ops: []Op{
				approve,
				{Kind: opCrash, What: "kept", For: 2 * time.Second, On: test.kept},
				{Kind: opFault, What: model.ServiceCrash, VM: "SQL02", Instance: "MSSQLSERVER"},
			}}, &history)
			if len(r.violations) > 0 || r.crashes != 1 || r.cures[string(incident.ByHypervigil)] != 1 {
				t.Errorf("%d crashes, cures %v, broken: %v; want 1 crash, 1 cure by the receiver, nothing broken\n%s", r.crashes, r.cures, r.violations, &history)
			}
		})
	}
}

// few is n, or less where everything takes several times as long.
func few(n int) int {
	if testing.Short() || raceDetector {
		return n / 8
	}
	return n
}

func bare(t *testing.T) *bases {
	t.Helper()
	b, err := newBases()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
