package incident_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestWhatNoBootStartsIsBroughtBackAfterAReset: a dependent with start mode Manual that ran before is started once SQL Server
// is healthy; one that starts by itself is not touched, and neither is one that did not run.
func TestWhatNoBootStartsIsBroughtBackAfterAReset(t *testing.T) {
	t.Parallel()
	reset := string(remedy.ResetSystem) + " "
	const startAgent = "Win32_Service.StartService SQLSERVERAGENT"
	for name, tt := range map[string]struct {
		set  func(*machine)
		want []string
	}{
		"manual, and ran":          {func(m *machine) { m.agent.StartMode = "Manual" }, []string{reset, startAgent}},
		"manual, and did not run":  {func(m *machine) { m.agent.StartMode, m.agent.State = "Manual", "Stopped" }, []string{reset}},
		"automatic":                {func(m *machine) { m.agent.StartMode = "Auto" }, []string{reset}},
		"manual, somebody is fast": {func(m *machine) { m.agent.StartMode = "Manual"; m.startsAgent = true }, []string{reset}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, actPolicy)
			tt.set(w.vms["SQL01"])
			decide(t, w, remedy.ResetVM)
			w.advance(5 * time.Minute)
			i := w.only("SQL01", evidence.Guest)
			if i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil {
				t.Errorf("%s by %q: %s", i.Phase, i.HealedBy, i.Summary)
			}
			if d := cmp.Diff(tt.want, w.methods()); d != "" {
				t.Errorf("commands (-want +got):\n%s", d)
			}
		})
	}
}

// TestADependentThatIsNotBroughtBackIsTold: the machine and SQL Server are well, and no other rung follows.
func TestADependentThatIsNotBroughtBackIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy+"      ladders: {guest: [nmi_restart, reset_vm]}\n")
	m := w.vms["SQL01"]
	m.agent.StartMode = "Manual"
	decide(t, w, remedy.NMIRestart)
	m.dies = 1
	w.advance(5 * time.Minute)
	if i := w.only("SQL01", evidence.Guest); i.Phase != incident.Escalated || len(w.commands) != 2 {
		t.Errorf("%s after %v: %s; want it told and nothing further sent", i.Phase, w.methods(), i.Summary)
	}
}

// TestAGuestBootsAfterItsGroupWasMovedOff: the group is online on its destination long before its guest has booted.
func TestAGuestBootsAfterItsGroupWasMovedOff(t *testing.T) {
	t.Parallel()
	for _, rung := range []remedy.Rung{remedy.MoveTurnOff, remedy.MoveShutdown} {
		w := newWorld(t, actPolicy+"      rungs: {"+string(rung)+": act}\n")
		m := w.vms["SQL01"]
		m.arrives = func() { w.restart(m) }
		decide(t, w, rung)
		w.advance(5 * time.Minute)
		if i := w.only("SQL01", evidence.Guest); i.Phase != incident.Healed || i.HealedBy != incident.ByHypervigil || len(w.commands) != 1 {
			t.Errorf("%s: %s by %q after %v: %s; want it healed by one command", rung, i.Phase, i.HealedBy, w.methods(), i.Summary)
		}
	}
}
