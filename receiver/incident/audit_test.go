package incident_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// audited is the record as the ledger has it.
func (w *world) audited() *bytes.Buffer {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(w.records)) {
		if strings.HasPrefix(key, "audit/") {
			b.Write(w.records[key])
			b.WriteByte('\n')
		}
	}
	return &b
}

// TestEveryDecisionIsInTheRecord: what was decided, refused and said by people, chained, over a crash.
func TestEveryDecisionIsInTheRecord(t *testing.T) {
	t.Parallel()
	w, i := approvable(t)
	w.approve(i.ID, "mallory", i.Offer.Plan)
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: guard.Pause{ID: "p", Owner: "bob", Reason: "patching", Expires: w.now.Add(time.Minute)}})
	w.approve(i.ID, "ada", i.Offer.Plan)
	w.crash(time.Second)
	w.advance(3 * time.Minute)
	if len(w.commands) != 1 {
		t.Fatalf("commands = %v, want one", w.methods())
	}
	var told []string
	report, err := audit.Verify(w.audited(), audit.Expect{Head: w.state.Audit.Head(), Each: func(s audit.Seen) error {
		if s.Epoch != 1 || s.At.IsZero() {
			t.Errorf("entry %d has epoch %d and time %s", s.Sequence, s.Epoch, s.At)
		}
		told = append(told, fmt.Sprintf("%s %s %s %s %s", s.Event, s.Guard, s.Outcome, s.Reason, s.By))
		return nil
	}})
	if err != nil || report.First != 1 || report.Last != w.state.Audit.Last() {
		t.Fatalf("the record: %+v, %v; the state says %d", report, err, w.state.Audit.Last())
	}
	for _, want := range []string{
		"open    ", "verdict G22 propose mode_propose ", "verdict G23 propose approval_needed ", "offered    ",
		"verdict G23 refuse not_an_approver ", "paused    bob", "approved    ", "receiver started    ", "decided    ada", "claimed    ", "issued    ", "healthy    ",
	} {
		if !slices.Contains(told, want) {
			t.Errorf("the record does not tell %q:\n%s", want, strings.Join(told, "\n"))
		}
	}
}

// TestARecordThatWasChangedIsRefused: a receiver does not go on with a record that somebody else wrote in, and says
// what to do.
func TestARecordThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(map[string][]byte){
		"changed": func(r map[string][]byte) {
			r[audit.Key(2)] = bytes.Replace(r[audit.Key(2)], []byte(`"event":"`), []byte(`"event":"x`), 1)
		},
		"dropped":          func(r map[string][]byte) { delete(r, audit.Key(2)) },
		"swapped":          func(r map[string][]byte) { r[audit.Key(2)], r[audit.Key(3)] = r[audit.Key(3)], r[audit.Key(2)] },
		"under other keys": func(r map[string][]byte) { r[audit.Key(1<<40)] = r[audit.Key(1)]; delete(r, audit.Key(1)) },
		"no line":          func(r map[string][]byte) { r[audit.Key(2)] = []byte("{}") },
	} {
		w, _ := approvable(t)
		tamper(w.records)
		var records []incident.Record
		for _, key := range slices.Sorted(maps.Keys(w.records)) {
			records = append(records, incident.Record{Key: key, Value: w.records[key]})
		}
		_, _, err := incident.Restore(w.cfg, records, 1, w.now)
		if err == nil || !strings.Contains(err.Error(), "Keep a copy of the ledger") {
			t.Errorf("%s: Restore = %v, want it refused with what to do", name, err)
		}
	}
}

// TestTheRecordStaysWithinItsBound: what is dropped for its size is signed off, in the ledger too.
func TestTheRecordStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.cfg.Receiver.Retention.AuditBytes = 16 << 10
	w.warm()
	for n := range 200 {
		w.step(incident.PauseSet{At: incident.At(w.now), Pause: guard.Pause{ID: fmt.Sprint("p", n), Owner: "bob", Reason: "patching", Expires: w.now.Add(time.Second)}})
		w.advance(2 * time.Second)
	}
	record := w.audited()
	if record.Len() > 17<<10 || record.Len() < 12<<10 {
		t.Errorf("the record has %d bytes, want some 16 KiB", record.Len())
	}
	report, err := audit.Verify(record, audit.Expect{Head: w.state.Audit.Head()})
	if err != nil || report.First < 2 || report.First != w.state.Audit.First() {
		t.Errorf("the record: %+v, %v; the state says it begins at %d", report, err, w.state.Audit.First())
	}
	w.crash(time.Second)
	if _, err := audit.Verify(w.audited(), audit.Expect{Head: w.state.Audit.Head()}); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

// TestClosedIncidentsStayWithinTheirBounds: by count and by the size of their records, their actions with them.
func TestClosedIncidentsStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*world){
		"count": func(w *world) { w.cfg.Receiver.Retention.ClosedCount = 2 },
		"bytes": func(w *world) { w.cfg.Receiver.Retention.ClosedBytes = 100 << 10 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy+"      limits: {cool_down: 0s, settle: 0s, hold: 1s, actions_per_24h: 100, service_restarts_per_hour: 100}\n")
			bound(w)
			w.warm()
			for range 6 {
				w.kill("SQL01")
				w.fire("SQL01", evidence.Service)
				w.advance(16 * time.Minute) // four rungs an hour are allowed in a cluster
			}
			incidents, actions, size := 0, 0, int64(0)
			for key, value := range w.records {
				switch {
				case strings.HasPrefix(key, "incident/"):
					incidents++
					size += int64(len(value))
				case strings.HasPrefix(key, "action/"):
					actions++
				}
			}
			count, bytes := w.state.Incidents.Closed()
			if len(w.commands) != 6 || incidents != count || actions != count || size != bytes {
				t.Errorf("%d commands; %d incidents of %d bytes and %d actions in the ledger, %d of %d by the state", len(w.commands), incidents, size, actions, count, bytes)
			}
			r := w.cfg.Receiver.Retention
			if count == 0 || count >= 6 || count > r.ClosedCount || bytes > r.ClosedBytes {
				t.Errorf("%d closed incidents of %d bytes are kept; %d and %d are allowed", count, bytes, r.ClosedCount, r.ClosedBytes)
			}
			w.crash(time.Second)
			if again, size := w.state.Incidents.Closed(); again != count || size != bytes {
				t.Errorf("after a restart %d of %d bytes, before %d of %d", again, size, count, bytes)
			}
		})
	}
}
