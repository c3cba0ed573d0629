package drill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/drilltest"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var fault = time.Date(2026, 11, 24, 10, 0, 0, 250_000_000, time.UTC)

func sec(s float64) time.Time { return fault.Add(time.Duration(s * float64(time.Second))) }

func subject(vm, instance string, f evidence.Fault) evidence.Subject {
	return evidence.Subject{VM: evidence.VM{Cluster: "hv-lab", Name: vm}, Instance: instance, Fault: f}
}

func instance(vm string, up bool, since time.Time) drill.LabState {
	return drill.LabState{Instances: []drill.LabInstance{{VM: vm, Instance: "MSSQLSERVER", Up: up, Since: since}}}
}

// crash is the course of a service that died and was started again.
func crash() []drilltest.Step {
	well := drilltest.Step{State: instance("SQL01", true, fault.Add(-time.Hour))}
	down := drilltest.Step{State: instance("SQL01", false, fault), Failed: sec(0.7)}
	i := incident.Incident{
		ID: "i1", Subject: subject("SQL01", "MSSQLSERVER", evidence.Service), Phase: incident.Confirming, OpenedAt: sec(1.2),
		Alert:    incident.Alert{Name: "SQLServerDown", StartsAt: sec(1.1), Firing: true},
		Verdicts: []guard.Verdict{{Guard: "G5", Name: "one start", Outcome: guard.Pass}, {Guard: "G8", Name: "second opinion", Outcome: guard.Hold, Reason: "more_rounds"}},
		Timeline: []incident.Entry{{At: sec(1.2), Event: "open"}, {At: sec(1.3), Event: "held", Detail: "G8"}},
	}
	alert := []drill.PrometheusAlert{
		{Labels: map[string]string{"alertname": "SQLServerDown", "vm": "SQL01", "hypervigil": "act", "sql_instance": "MSSQLSERVER"}, State: "firing", ActiveAt: sec(1.1)},
		{Labels: map[string]string{"alertname": "SQLServerDown", "vm": "SQL02", "hypervigil": "act"}, State: "firing", ActiveAt: sec(1)},
		{Labels: map[string]string{"alertname": "SQLServerUnreachable", "vm": "SQL01", "hypervigil": "tell"}, State: "firing", ActiveAt: sec(1)},
	}
	open := down
	open.Incidents, open.Alerts = []incident.Incident{i}, alert

	acting := open
	i.Phase = incident.Acting
	i.Verdicts = []guard.Verdict{{Guard: "G5", Outcome: guard.Pass, Name: "one start"}, {Guard: "G8", Outcome: guard.Pass, Name: "second opinion"}}
	i.Timeline = append(slices.Clip(i.Timeline), incident.Entry{At: sec(2.3), Event: "acting"})
	acting.Incidents = []incident.Incident{i}
	acting.Counters = map[string]drill.LabCounts{"SQL01": {
		Commands:           []drill.LabCount{{Method: "Win32_Service.StartService", Detail: "OLD", At: fault.Add(-time.Minute)}, {Method: "Win32_Service.StartService", Detail: "MSSQLSERVER", At: sec(2.4)}},
		FailoversByCluster: []drill.LabCount{{Method: "HV2 to HV1", At: fault.Add(-time.Hour)}},
	}}

	healed := acting
	healed.Alerts = nil
	i.Phase, i.HealedBy, i.Summary = incident.Healed, incident.ByHypervigil, "Healed by hypervigil."
	i.Timeline = append(slices.Clip(i.Timeline), incident.Entry{At: sec(7), Event: "healthy", Detail: "3 logins"}, incident.Entry{At: sec(10), Event: "healed"})
	healed.Incidents = []incident.Incident{i}

	up := healed
	up.State = instance("SQL01", true, sec(4.4))
	return []drilltest.Step{well, down, open, acting, healed, up}
}

