package guard_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestTransition(t *testing.T) {
	t.Parallel()
	said := func(ago time.Duration, o cluster.Orderly) func(*guard.Input) {
		return func(in *guard.Input) {
			in.Vitals.Orderly = evidence.Reading[cluster.Orderly]{At: in.StartsAt.Add(-ago), Value: o}
		}
	}
	event := func(id uint32, ago time.Duration) cluster.Orderly {
		return cluster.Orderly{Events: []cluster.Event{{ID: id, At: now.Add(-ago)}}}
	}
	heartbeat := func(opened time.Duration) func(*guard.Input) {
		return func(in *guard.Input) {
			in.Opened = now.Add(-opened)
			latest(func(r *evidence.Round) { r.Host.Value.Heartbeat = cluster.HeartbeatOK })(in)
		}
	}
	for _, test := range []struct {
		name    string
		rung    remedy.Rung
		fault   evidence.Fault
		change  func(*guard.Input)
		outcome guard.Outcome
		reason  string
	}{
		{"it said nothing of it", remedy.ResetVM, evidence.Guest, nil, guard.Pass, ""},
		{"a shutdown", remedy.ResetVM, evidence.Guest, said(time.Second, event(1074, time.Minute)), guard.Hold, "shutdown"},
		{"a shutdown 29 minutes ago", remedy.ResetVM, evidence.Guest, said(time.Second, event(6006, 29*time.Minute)), guard.Hold, "shutdown"},
		{"a shutdown 30 minutes ago", remedy.ResetVM, evidence.Guest, said(time.Second, event(17147, 30*time.Minute)), guard.Propose, "shutdown"},
		{"an update", remedy.ResetVM, evidence.Guest, said(time.Second, cluster.Orderly{Servicing: []string{"TiWorker.exe"}}), guard.Hold, "servicing"},
		{"an update that waits for a restart", remedy.ResetVM, evidence.Guest, said(time.Second, cluster.Orderly{PendingReboot: true}), guard.Hold, "pending_reboot"},
		{"it was never asked", remedy.ResetVM, evidence.Guest, func(in *guard.Input) { in.Vitals.Orderly = evidence.Reading[cluster.Orderly]{} }, guard.Propose, "unknown"},
		{"it was asked too long ago", remedy.ResetVM, evidence.Guest, said(6*time.Minute, cluster.Orderly{}), guard.Propose, "unknown"},
		{"its heartbeat is good", remedy.ResetVM, evidence.Service, heartbeat(time.Minute), guard.Hold, "heartbeat"},
		{"its heartbeat has been good for half an hour", remedy.ResetVM, evidence.Service, heartbeat(30 * time.Minute), guard.Propose, "heartbeat"},
		{"its heartbeat is not known", remedy.ResetVM, evidence.Guest, latest(func(r *evidence.Round) { r.Host = lost[cluster.VirtualMachine](dial.TCPTimeout) }), guard.Hold, "unreadable"},
		{"only a service is restarted", remedy.RestartService, evidence.Hang, said(time.Second, event(1074, time.Minute)), guard.Pass, ""},
		{"nothing is ended by a live migration", remedy.LiveMigrate, evidence.Network, said(time.Second, event(1074, time.Minute)), guard.Pass, ""},
		{"nothing was read", remedy.ResetVM, evidence.Guest, func(in *guard.Input) { in.Rounds = nil }, guard.Hold, "no_evidence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := ending(test.rung, test.fault)
			said(10*time.Second, cluster.Orderly{})(&in)
			if test.change != nil {
				test.change(&in)
			}
			if v := says(t, "G32", in); v.Outcome != test.outcome || v.Reason != test.reason {
				t.Errorf("G32 = %s %q (%s), want %s %q", v.Outcome, v.Reason, v.Detail, test.outcome, test.reason)
			}
		})
	}
}
