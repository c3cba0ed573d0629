package model_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestRecoveryGrowsWithTheWorkThatWasOpen starts SQL Server anew after a crash, a crash of the guest, and a crash in the
// middle of a recovery: the database opens after a millisecond for each row, and a process that is gone tells nothing.
func TestRecoveryGrowsWithTheWorkThatWasOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault string
		up    time.Duration // from the fault's end
		rows  int
	}{
		{model.ServiceCrash, 2 * time.Second, 0},
		{model.ServiceCrash, 2 * time.Second, 3000},
		{model.ServiceCrash, 2 * time.Second, 6000},
		{model.ServiceStop, 2 * time.Second, 3000},
		{model.GuestCrash, 7 * time.Second, 3000},
	} {
		m := newModel(t)
		s := m.VM("SQL01").Server("")
		run := s.Service().PID
		s.Working(run, tt.rows)
		fault := inject(t, m, model.Request{Fault: tt.fault, VM: "SQL01"})
		s.Working(run, 77) // a session that ends late
		m.Advance(start.Add(time.Minute))
		m.Heal(fault)
		s.Working(run, 99)
		opens := start.Add(time.Minute + tt.up + time.Duration(tt.rows)*time.Millisecond)
		m.Advance(opens.Add(-time.Millisecond))
		if want := tt.rows > 0; s.Recovering != want || want && !s.Up {
			t.Errorf("%s with %d rows open: recovering %v and up %v before its time, want %v", tt.fault, tt.rows, s.Recovering, s.Up, want)
		}
		m.Advance(opens)
		if s.Recovering || !s.Up || s.Undo != 0 {
			t.Errorf("%s with %d rows open: recovering %v, up %v, %d rows left at its end", tt.fault, tt.rows, s.Recovering, s.Up, s.Undo)
		}
	}

	m := newModel(t)
	s := m.VM("SQL01").Server("")
	s.Working(s.Service().PID, 3000)
	m.Heal(inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"}))
	m.Advance(start.Add(4 * time.Second))
	m.Heal(inject(t, m, model.Request{Fault: model.ServiceCrash, VM: "SQL01"}))
	if s.Recovering {
		t.Error("a process that is gone recovers")
	}
	m.Advance(start.Add(8 * time.Second))
	if !s.Up || !s.Recovering {
		t.Errorf("after a crash in the recovery: up %v, recovering %v; want it from the beginning", s.Up, s.Recovering)
	}
	m.Advance(start.Add(9 * time.Second))
	if s.Recovering {
		t.Error("it did not end")
	}
}