func TestATrialIsToldAndMeasured(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	trial, err := (&drill.Trialling{
		Endpoints: drilltest.Serve(t, crash()), Out: &out, Profile: "quick", At: fault.Add(300 * time.Microsecond),
		Fault: drill.Fault{Fault: "service-crash", VM: "SQL01"},
	}).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	timeline := trial.Timeline
	trial.Timeline = nil
	f := func(x float64) *float64 { return &x }
	want := drill.Trial{
		Fault: "service-crash", Configuration: "monitored-host-cluster", Profile: "quick", VM: "SQL01", Instance: "MSSQLSERVER", Incident: "i1",
		Alert: "SQLServerDown", AlertAt: "2026-11-24T10:00:01.350Z", FaultAt: "2026-11-24T10:00:00.250Z",
		DetectionSeconds: f(1.2), FirstCommandSeconds: f(2.4), SQLDownSeconds: f(4.4), Commands: []string{"Win32_Service.StartService"},
		Outcome: "healed", HealedBy: "hypervigil", Summary: "Healed by hypervigil.",
	}
	if diff := cmp.Diff(want, trial); diff != "" {
		t.Errorf("the trial (-want +got):\n%s", diff)
	}
	var story []string
	for _, m := range timeline {
		story = append(story, strings.TrimSpace(m.Event+" "+m.Detail))
	}
	wantStory := []string{
		"fault service-crash on SQL01", "SQL Server down MSSQLSERVER", "first failed probe Prometheus' first sample of a failed probe",
		"alert SQLServerDown fires in Prometheus", "webhook accepted; incident i1", "open", "guard G5 pass:  (one start)", "guard G8 hold:  (second opinion)", "held G8",
		"guard G8 pass:  (second opinion)", "acting", "command Win32_Service.StartService MSSQLSERVER", "SQL Server answers MSSQLSERVER",
		"verification 3 logins", "healed",
	}
	if diff := cmp.Diff(wantStory, story); diff != "" {
		t.Errorf("the story (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(timeline, func(a, b drill.Moment) int { return cmp0(a.AtSeconds, b.AtSeconds) }) {
		t.Errorf("the story is not in its order: %v", timeline)
	}
	for _, s := range []string{"   +0.00 s  fault ", "   +2.30 s  guard G8", "  +10.00 s  healed"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("it was not told as it happened: no %q in\n%s", s, out.String())
		}
	}
}

