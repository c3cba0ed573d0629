package mssql

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// fake is an instance with a fixed answer.
type fake struct{ a sqlhealth.Availability }

var _ Source = fake{}

func (f fake) Availability(context.Context) sqlhealth.Availability { return f.a }

func (fake) DatabaseReport(context.Context) (sqlhealth.DatabaseReport, []*sqlhealth.Failure) {
	return sqlhealth.DatabaseReport{}, nil
}

func (fake) PerformanceReport(context.Context) (sqlhealth.PerformanceReport, []*sqlhealth.Failure) {
	return sqlhealth.PerformanceReport{}, nil
}

func (fake) SessionReport(context.Context) (sqlhealth.SessionReport, []*sqlhealth.Failure) {
	return sqlhealth.SessionReport{}, nil
}

func (fake) GroupReport(context.Context) (sqlhealth.GroupReport, []*sqlhealth.Failure) {
	return sqlhealth.GroupReport{}, nil
}

func (fake) MemberReport(context.Context) (sqlhealth.MemberReport, []*sqlhealth.Failure) {
	return sqlhealth.MemberReport{}, nil
}

func (fake) Health(context.Context) sqlhealth.Health { return sqlhealth.Health{} }

func (fake) Abandoned() int { return 0 }

func TestGolden(t *testing.T) {
	t.Parallel()
	durations := map[dial.Phase]time.Duration{
		dial.PhaseDNS: time.Millisecond, dial.PhaseTCP: 2 * time.Millisecond, dial.PhasePrelogin: 3 * time.Millisecond,
		dial.PhaseTLS: 4 * time.Millisecond, dial.PhaseLogin: 5 * time.Millisecond, dial.PhaseQuery: 6 * time.Millisecond,
	}
	up := sqlhealth.Availability{
		Up: true, State: sqlhealth.StateRunning, Phase: dial.PhaseQuery, Durations: durations, StartTime: time.Unix(1_700_000_000, 500_000_000),
		Info: sqlhealth.Info{
			Version: "16.0.4125.3", Edition: "Standard Edition (64-bit)", EngineEdition: 2, ServerName: "SQL01", MachineName: "SQL01", InstanceName: "MSSQLSERVER", IsHadrEnabled: true,
		},
	}
	blind := up
	blind.StartTime, blind.Reason, blind.Err = time.Time{}, dial.Permission, errors.New("not granted")
	failed := func(reason dial.Reason, state sqlhealth.ServerState, phases ...dial.Phase) sqlhealth.Availability {
		a := sqlhealth.Availability{Reason: reason, State: state, Err: errors.New("no"), Durations: map[dial.Phase]time.Duration{}}
		for _, p := range phases {
			a.Durations[p] = durations[p]
		}
		return a
	}
	for _, tc := range []struct {
		name   string
		a      sqlhealth.Availability
		reason dial.Reason
	}{
		{"up", up, dial.Answered},
		{"up_without_permission", blind, dial.Permission},
		{"refused", failed(dial.Refused, sqlhealth.StateUnknown, dial.PhaseDNS, dial.PhaseTCP), dial.Refused},
		{"hung", failed(dial.LoginTimeout, sqlhealth.StateUnknown, dial.PhaseTCP, dial.PhasePrelogin), dial.LoginTimeout},
		{"silent", failed(dial.TCPTimeout, sqlhealth.StateUnknown, dial.PhaseTCP), dial.TCPTimeout},
		{"paused", failed(dial.Other, sqlhealth.StatePaused, dial.PhaseTCP, dial.PhaseLogin), dial.Other},
		{"wrong_password", failed(dial.Auth, sqlhealth.StateRunning, dial.PhaseTCP, dial.PhaseLogin), dial.Auth},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := Collectors(Options{Source: fake{tc.a}, Cluster: "hv-cl1", VM: "SQL01", Instance: "MSSQLSERVER"})[0]
			r := c.Collect(t.Context(), log.NewNopLogger())
			if got := probe.Reason(r.Err); got != tc.reason {
				t.Errorf("reason = %q, want %q", got, tc.reason)
			}
			probetest.Golden(t, tc.name, r.Metrics)
		})
	}
}

// TestStuckDriver: where our own driver is stuck nobody was asked, and nothing is said about SQL Server.
func TestStuckDriver(t *testing.T) {
	t.Parallel()
	stuck := sqlhealth.Availability{Reason: dial.ProviderHung, Err: errors.New("not attempted")}
	r := Collectors(Options{Source: fake{stuck}, Cluster: "hv-cl1", VM: "SQL01", Instance: "MSSQLSERVER"})[0].Collect(t.Context(), log.NewNopLogger())
	if got := probe.Reason(r.Err); got != dial.ProviderHung || len(r.Metrics) != 0 {
		t.Errorf("reason = %q with %d metrics, want %q and none", got, len(r.Metrics), dial.ProviderHung)
	}
}

func TestEveryServerStateHasALabel(t *testing.T) {
	t.Parallel()
	for s := sqlhealth.StateUnknown; s <= sqlhealth.StateExhausted+1; s++ {
		if got := serverState(s); !slices.Contains(serverStates, got) {
			t.Errorf("state %v is %q, which is not in the set", s, got)
		}
	}
}
