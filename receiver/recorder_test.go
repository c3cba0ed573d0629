package receiver

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/replay"
)

// none counts nothing.
func none(string) {}

// walk takes n steps, every second one, and shows them to a recorder.
func walk(t *testing.T, r *recorder, s incident.State, from time.Time, n int) incident.State {
	t.Helper()
	for i := range n {
		e := incident.Event(incident.Ticked{At: incident.At(from.Add(time.Duration(i) * time.Second))})
		if i%10 == 5 {
			f := firing("")
			f.At = incident.At(from.Add(time.Duration(i) * time.Second))
			e = f
		}
		before := s
		next, effects := incident.Step(before, e)
		if len(r.steps) == cap(r.steps) {
			synctest.Wait() // nothing of these is to be left out
		}
		r.record(&before, e, &next, effects)
		s = next
	}
	return s
}

func fetched(t *testing.T, r *recorder, since time.Time) [][]byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.copyTo(t.Context(), since, &b); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(bytes.Lines(b.Bytes()))
}

func linesOf(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// TestTheRecordingIsBounded: segments end, the oldest go by size and by age, and what is left begins with a checkpoint and
// decides the same when it is played. A second life goes on after a torn end.
func TestTheRecordingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testTheRecordingIsBounded)
}

func testTheRecordingIsBounded(t *testing.T) {
	t.Helper()
	cfg, err := config.Parse("test.yml", []byte(driverConfig))
	if err != nil {
		t.Fatal(err)
	}
	l := config.Ledger{Path: filepath.Join(t.TempDir(), "ledger.db"), ReplayBytes: 64 << 10, ReplayAge: time.Hour}
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	r := newRecorder(l, log.NewNopLogger(), none)
	s := walk(t, r, incident.New(cfg, start), start, 1500)
	r.close()
	names, err := r.segments()
	if err != nil || len(names) < 3 {
		t.Fatalf("segments %v (%v), want several", names, err)
	}
	total := int64(0)
	for _, n := range names {
		info, err := os.Stat(filepath.Join(r.dir, n))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if most := l.ReplayBytes + l.ReplayBytes/segmentParts; total > most {
		t.Errorf("%d bytes kept, want %d at most", total, most)
	}
	if began, _ := beganAt(names[0]); began.Equal(start) {
		t.Error("the oldest segment is still there")
	}
	// The machine died in the middle of a line.
	newest := filepath.Join(r.dir, names[len(names)-1])
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(newest, whole[:len(whole)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	again := newRecorder(l, log.NewNopLogger(), none)
	s = walk(t, again, s, start.Add(30*time.Minute), 20)
	again.close()
	report, err := replay.Run(linesOf(fetched(t, again, time.Time{})), replay.Options{})
	if err != nil || len(report.Differences) > 0 || report.Damaged > 0 || report.Events < 100 {
		t.Errorf("report = %+v, %v; want the same decisions of many events", report, err)
	}
	if short := fetched(t, again, start.Add(30*time.Minute)); len(short) > 22 || len(short) < 15 {
		t.Errorf("%d lines since the second life, want its checkpoint and its 20 steps", len(short))
	}
	late := newRecorder(l, log.NewNopLogger(), none)
	walk(t, late, s, start.Add(48*time.Hour), 1)
	late.close()
	if names, err := late.segments(); err != nil || len(names) != 1 {
		t.Errorf("segments two days later: %v (%v), want the newest alone", names, err)
	}
}

// TestTheRecorderHoldsNobodyUp: a disk that fails and a queue that is full cost the recording and nothing else; afterwards it
// begins anew with a checkpoint.
func TestTheRecorderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testTheRecorderHoldsNobodyUp)
}

func testTheRecorderHoldsNobodyUp(t *testing.T) {
	t.Helper()
	cfg, err := config.Parse("test.yml", []byte(driverConfig))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	l := config.Ledger{Path: filepath.Join(dir, "ledger.db"), ReplayBytes: 64 << 20, ReplayAge: time.Hour}
	if err := os.WriteFile(l.Path+".replay", nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	r := newRecorder(l, log.NewNopLogger(), none)
	s := walk(t, r, incident.New(cfg, start), start, 30)
	synctest.Wait()
	if err := os.Remove(l.Path + ".replay"); err != nil {
		t.Fatal(err)
	}
	walk(t, r, s, start.Add(5*time.Minute), 30)
	r.close()
	report, err := replay.Run(linesOf(fetched(t, r, time.Time{})), replay.Options{})
	if err != nil || report.Events == 0 || len(report.Differences) > 0 {
		t.Errorf("report = %+v, %v; want what came after the failure", report, err)
	}
	left := map[string]int{}
	full := &recorder{steps: make(chan recorded, 1), leftOut: func(why string) { left[why]++ }}
	full.configure(l)
	before := incident.New(cfg, start)
	for range 3 {
		full.record(&before, incident.Ticked{At: incident.At(start)}, &before, nil)
	}
	<-full.steps
	full.record(&before, incident.Ticked{At: incident.At(start)}, &before, nil)
	if step := <-full.steps; !step.fresh {
		t.Error("a step after some that were left out does not ask for a checkpoint")
	}
	if left[leftBehind] != 2 {
		t.Errorf("left out: %v, want the 2 that the queue had no room for", left)
	}
	full.configure(config.Ledger{})
	full.record(&before, incident.Ticked{At: incident.At(start)}, &before, nil)
	if len(full.steps) != 0 {
		t.Error("0 bytes record")
	}
	(*recorder)(nil).record(&before, nil, &before, nil)
}

// TestStepsThatAreLeftOutAreCounted: those that the disk was too slow for, and those that could not be written; what is
// recorded afterwards begins with a checkpoint.
func TestStepsThatAreLeftOutAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := config.Ledger{Path: filepath.Join(dir, "ledger.db"), ReplayBytes: 64 << 20, ReplayAge: 24 * time.Hour}
		// Where the folder should be made there is a file.
		if err := os.WriteFile(l.Path+".replay", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		left := make(chan string, 4*recordQueue)
		r := newRecorder(l, log.NewNopLogger(), func(why string) { left <- why })
		s := incident.New(&config.Config{}, time.Now())
		event := incident.Ticked{At: incident.At(time.Now())}
		for range 3 {
			r.record(&s, event, &s, nil)
		}
		synctest.Wait()
		for range 3 {
			if why := <-left; why != leftFailed {
				t.Errorf("left out because %s, want %s", why, leftFailed)
			}
		}
		r.close()

		// Nobody takes them.
		r = &recorder{steps: make(chan recorded, 2), leftOut: func(why string) { left <- why }}
		r.configure(l)
		for range 5 {
			r.record(&s, event, &s, nil)
		}
		for range 3 {
			if why := <-left; why != leftBehind {
				t.Errorf("left out because %s, want %s", why, leftBehind)
			}
		}
		if len(left) != 0 || !r.gap {
			t.Errorf("%d more were left out, gap %t; want none, and the next one to begin with a checkpoint", len(left), r.gap)
		}
	})
}
