package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// weakPolicy acts under a limit that counts for the lab alone.
const weakPolicy = "      mode: act\n      limits: {hold: 3s}\n"

// TestAnotherClusterThanTheLabIsActedOn: with limits no weaker than their defaults the policy's mode counts everywhere,
// and nobody is asked who he is.
func TestAnotherClusterThanTheLabIsActedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.lab = false
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	if diff := cmp.Diff([]string{"Win32_Service.StartService MSSQLSERVER"}, w.methods()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if w.identified != 0 {
		t.Errorf("asked %d times who the nodes are, want never: no limit hangs on it", w.identified)
	}
}

// TestWeakerLimitsAskForTheLabBeforeEachCommand: what the sampler saw some seconds ago is not enough.
func TestWeakerLimitsAskForTheLabBeforeEachCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weakPolicy)
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	for n := 0; w.only("SQL01", evidence.Service).Phase != incident.Acting; n++ {
		if n > 2000 {
			t.Fatal("no plan was made")
		}
		w.advance(5 * time.Millisecond)
	}
	w.lab = false // since the plan was made
	w.advance(10 * time.Second)
	if len(w.commands) != 0 || w.identified == 0 {
		t.Errorf("commands = %v after asking %d times who the nodes are; want none, and to be asked", w.methods(), w.identified)
	}
	i := w.only("SQL01", evidence.Service)
	if !slices.ContainsFunc(i.Timeline, func(e incident.Entry) bool { return strings.Contains(e.Detail, "limits weaker than their defaults") }) {
		t.Errorf("phase %s, %q; want its story to say why nothing was sent: %+v", i.Phase, i.Summary, i.Timeline)
	}
}

// TestAClusterHasTheLastWord: its own mode holds back what the policy allows, and a reload gives it.
func TestAClusterHasTheLastWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.reload(func(c *config.Cluster) { c.Mode = config.Observe })
	w.warm()
	w.kill("SQL01")
	w.fire("SQL01", evidence.Service)
	w.advance(10 * time.Second)
	i := w.only("SQL01", evidence.Service)
	if v := verdict(i, "G22"); v.Reason != "mode_observe" || i.Phase != incident.Told || len(w.commands) != 0 {
		t.Fatalf("G22 says %s %q (%s), phase %s, commands %v; want it told and nothing sent", v.Outcome, v.Reason, v.Detail, i.Phase, w.methods())
	}
}
