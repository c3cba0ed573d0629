package incident

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestEachRungBeginsWithItsOwnFirstCommand: what an earlier rung of the incident sent makes the incident begun, and not the
// rung that was planned after it failed: that one is still asked about pauses, and taken back by a restart.
func TestEachRungBeginsWithItsOwnFirstCommand(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	sent, kept := &remedy.Result{Sent: true}, &remedy.Result{}
	failed := Action{Planned: at, Issued: at.Add(time.Second), Result: sent, State: Failed}
	second := at.Add(time.Minute)
	for _, test := range []struct {
		name            string
		actions         []Action
		begun, underway bool
	}{
		{"no plan yet", nil, false, false},
		{"planned", []Action{{Planned: at}}, false, false},
		{"issued, its answer outstanding", []Action{{Planned: at, Issued: at}}, true, true},
		{"certain not to have left", []Action{{Planned: at, Issued: at, Result: kept}}, false, false},
		{"the second command of a rung is next", []Action{failed, {Planned: at}}, true, true},
		{"a second rung is planned", []Action{failed, {Planned: second}, {Planned: second}}, true, false},
		{"a second rung has begun", []Action{failed, {Planned: second, Issued: second}, {Planned: second}}, true, true},
		{"a second rung's command did not leave", []Action{failed, {Planned: second, Issued: second, Result: kept}}, true, false},
	} {
		i := &Incident{Actions: test.actions}
		if got, want := [2]bool{i.begun(), i.underway()}, [2]bool{test.begun, test.underway}; got != want {
			t.Errorf("%s: begun and underway = %v, want %v", test.name, got, want)
		}
	}
}
