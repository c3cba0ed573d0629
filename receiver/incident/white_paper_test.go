package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

const (
	move  = string(remedy.MoveGroup)
	reset = string(remedy.ResetSystem)
)

// plain are the commands that were sent, by method alone.
func plain(w *world) []string {
	var names []string
	for _, c := range w.commands {
		names = append(names, string(c.Method))
	}
	return names
}

// TestTheWhitePapersRemedy is its move and its restart, in that order, whatever the receiver lives through meanwhile: the
// restart goes to the destination, once, and never where the move or somebody else has made it needless.
func TestTheWhitePapersRemedy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		set   func(*world)
		while func(*world) // what happens once the move was sent
		want  []string
		phase incident.Phase
		says  string
	}{
		"both":                    {want: []string{move, reset}, phase: incident.Healed},
		"the move's answer lost":  {set: func(w *world) { w.loseReply = true }, want: []string{move, reset}, phase: incident.Healed},
		"the move never arrived":  {set: func(w *world) { w.dropSend = true }, phase: incident.Escalated, says: "3 reads show no effect"},
		"the move came to naught": {set: func(w *world) { w.vms["SQL01"].stays = true }, want: []string{move}, phase: incident.Escalated, says: "did not leave HV1"},
		"the move hangs": {
			set:  func(w *world) { w.vms["SQL01"].lateMove = 2 * time.Hour },
			want: []string{move, string(remedy.CancelOperation)}, phase: incident.Escalated, says: "did not leave HV1",
		},
		"a crash in the move": {
			while: func(w *world) { w.crash(20 * time.Second) },
			want:  []string{move, reset}, phase: incident.Healed,
		},
		"a crash right after the reset": {
			while: func(w *world) {
				for n := 0; n < 100 && len(w.commands) < 2; n++ {
					w.advance(500 * time.Millisecond)
				}
				w.crash(time.Second)
			},
			want: []string{move, reset}, phase: incident.Healed,
		},
		"the guest comes to on the other node": {
			set: func(w *world) {
				m := w.vms["SQL01"]
				m.arrives = func() {
					m.hung, m.heartbeat, m.reason = false, cluster.HeartbeatOK, ""
					w.alert("SQL01", false)
				}
			},
			want: []string{move}, phase: incident.Healed,
		},
		"somebody restarts it there": {
			set: func(w *world) {
				m := w.vms["SQL01"]
				m.arrives = func() { w.change(5*time.Second, func() { w.restart(m) }) }
			},
			want: []string{move}, phase: incident.Escalated, says: "did not stay up",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy+"      rungs: {white_paper: act}\n")
			if tt.set != nil {
				tt.set(w)
			}
			decide(t, w, remedy.WhitePaper)
			w.advance(200 * time.Millisecond)
			if tt.while != nil {
				tt.while(w)
			}
			w.advance(12 * time.Minute)
			i := w.only("SQL01", evidence.Guest)
			if diff := cmp.Diff(tt.want, plain(w)); diff != "" || i.Phase != tt.phase || !strings.Contains(i.Summary, tt.says) {
				t.Errorf("commands (-want +got):\n%s%s, %q; want %s with %q", diff, i.Phase, i.Summary, tt.phase, tt.says)
			}
			if len(w.commands) < 2 || tt.phase != incident.Healed {
				return
			}
			to := w.commands[0].To
			if c := w.commands[1]; c.Node != to || w.vms["SQL01"].owner != to {
				t.Errorf("the restart went to %s, the machine is on %s; want both %s", c.Node, w.vms["SQL01"].owner, to)
			}
			if ran := i.Actions[1].Issued.Sub(w.vms["SQL01"].resumed); ran < remedy.LeastResumed {
				t.Errorf("the restart came %s after the move, sooner than it could be told from it", ran)
			}
		})
	}
}

// TestTheWhitePapersRemedyIsTakenBack: what lives again before anything was sent is neither moved nor restarted.
func TestTheWhitePapersRemedyIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, lives := range map[string]func(*world, *machine){
		"a heartbeat": func(_ *world, m *machine) { m.heartbeat = cluster.HeartbeatOK },
		"a login": func(w *world, m *machine) {
			m.hung, m.heartbeat, m.reason = false, cluster.HeartbeatOK, ""
			w.alert("SQL01", false)
		},
	} {
		w := newWorld(t, actPolicy+"      rungs: {white_paper: act}\n")
		decide(t, w, remedy.WhitePaper)
		lives(w, w.vms["SQL01"])
		w.advance(10 * time.Minute)
		i := w.only("SQL01", evidence.Guest)
		if len(w.commands) > 0 || i.Phase == incident.Escalated || slices.ContainsFunc(i.Actions, func(a incident.Action) bool { return !a.Issued.IsZero() }) {
			t.Errorf("%s: %v, %s %q; want nothing sent and nobody called", name, w.methods(), i.Phase, i.Summary)
		}
	}
}

// TestTheWhitePapersRemedyPassesEveryGuard: where it is the ladder it is sent, both parts of it, once G8's time is over, and
// the cluster's own where it watches the guest.
func TestTheWhitePapersRemedyPassesEveryGuard(t *testing.T) {
	t.Parallel()
	for watched, sooner := range map[bool]time.Duration{false: 60 * time.Second, true: 7 * time.Minute} {
		w := newWorld(t, actPolicy+"      rungs: {white_paper: act}\n      ladders: {guest: [white_paper]}\n")
		w.counted, w.monitored = true, watched
		w.warm()
		w.hangGuest("SQL01")
		w.advance(time.Second)
		w.fire("SQL01", evidence.Guest)
		if w.advance(sooner - time.Second); len(w.commands) > 0 {
			t.Errorf("watched by the cluster %t: %v within %s", watched, w.methods(), sooner)
		}
		w.advance(5 * time.Minute)
		if diff := cmp.Diff([]string{move, reset}, plain(w)); diff != "" {
			i := w.only("SQL01", evidence.Guest)
			t.Errorf("watched by the cluster %t: commands (-want +got):\n%s%s: %s", watched, diff, i.Phase, i.Summary)
		}
	}
}