func cmp0(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestFiguresHaveNoMoreDigitsThanWereMeasured: 1.66 s is 1.66 in the report, not 1.6600000000000001.
func TestFiguresHaveNoMoreDigitsThanWereMeasured(t *testing.T) {
	t.Parallel()
	i := incident.Incident{ID: "i", Subject: subject("SQL01", "-", evidence.Network), OpenedAt: fault.Add(1660 * time.Millisecond), Phase: incident.Told}
	trial, err := (&drill.Trialling{
		Endpoints: drilltest.Serve(t, []drilltest.Step{{Incidents: []incident.Incident{i}}}), Fault: drill.Fault{VM: "SQL01"}, At: fault,
	}).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(trial)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"detection_seconds":1.66,`, `"at_seconds":1.66,`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func TestATrialFollowsTheLeadingIncidentOfItsFault(t *testing.T) {
	t.Parallel()
	at := func(id, vm, instance string, f evidence.Fault, opened float64, phase incident.Phase) incident.Incident {
		return incident.Incident{ID: id, Subject: subject(vm, instance, f), OpenedAt: sec(opened), Phase: phase}
	}
	tests := []struct {
		name     string
		fault    drill.Fault
		follow   string
		all      []incident.Incident
		want     string
		detected float64
	}{
		{
			name: "the leading class, detected by whichever came first", fault: drill.Fault{VM: "SQL01"},
			all: []incident.Incident{
				at("hang", "SQL01", "MSSQLSERVER", evidence.Hang, 3, incident.Waiting), at("guest", "SQL01", "-", evidence.Guest, 13, incident.Refused),
			},
			want: "guest", detected: 3,
		},
		{
			name: "not another machine's, and not an older one", fault: drill.Fault{VM: "SQL01"},
			all: []incident.Incident{
				at("other", "SQL02", "-", evidence.Host, 1, incident.Told), at("old", "SQL01", "-", evidence.Host, -60, incident.Told),
				at("own", "SQL01", "MSSQLSERVER", evidence.Service, 2, incident.Refused),
			},
			want: "own", detected: 2,
		},
		{
			name: "not another instance's", fault: drill.Fault{VM: "SQL03", Instance: "REPORTING"},
			all: []incident.Incident{
				at("default", "SQL03", "MSSQLSERVER", evidence.Hang, 1, incident.Refused), at("reporting", "SQL03", "REPORTING", evidence.Service, 2, incident.Refused),
			},
			want: "reporting", detected: 2,
		},
		{
			name: "the one that it is told to follow", fault: drill.Fault{VM: "SQL01"}, follow: "a",
			all: []incident.Incident{
				at("a", "SQL01", "MSSQLSERVER", evidence.Service, 4, incident.Escalated), at("b", "SQL01", "-", evidence.Host, 2, incident.Told),
			},
			want: "a", detected: 4,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trial, err := (&drill.Trialling{
				Endpoints: drilltest.Serve(t, []drilltest.Step{{Incidents: tt.all}}), Fault: tt.fault, At: fault, Incident: tt.follow,
			}).Watch(t.Context())
			if err != nil || trial.Incident != tt.want || trial.DetectionSeconds == nil || *trial.DetectionSeconds != tt.detected {
				t.Errorf("Watch = incident %q, detected %v, %v; want %q after %v s", trial.Incident, trial.DetectionSeconds, err, tt.want, tt.detected)
			}
		})
	}
}

// writer is called with all that is written.
type writer func([]byte)

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestWhatHasNoEndIsSaid(t *testing.T) {
	t.Parallel()
	t.Run("no incident", func(t *testing.T) {
		t.Parallel()
		_, err := (&drill.Trialling{
			Endpoints: drilltest.Serve(t, []drilltest.Step{{}}), Fault: drill.Fault{VM: "SQL01"}, At: time.Now(), Patience: 300 * time.Millisecond,
		}).Watch(t.Context())
		if !errors.Is(err, drill.ErrNoIncident) {
			t.Errorf("Watch = %v, want ErrNoIncident", err)
		}
	})
	t.Run("an incident that goes on", func(t *testing.T) {
		t.Parallel()
		steps := crash()[:4]
		why := errors.New("somebody pulled the plug")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		time.AfterFunc(10*time.Second, func() { cancel(why) })
		// The plug is pulled once the command was told of, however long that takes.
		told := writer(func(p []byte) {
			if bytes.Contains(p, []byte("StartService")) {
				cancel(why)
			}
		})
		trial, err := (&drill.Trialling{Endpoints: drilltest.Serve(t, steps), Out: told, Fault: drill.Fault{VM: "SQL01"}, At: fault}).Watch(ctx)
		if !errors.Is(err, why) || trial.Incident != "i1" || trial.SQLDownSeconds != nil || trial.FirstCommandSeconds == nil {
			t.Errorf("Watch = %+v, %v; want what is known by then, no time of recovery, and why there is no end", trial, err)
		}
	})
	t.Run("a part that does not answer", func(t *testing.T) {
		t.Parallel()
		steps := crash()
		steps[2].Silent, steps[3].Silent = true, true
		var out bytes.Buffer
		trial, err := (&drill.Trialling{Endpoints: drilltest.Serve(t, steps), Out: &out, Fault: drill.Fault{VM: "SQL01"}, At: fault}).Watch(t.Context())
		if err != nil || trial.Outcome != "healed" {
			t.Errorf("Watch = %q, %v; want it to go on", trial.Outcome, err)
		}
		if got := strings.Count(out.String(), "not answered"); got != 1 || !strings.Contains(out.String(), "the ledger is not open") {
			t.Errorf("it was said %d times, want once, with the answer:\n%s", got, out.String())
		}
	})
}

func TestASilentTrialSaysWhereItStands(t *testing.T) {
	t.Parallel()
	steps := crash()[:3]
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
	defer cancel()
	_, _ = (&drill.Trialling{Endpoints: drilltest.Serve(t, steps), Out: &out, Fault: drill.Fault{VM: "SQL01"}, At: time.Now().Add(-4 * time.Second)}).Watch(ctx)
	if !strings.Contains(out.String(), "… no alert has arrived yet") {
		t.Errorf("nothing was said in 3.5 s:\n%s", out.String())
	}
}

func TestOnlyAnEndIsAnEnd(t *testing.T) {
	t.Parallel()
	ends := map[incident.Phase]bool{incident.Healed: true, incident.Refused: true, incident.Told: true, incident.Escalated: true, incident.Proposed: true}
	for _, p := range incident.Phases() {
		if got := drill.Ended(incident.Incident{Phase: p}); got != ends[p] {
			t.Errorf("Ended(%s) = %v, want %v", p, got, ends[p])
		}
	}
}
