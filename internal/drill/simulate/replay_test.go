package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/replay"
)

// record plays a schedule and records it as the receiver would: each life of the process begins with a checkpoint.
func record(t *testing.T, b base, s Schedule) ([][]byte, result) {
	t.Helper()
	w, err := newWorld(b, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	add := func(line []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if w.alive {
		add(replay.Checkpoint(w.state, w.now))
	}
	w.watch = func(before incident.State, s *step) {
		if s.event == nil {
			add(replay.Checkpoint(s.next, w.now))
			return
		}
		add(replay.Step(before, s.event, s.next, s.effects))
		if w.schedule.Seed%2 == 1 && len(lines)%40 == 0 {
			add(replay.Checkpoint(s.next, w.now)) // as where a new segment begins in the middle of a life
		}
	}
	w.guarded()
	return lines, w.result
}

func play(lines [][]byte) func(func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// TestAReplayDecidesTheSame: the same recording, code and configuration come to the same decisions, with crashes, lost
// answers and a ledger that fails; and the replay is in the state that the receiver was in, which a difference later on
// would show.
func TestAReplayDecidesTheSame(t *testing.T) {
	t.Parallel()
	b := bare(t)
	crashes, decided := 0, 0
	for seed := uint64(0); seed < uint64(few(160)) || crashes == 0 && seed < 1000; seed++ { // few of them have a crash
		s := generate(seed)
		lines, result := record(t, b.list[s.Variant], s)
		crashes += result.crashes
		r, err := replay.Run(play(lines), replay.Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, d := range r.Differences {
			t.Errorf("seed %d: %s at %s: recorded %v, replayed %v", seed, d.Incident, d.At.Sub(epoch), d.Recorded, d.Replayed)
		}
		decided += r.Decisions
		if t.Failed() {
			return
		}
	}
	if crashes == 0 || decided == 0 {
		t.Errorf("%d crashes, %d decisions, want some of both", crashes, decided)
	}
}

// TestAnotherPolicyDecidesOtherwise: under mode observe the first difference of an incident that was acted on is the plan
// that is not made, and what really happened stands beside it.
func TestAnotherPolicyDecidesOtherwise(t *testing.T) {
	t.Parallel()
	b := bare(t)
	quick := b.list[1]
	s := Schedule{Seed: 3, Variant: 1, Calm: "SQL01"}
	lines, _ := record(t, quick, s)
	changed := *quick.config
	observe := *quick.config.Receiver.Policies[config.StandardPolicy]
	observe.Mode = config.Observe
	changed.Receiver.Policies = map[string]*config.Policy{config.StandardPolicy: &observe}
	r, err := replay.Run(play(lines), replay.Options{Config: &changed})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Differences) == 0 {
		t.Fatalf("no difference in %d decisions about %d incidents", r.Decisions, r.Incidents)
	}
	d := r.Differences[0]
	if d.Recorded == nil || d.Recorded.Phase != incident.Acting || d.Replayed == nil || d.Replayed.Guard != "G22" {
		t.Errorf("first difference: recorded %v, replayed %v; want acting, and G22 against it", d.Recorded, d.Replayed)
	}
	if d.Outcome == nil || d.Outcome.Phase != incident.Healed || d.Outcome.HealedBy != incident.ByHypervigil {
		t.Errorf("outcome = %v, want healed by hypervigil, which is what happened", d.Outcome)
	}
	later, err := replay.Run(play(lines), replay.Options{Config: &changed, Since: d.At.Add(time.Second)})
	if err != nil || len(later.Differences) != 0 {
		t.Errorf("since after it: %v, %v; what differed before is not told", later.Differences, err)
	}
	torn := append([][]byte{}, lines...)
	torn[len(torn)/2] = torn[len(torn)/2][:20]
	if r, err := replay.Run(play(torn), replay.Options{}); err != nil || r.Damaged != 1 || len(r.Differences) > 0 {
		t.Errorf("with a line that is torn: %+v, %v; want it counted, and nothing claimed about what follows", r, err)
	}
	if _, err := replay.Run(play(nil), replay.Options{}); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("of nothing: %v", err)
	}
}
