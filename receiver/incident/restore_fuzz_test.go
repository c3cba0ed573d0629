package incident_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// FuzzRestoreDamagedRecord changes one byte of one record of a ledger in which something is under way. Restore takes every
// record in, or names the one that it cannot take; it never leaves one out, and what it has taken can be gone on with.
// (The ledger's file has a checksum for each record; here is what would come through, of another version say.)
func FuzzRestoreDamagedRecord(f *testing.F) {
	w := newWorld(f, actPolicy)
	w.warm()
	w.step(incident.PauseSet{At: incident.At(w.now), Pause: pauseOf("SQL04", w.now.Add(time.Hour))})
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.vms["SQL02"].reason = "login_timeout"
	w.fire("SQL02", evidence.Hang)
	w.issue(1)
	keys := slices.Sorted(maps.Keys(w.records))
	of := func(kind string) (n int) {
		for _, key := range keys {
			if strings.HasPrefix(key, kind+"/") {
				n++
			}
		}
		return n
	}
	for n, key := range keys {
		f.Add(uint16(n), uint32(len(key)), byte(1)) //nolint:gosec // a few records
		f.Add(uint16(n), uint32(1), byte(0x80))     //nolint:gosec // a few records
		f.Add(uint16(n), uint32(548), byte(2))      //nolint:gosec // a few records
	}
	f.Fuzz(func(t *testing.T, which uint16, at uint32, flip byte) {
		var records []incident.Record
		damaged := keys[int(which)%len(keys)]
		for _, key := range keys {
			value := bytes.Clone(w.records[key])
			if key == damaged {
				value[int(at)%len(value)] ^= flip
			}
			records = append(records, incident.Record{Key: key, Value: value})
		}
		s, _, err := incident.Restore(w.cfg, records, 1, w.now)
		if err != nil {
			if flip == 0 || !strings.Contains(err.Error(), damaged) && !strings.Contains(err.Error(), "audit/") {
				t.Errorf("%v; want an error that names %s, and none for what was not changed", err, damaged)
			}
			return
		}
		if got, want := s.Incidents.Len(), of("incident"); got != want {
			t.Errorf("%d of %d incidents", got, want)
		}
		// A digit less in the end of a pause makes one that is over. Nothing but the ledger's seal can tell (receiver/ledger).
		if got, want := len(s.Pauses), of("pause"); got != want && !strings.HasPrefix(damaged, "pause/") {
			t.Errorf("%d of %d pauses", got, want)
		}
		if got, want := s.Audit.Last(), uint64(of("audit")); got < want { //nolint:gosec // not negative
			t.Errorf("%d of %d entries of the record", got, want)
		}
		for n := range 5 {
			s, _ = incident.Step(s, incident.Ticked{At: incident.At(w.now.Add(time.Duration(n) * time.Minute))})
		}
	})
}

// TestAPauseThatCannotBeReadBeginsNothing: it may be one of everything.
func TestAPauseThatCannotBeReadBeginsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	for name, value := range map[string]string{
		"no JSON": `{"id":"p1"`, "another's id": `{"id":"p2","owner":"ada","expires":"2026-11-23T08:00:00Z"}`,
		"nobody's": `{"id":"p1","expires":"2026-11-23T08:00:00Z"}`, "without an end": `{"id":"p1","owner":"ada"}`,
	} {
		_, _, err := incident.Restore(w.cfg, []incident.Record{{Key: "pause/p1", Value: []byte(value)}}, 1, w.now)
		if err == nil || !strings.Contains(err.Error(), "pause/p1") || !strings.Contains(err.Error(), "may be one of everything") {
			t.Errorf("%s: %v; want an error that names the pause and what it may be", name, err)
		}
	}
}
