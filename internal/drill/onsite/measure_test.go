package onsite

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// after is a moment so many seconds after the fault.
func after(s float64) time.Time { return now.Add(time.Duration(s * float64(time.Second))) }

// trialled is what the watch gives of a service that was restarted.
func trialled() drill.Trial {
	detection := 2.0
	return drill.Trial{
		Fault: "service-crash", VM: "SQL01", Instance: "MSSQLSERVER", Incident: "i1", Outcome: "healed", HealedBy: "hypervigil", Commands: []string{},
		DetectionSeconds: &detection,
		Timeline:         []drill.Moment{{AtSeconds: 0, Event: "fault"}, {AtSeconds: 9, Event: "verification"}, {AtSeconds: 12, Event: "healed"}},
		Experiment:       &drill.Experiment{Failures: []string{}, UnexpectedErrors: []string{}},
	}
}

// restarted is what was read after it.
func restarted() measured {
	vm := evidence.VM{Cluster: "hv-cl1", Name: "SQL01"}
	return measured{
		vm: vm, counted: true,
		load: load.Result{
			Acknowledged: 100, Failed: 7, Unknown: 1, TCPLost: 4 * time.Second,
			GapFrom: after(0.5), GapTo: after(8), LongestGap: 7500 * time.Millisecond, LastAcknowledged: after(20),
		},
		incidents: []incident.Incident{
			{ID: "i0", Subject: evidence.Subject{VM: vm}, OpenedAt: after(-100), Actions: []incident.Action{{Issued: after(-90)}}},
			{ID: "i1", Subject: evidence.Subject{VM: vm}, OpenedAt: after(2), Ladder: []remedy.Rung{remedy.RestartService}, Actions: []incident.Action{
				{Issued: after(4), Command: remedy.Command{Method: remedy.StartService}, State: incident.Verified},
				{Command: remedy.Command{Method: remedy.StartService}, State: incident.Planned},
			}},
			{ID: "i2", Subject: evidence.Subject{VM: evidence.VM{Cluster: "hv-cl1", Name: "SQL02"}}, OpenedAt: after(2), Actions: []incident.Action{{Issued: after(1)}}},
		},
		owners: []drill.Series{{Labels: map[string]string{"node": "HV1"}, Samples: []drill.Sample{{At: after(-10), Value: 1}, {At: after(10), Value: 1}}}},
		events: []cluster.Event{{ID: 7036, At: after(7)}, {ID: 7034, At: after(1)}},
		errors: []cluster.Event{{ID: 7000, Source: "Service Control Manager", Strings: []string{"SQL Server", "1069"}}},
	}
}

func number(f *float64) any {
	if f == nil {
		return nil
	}
	return *f
}

// figures are the numbers of a trial.
func figures(t drill.Trial) map[string]any {
	out := map[string]any{}
	for _, f := range drill.Figures() {
		if v := f.Of(t); v != nil {
			out[f.Name] = *v
		}
	}
	return out
}

