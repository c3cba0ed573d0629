package incident

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The labels that an alert must carry to be acted on; hypervigil="act" marks it.
const (
	labelAct      = "hypervigil"
	labelAlert    = "alertname"
	labelCluster  = "cluster"
	labelVM       = "vm"
	labelInstance = "sql_instance"
	labelFault    = "fault"
	labelSeverity = "severity"
)

// notified takes up a notification: each alert by its own status (G4), whatever the group's says.
func (st *stepper) notified(e Notified) {
	for _, a := range e.Alerts {
		if st.heard(a.Labels, a.Firing) {
			continue
		}
		subject, reason, why := st.subject(a.Labels)
		if reason != "" {
			st.emit(Ignored{Reason: reason, Why: why, Labels: a.Labels})
			continue
		}
		if a.Firing {
			st.firing(subject, a)
		} else {
			st.resolved(subject, a)
		}
	}
	if e.Record != "" {
		st.emit(Delete{Key: e.Record})
	}
}

// subject reads what an alert is about, or says why it is ignored: a word and a sentence.
func (st *stepper) subject(labels map[string]string) (s evidence.Subject, reason, why string) {
	if labels[labelAct] != "act" {
		return evidence.Subject{}, "not_acting", `it does not carry hypervigil="act"`
	}
	for _, l := range []string{labelAlert, labelCluster, labelVM, labelInstance, labelFault, labelSeverity} {
		if labels[l] == "" {
			return evidence.Subject{}, "label_missing", "label " + l + " is missing"
		}
	}
	s = evidence.Subject{
		VM:       evidence.VM{Cluster: labels[labelCluster], Name: labels[labelVM]},
		Instance: labels[labelInstance],
		Fault:    evidence.Fault(labels[labelFault]),
	}
	if !s.Fault.Known() {
		return s, "unknown_fault", fmt.Sprintf("fault %q is no fault class", labels[labelFault])
	}
	vm, ok := st.s.inventory(s.VM)
	if !ok {
		return s, "not_in_inventory", fmt.Sprintf("%s is not in the inventory", s.VM)
	}
	if s.Instance == evidence.NoInstance {
		return s, "", ""
	}
	for _, q := range vm.SQLServers {
		if q.Instance == s.Instance {
			return s, "", ""
		}
	}
	return s, "unknown_instance", fmt.Sprintf("%s has no instance %q in the inventory", s.VM, s.Instance)
}

func (st *stepper) firing(subject evidence.Subject, a NotifiedAlert) {
	alert := Alert{
		Name: a.Labels[labelAlert], Labels: a.Labels, Fingerprint: a.Fingerprint,
		StartsAt: a.StartsAt, Firing: true, ReceivedAt: st.now,
	}
	if open := st.openOf(subject.VM, func(i *Incident) bool { return i.Subject == subject }); len(open) > 0 {
		i := open[0] // there is one at most
		if !i.Alert.Firing {
			st.tell(i, "alert fires again", "since "+a.StartsAt.Format(time.RFC3339Nano))
		}
		if !i.HealthyAt.IsZero() && a.StartsAt.After(i.HealthyAt) {
			// New trouble while the old one's end is being held: nothing that was read before counts any more.
			st.tell(i, "not healthy any more", "the alert began anew")
			i.HealthyAt, i.Healthy = time.Time{}, 0
		}
		i.Alert = alert
		return
	}
	// A story that has ended is not begun again by an echo of it: only a newer start opens a new incident (G5).
	ids, _ := st.s.Incidents.of.get(machine(subject.VM))
	for _, id := range ids {
		old, _ := st.s.Incidents.Get(id)
		if old.Subject == subject && old.Closed() && !a.StartsAt.After(old.lastEnd()) {
			st.emit(Note{Message: "alert ignored", Keys: []any{
				"alertname", alert.Name, "incident", old.ID, "reason", "it began before that incident ended",
			}})
			return
		}
	}
	st.begin(subject, alert)
}

// lastEnd is when the incident's last action ended, or, later, when SQL Server was seen to be healthy: an alert that
// began before that belongs to the old story. What begins after it, be it during the hold, is a new one.
func (i Incident) lastEnd() time.Time {
	end := i.HealthyAt
	if len(i.Actions) > 0 {
		if last := i.Actions[len(i.Actions)-1].Ended; last.After(end) {
			end = last
		}
	}
	if end.IsZero() {
		return i.ClosedAt
	}
	return end
}

// begin opens an incident.
func (st *stepper) begin(subject evidence.Subject, alert Alert) {
	vm, _ := st.s.inventory(subject.VM)
	policy := st.s.policy(vm)
	i := st.adopt(Incident{
		ID: fmt.Sprintf("%s.%s.%s.%s.%s", subject.Cluster, subject.VM.Name, subject.Instance, subject.Fault,
			st.now.UTC().Format("20060102T150405.000")),
		Subject:  subject,
		OpenedAt: st.now,
		Alert:    alert,
		Policy:   vm.Policy,
		Ladder:   ladder(policy, subject.Fault),
		Next:     st.now,
	})
	st.fresh = append(st.fresh, i.ID)
	st.enter(i, Open, fmt.Sprintf("%s fires since %s", alert.Name, alert.StartsAt.UTC().Format("15:04:05.000")))
	for _, o := range st.owners(i) {
		if i.OwnerBefore == "" || !o.Since.After(alert.StartsAt.Add(-time.Minute)) {
			i.OwnerBefore = o.Node
		}
	}
	if len(i.Ladder) == 0 {
		why := ""
		if subject.Fault == evidence.Internal && policy.InternalLevel == 0 {
			why = " (its internal_level is 0)"
		}
		st.enter(i, Told, fmt.Sprintf("Fault class %s has no ladder in policy %q%s: nothing is done but to tell.", subject.Fault, vm.Policy, why))
	}
}

func ladder(p *config.Policy, f evidence.Fault) []remedy.Rung {
	var rungs []remedy.Rung
	for _, r := range p.Ladder(string(f)) {
		rungs = append(rungs, remedy.Rung(r))
	}
	return rungs
}

// resolved notes that the alert is gone. It is no proof of health: a vanished series resolves an alert too.
func (st *stepper) resolved(subject evidence.Subject, a NotifiedAlert) {
	for _, i := range st.openOf(subject.VM, func(i *Incident) bool { return i.Subject == subject && i.Alert.Firing }) {
		if a.StartsAt.Before(i.Alert.StartsAt) {
			continue // the end of an older firing, delivered late
		}
		i.Alert.Firing = false
		i.Alert.ReceivedAt = st.now
		st.tell(i, "alert resolved", "")
	}
}

func (st *stepper) acknowledged(e Acknowledged) {
	if i, ok := st.incident(e.Incident); ok {
		i.Acked = true
		st.tell(i, "acknowledged", "by "+e.By)
	}
	for id, vm := range st.s.VMs.All() {
		if vm.Latched != e.Incident {
			continue
		}
		vm.Latched = ""
		st.note(nil, audit.Entry{Event: "latch released", Incident: e.Incident, Cluster: id.Cluster, VM: id.Name, By: e.By})
		st.setVM(id, vm, true)
		st.reconsider(st.openOf(id, every), "The failure before it was acknowledged; asking again.")
	}
}
