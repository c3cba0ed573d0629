package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestAStarvedMachine, from its alert to its end: its SQL Server serves all the time, and only a live migration may leave.
func TestAStarvedMachine(t *testing.T) {
	t.Parallel()
	named := actPolicy + "      rungs: {live_migrate: act}\n"
	move := []string{string(remedy.MoveGroup) + " live_migration to HV2"}
	for name, tt := range map[string]struct {
		policy string
		while  func(*world)
		want   []string
		phase  incident.Phase
		says   string
	}{
		"its host":                          {named, nil, move, incident.Healed, "Healed by hypervigil: live_migrate"},
		"the policy does not name the rung": {actPolicy, nil, nil, incident.Proposed, "G22"},
		"only observed":                     {"      mode: observe\n", nil, nil, incident.Told, "live_migrate would be done"},
		"no ladder":                         {"      mode: act\n      ladders: {resource: []}\n", nil, nil, incident.Told, "no ladder"},
		"no node is better":                 {named, func(w *world) { w.loads["HV2"], w.loads["HV3"] = 0.85, 0.85 }, nil, incident.Refused, "would be at"},
		"no node tells":                     {named, func(w *world) { w.loads["HV2"], w.loads["HV3"] = -1, -1 }, nil, incident.Waiting, "no node is known to be able"},
		"its host does not tell":            {named, func(w *world) { w.loads["HV1"], w.vms["SQL01"].load = -1, 99 }, nil, incident.Refused, "how busy host HV1 is"},
		"the machine alone":                 {named, func(w *world) { w.loads["HV1"], w.vms["SQL01"].load = 0.5, 99 }, nil, incident.Proposed, "take it along as it is"},
		"it is over soon": {named, func(w *world) {
			w.change(45*time.Second, func() { w.loads["HV1"] = 0.2; w.alert("SQL01", false) })
		}, nil, incident.Healed, "by itself"},
		"the other node is busy, too": {named, func(w *world) {
			w.vms["SQL01"].arrives = func() { w.loads["HV2"] = 0.95 }
		}, move, incident.Escalated, "host HV2 is used at 95 %"},
		"the migration is not accepted": {named, func(w *world) {
			w.vms["SQL01"].stays = true
		}, move, incident.Escalated, "did not leave HV1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.policy)
			w.warm()
			w.loads["HV1"], w.loads["HV3"], w.scarce["SQL01"] = 0.97, 0.3, true
			if tt.while != nil {
				tt.while(w)
			}
			w.advance(10 * time.Second)
			w.fire("SQL01", evidence.Resource)
			for range 100 {
				w.advance(10 * time.Second)
				if m := w.vms["SQL01"]; len(w.commands) > 0 {
					w.alert("SQL01", w.loads[m.owner] >= 0.9)
				}
			}
			i := w.only("SQL01", evidence.Resource)
			var got []string
			for _, c := range w.commands {
				got = append(got, string(c.Method)+" "+string(c.How)+" to "+c.To)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || i.Phase != tt.phase || !strings.Contains(i.Summary, tt.says) {
				t.Errorf("commands (-want +got):\n%s%s, %q; want %s with %q", diff, i.Phase, i.Summary, tt.phase, tt.says)
			}
			if i.Phase == incident.Refused && strings.Contains(tt.says, "would be") && len(i.Destinations) != 3 {
				t.Errorf("destinations = %v, want a word on each node", i.Destinations)
			}
		})
	}
}

// TestAStarvedGuestIsOfferedToNobody: what no rung would cure has no plan that a person could approve.
func TestAStarvedGuestIsOfferedToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.vms["SQL01"].load, w.scarce["SQL01"] = 99, true
	w.advance(10 * time.Second)
	w.fire("SQL01", evidence.Resource)
	w.advance(3 * time.Minute)
	if i := w.only("SQL01", evidence.Resource); i.Phase != incident.Proposed || i.Offer != nil || len(i.Plan) > 0 {
		t.Errorf("%s, offer %+v, plan %v; want it proposed without either", i.Phase, i.Offer, i.Plan)
	}
}

// TestTheBalancerIsLetToActFirst: the cluster has half an hour, and what it does then ends the incident.
func TestTheBalancerIsLetToActFirst(t *testing.T) {
	t.Parallel()
	for _, acts := range []bool{true, false} {
		w := newWorld(t, actPolicy+"      rungs: {live_migrate: act}\n")
		w.balancer = 2
		w.warm()
		w.loads["HV1"], w.scarce["SQL01"] = 0.97, true
		w.advance(10 * time.Second)
		w.fire("SQL01", evidence.Resource)
		w.advance(25 * time.Minute)
		i := w.only("SQL01", evidence.Resource)
		if v := decisive(i); len(w.commands) > 0 || i.Phase != incident.Waiting || v.Guard != "G11" || v.Reason != "load_balancing" {
			t.Fatalf("after 25 min: %s after %v: %s", i.Phase, w.methods(), i.Summary)
		}
		if acts {
			w.vms["SQL01"].owner = "HV3"
			w.alert("SQL01", false)
		}
		w.advance(11 * time.Minute)
		if i := w.only("SQL01", evidence.Resource); acts && (i.HealedBy != incident.ByCluster || len(w.commands) > 0) || !acts && len(w.commands) != 1 {
			t.Errorf("the cluster acts %t: %s by %q after %v: %s", acts, i.Phase, i.HealedBy, w.methods(), i.Summary)
		}
	}
}

func decisive(i incident.Incident) guard.Verdict {
	v, _ := guard.Decide(i.Verdicts)
	return v
}