func TestARestartIsMeasured(t *testing.T) {
	t.Parallel()
	trial := trialled()
	restarted().complete(&trial, now)
	if diff := cmp.Diff(map[string]any{
		drill.DetectionFigure: 2.0, drill.CommandFigure: 4.0, drill.RecoveryFigure: 7.0, drill.TCPFigure: 4.0, drill.DownFigure: 7.5,
		drill.StopFigure: 1.0, drill.StartFigure: 7.0,
	}, figures(trial)); diff != "" {
		t.Errorf("figures (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{string(remedy.StartService)}, trial.Commands); diff != "" {
		t.Errorf("commands (-want +got)\n%s", diff)
	}
	if trial.Acts != drill.ByHypervigil || trial.Ladder != "restart_service" || *trial.Acknowledged != 100 || *trial.Lost != 0 || *trial.Unknown != 1 {
		t.Errorf("acts %s, ladder %s, load %d/%d/%d", trial.Acts, trial.Ladder, *trial.Acknowledged, *trial.Lost, *trial.Unknown)
	}
	if len(trial.Failures) != 0 {
		t.Errorf("failures: %v", trial.Failures)
	}
	if len(trial.UnexpectedErrors) != 1 || !strings.Contains(trial.UnexpectedErrors[0], "7000") {
		t.Errorf("errors: %v", trial.UnexpectedErrors)
	}
	for n := 1; n < len(trial.Timeline); n++ {
		if trial.Timeline[n].AtSeconds < trial.Timeline[n-1].AtSeconds {
			t.Errorf("the story is out of order: %v", trial.Timeline)
		}
	}
}

// TestPingsAreMeasuredWhereTheyMayBe: the figure, or the reason why there is none, and never a zero instead.
func TestPingsAreMeasuredWhereTheyMayBe(t *testing.T) {
	t.Parallel()
	trial, m := trialled(), restarted()
	lost := 1500 * time.Millisecond
	m.pingLost = &lost
	if m.complete(&trial, now); trial.PingLostSeconds == nil || *trial.PingLostSeconds != 1.5 {
		t.Errorf("ping lost for %v s, want 1.5", number(trial.PingLostSeconds))
	}
	trial = trialled()
	if restarted().complete(&trial, now); trial.PingLostSeconds != nil {
		t.Errorf("ping lost for %v s, which nobody measured", number(trial.PingLostSeconds))
	}
}

func TestWhoActedAndWhatMustNotBe(t *testing.T) {
	t.Parallel()
	away := drill.Series{Labels: map[string]string{"node": "HV2"}, Samples: []drill.Sample{{At: after(15), Value: 1}}}
	moved := incident.Action{Issued: after(5), Ended: after(14), Command: remedy.Command{Method: remedy.MoveGroup}, State: incident.Verified}
	for name, tt := range map[string]struct {
		change   func(*drill.Trial, *measured)
		acts     string
		down     any
		failures []string
	}{
		"the cluster alone": {func(_ *drill.Trial, m *measured) {
			m.incidents, m.owners = nil, append(m.owners, away)
		}, drill.ByCluster, 7.5, nil},
		"a move of ours": {func(_ *drill.Trial, m *measured) {
			m.incidents[1].Actions, m.owners = []incident.Action{moved}, append(m.owners, away)
		}, drill.ByHypervigil, 7.5, nil},
		"two failovers": {func(_ *drill.Trial, m *measured) {
			m.incidents[1].Actions = []incident.Action{moved}
			m.owners = append(m.owners, away, drill.Series{Labels: map[string]string{"node": "HV3"}, Samples: []drill.Sample{{At: after(19), Value: 1}}})
		}, drill.ByHypervigil, 7.5, []string{"2 failovers for one fault"}},
		"a person": {func(trial *drill.Trial, m *measured) {
			trial.HealedBy, m.incidents = "person", nil
		}, drill.ByPerson, 7.5, nil},
		"itself": {func(_ *drill.Trial, m *measured) { m.incidents = nil }, drill.ByItself, 7.5, nil},
		"it did not come back": {func(_ *drill.Trial, m *measured) {
			m.load.LastAcknowledged, m.load.GapTo = m.load.GapFrom, after(1800)
		}, drill.ByHypervigil, nil, nil},
		"nothing was noticed": {func(_ *drill.Trial, m *measured) {
			m.incidents, m.load.Failed, m.load.Unknown, m.load.TCPLost = nil, 0, 0, 0
		}, drill.ByNobody, nil, nil},
		"a gap from before": {func(_ *drill.Trial, m *measured) {
			m.incidents, m.load.GapFrom, m.load.GapTo = nil, after(-20), after(-10)
		}, drill.ByNobody, nil, nil},
		"lost": {func(_ *drill.Trial, m *measured) {
			m.load.Lost, m.load.Ghosts, m.load.Torn = 1, 2, 3
		}, drill.ByHypervigil, 7.5, []string{"1 of 100 acknowledged commits are lost", "2 transactions that were never committed are there", "3 rows do not bear what the last commit wrote"}},
		"not counted": {func(_ *drill.Trial, m *measured) { m.counted = false }, drill.ByHypervigil, 7.5, []string{"the commits could not be counted"}},
	} {
		trial, m := trialled(), restarted()
		tt.change(&trial, &m)
		m.complete(&trial, now)
		if trial.Acts != tt.acts || number(trial.SQLDownSeconds) != tt.down {
			t.Errorf("%s: %s acted, down %v; want %s and %v", name, trial.Acts, number(trial.SQLDownSeconds), tt.acts, tt.down)
		}
		if diff := cmp.Diff(append([]string{}, tt.failures...), trial.Failures); diff != "" {
			t.Errorf("%s: failures (-want +got)\n%s", name, diff)
		}
	}
	trial, m := trialled(), restarted()
	m.incidents[1].Actions, m.owners = []incident.Action{moved}, append(m.owners, away)
	m.complete(&trial, now)
	if trial.FailoversCommanded != 1 || trial.FailoversByCluster != 0 || number(trial.MoveSeconds) != 9.0 {
		t.Errorf("a move of ours: %d commanded, %d by the cluster, %v s", trial.FailoversCommanded, trial.FailoversByCluster, number(trial.MoveSeconds))
	}
}

// TestServiceEvents reads stop and start out of what the log may hold, whatever the language of its words.
func TestServiceEvents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		events      []cluster.Event // newest first
		back        bool
		stop, start any
	}{
		"none":                    {nil, true, nil, nil},
		"a crash and a start":     {[]cluster.Event{{ID: 7036, At: after(7)}, {ID: 7034, At: after(1)}}, true, 1.0, 7.0},
		"a stop and a start":      {[]cluster.Event{{ID: 7036, At: after(7)}, {ID: 7036, At: after(2)}}, true, 2.0, 7.0},
		"a crash and no start":    {[]cluster.Event{{ID: 7034, At: after(1)}}, false, 1.0, nil},
		"a guest that went whole": {[]cluster.Event{{ID: 7036, At: after(60)}}, true, nil, 60.0},
	} {
		var trial drill.Trial
		trial.Experiment = &drill.Experiment{}
		if tt.back {
			trial.SQLDownSeconds = since(now, after(8))
		}
		measured{events: tt.events}.service(&trial, now)
		if number(trial.ServiceStopSeconds) != tt.stop || number(trial.ServiceStartSeconds) != tt.start {
			t.Errorf("%s: stop %v, start %v; want %v and %v", name, number(trial.ServiceStopSeconds), number(trial.ServiceStartSeconds), tt.stop, tt.start)
		}
	}
}

// silent is a guest's log that the reader's credential may not read.
type silent struct{}

func (silent) ServiceEvents(context.Context, time.Time, string) ([]cluster.Event, error) {
	return nil, errors.New("access is denied")
}

func (silent) StartErrors(context.Context, time.Time, string) ([]cluster.Event, error) {
	return nil, errors.New("access is denied")
}
