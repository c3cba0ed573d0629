package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Prometheus and Alertmanager, as far as the receiver can tell them from the real ones.
const (
	scrapeEvery  = time.Second
	silentFor    = 7 * time.Second // the rules' windows for classes that show themselves by silence
	resolveAfter = 5 * time.Second // an alert outlives its condition: resolved is late
	repeatEvery  = 60 * time.Second
	retryAfter   = 10 * time.Second // of a delivery that was not taken
)

// alert is one alert: pending, active or neither.
type alert struct {
	evidence.Subject
	labels   map[string]string
	sick     func() bool   // its condition, in truth
	pending  time.Duration // how long that must hold
	since    time.Time     // since when it has; zero: it does not
	startsAt time.Time     // zero: not active
	cleared  time.Time     // since when the condition of an active one has not held
	lied     time.Time     // until then the exporter says that it holds, whatever the truth
	repeat   time.Time
	last     time.Time // the newest StartsAt that there was
}

type alerts struct {
	w      *world
	list   []*alert
	seen   map[string]bool // deliveries accepted
	intake int             // sequence of records
}

func newAlerts(w *world) alerts {
	a := alerts{w: w, seen: map[string]bool{}}
	for _, vm := range w.config.Clusters[0].VirtualMachines {
		v := w.model.VM(vm.Name)
		id := evidence.VM{Cluster: w.spec.Cluster, Name: vm.Name}
		for _, q := range vm.SQLServers {
			s := v.Server(q.Instance)
			lives := func() bool { return w.manner(v) == answers }
			a.add(evidence.Subject{VM: id, Instance: q.Instance, Fault: evidence.Service}, 0, func() bool { return lives() && !s.Up && !s.Hung })
			a.add(evidence.Subject{VM: id, Instance: q.Instance, Fault: evidence.Hang}, silentFor, func() bool {
				return lives() && s.Hung || w.manner(v) == hangs
			})
			a.add(evidence.Subject{VM: id, Instance: q.Instance, Fault: evidence.Internal}, internalFor, func() bool { return lives() && s.Up && s.Failing != "" })
			a.add(evidence.Subject{VM: id, Instance: q.Instance, Fault: evidence.Database}, 0, never)
			a.add(evidence.Subject{VM: id, Instance: q.Instance, Fault: evidence.Resource}, resourceFor, func() bool { return lives() && s.Up && w.model.Suffers(v) })
		}
		none := func(f evidence.Fault, sick func() bool) {
			a.add(evidence.Subject{VM: id, Instance: evidence.NoInstance, Fault: f}, silentFor, sick)
		}
		none(evidence.Guest, func() bool {
			silent := !slices.ContainsFunc(v.Servers, func(s *model.Server) bool { return !s.Hung })
			return v.State == cluster.VMRunning && v.Heartbeat == cluster.HeartbeatLostCommunication && (silent || w.manner(v) != answers)
		})
		none(evidence.Network, func() bool { return v.Heartbeat == cluster.HeartbeatOK && !w.model.Node(v.Owner).Board })
		none(evidence.Host, func() bool { return !w.model.Node(v.Owner).Powered || v.GroupState == cluster.GroupFailed })
		none(evidence.Storage, never)
	}
	return a
}

func never() bool { return false }

func (a *alerts) add(s evidence.Subject, pending time.Duration, sick func() bool) {
	a.list = append(a.list, &alert{Subject: s, sick: sick, pending: pending, labels: map[string]string{
		"alertname": "Hypervigil-" + string(s.Fault), "cluster": s.Cluster, "vm": s.Name, "sql_instance": s.Instance,
		"fault": string(s.Fault), "severity": "critical", "hypervigil": "act",
	}})
}

func (a *alerts) find(s evidence.Subject) *alert {
	for _, al := range a.list {
		if al.Subject == s {
			return al
		}
	}
	return nil
}

// scrape is one turn of Prometheus and Alertmanager.
func (w *world) scrape() {
	w.strains()
	for _, a := range w.alerts.list {
		w.alerts.turn(a)
	}
	w.after(scrapeEvery, w.scrape)
}

func (a *alerts) turn(al *alert) {
	w := a.w
	holds := (al.sick() || w.now.Before(al.lied)) && !w.is(opUnseen, "")
	switch {
	case !holds && al.startsAt.IsZero():
		al.since = time.Time{}
	case !holds && al.cleared.IsZero():
		al.cleared = w.now
	case !holds && w.now.Sub(al.cleared) >= resolveAfter:
		at := al.startsAt
		al.since, al.startsAt, al.cleared = time.Time{}, time.Time{}, time.Time{}
		a.deliver(al, false, at)
	case !holds:
	case al.since.IsZero():
		al.since, w.news = w.now, true
		fallthrough
	case al.startsAt.IsZero():
		if w.now.Sub(al.since) < al.pending {
			return
		}
		al.startsAt, al.repeat = w.now, w.now.Add(repeatEvery)
		if until, ok := w.until[key{opSkew, ""}]; ok && w.now.Before(until) {
			al.startsAt = al.startsAt.Add(w.ahead)
		}
		al.last = al.startsAt
		a.deliver(al, true, al.startsAt)
	default:
		al.cleared = time.Time{}
		if !w.now.Before(al.repeat) {
			al.repeat = w.now.Add(repeatEvery)
			a.deliver(al, true, al.startsAt)
		}
	}
}

// watchdogEvery is how often Alertmanager sends the alert that always fires.
const watchdogEvery = time.Minute

// watchdog sends the alert that always fires. It goes the way of all notifications; one that is not taken is not tried
// again, for the next one is as good.
func (w *world) watchdog() {
	w.after(watchdogEvery, w.watchdog)
	if w.is(opMute, "") || w.is(opLose, "") {
		return
	}
	d := w.between(20*time.Millisecond, 300*time.Millisecond)
	if w.is(opLate, "") {
		d = w.between(time.Second, 40*time.Second)
	}
	w.after(d, func() {
		if !w.alive || w.stuck != nil || w.is(opWebhook, "") || w.is(opCut, "") {
			return
		}
		w.handle(incident.Notified{At: incident.At(w.now), Alerts: []incident.NotifiedAlert{
			{Firing: true, Labels: map[string]string{"alertname": "Watchdog", "hypervigil": "watchdog", "severity": "none"}},
		}})
	})
}

// deliver sends a notification; it may be lost, late, doubled, or taken only at a later try.
func (a *alerts) deliver(al *alert, firing bool, startsAt time.Time) {
	w := a.w
	w.news = true
	if w.is(opLose, "") {
		w.result.events["notification lost"]++
		return
	}
	times := 1
	if w.is(opDouble, "") {
		times = 2
	}
	for range times {
		d := w.between(20*time.Millisecond, 300*time.Millisecond)
		if w.is(opLate, "") {
			d = w.between(time.Second, 40*time.Second)
		}
		w.after(d, func() { a.arrive(al, firing, startsAt) })
	}
}

// arrive is the webhook: it writes down, answers, and hands on. What it cannot write comes again.
func (a *alerts) arrive(al *alert, firing bool, startsAt time.Time) {
	w := a.w
	if !w.alive || w.stuck != nil || w.is(opWebhook, "") || w.is(opCut, "") {
		w.after(retryAfter, func() { a.arrive(al, firing, startsAt) })
		return
	}
	n := incident.Notified{At: incident.At(w.now), Alerts: []incident.NotifiedAlert{
		{Firing: firing, Labels: al.labels, StartsAt: startsAt, Fingerprint: al.Subject.String()},
	}}
	w.result.events["notification"]++
	delivery := fmt.Sprintf("%s %t %d", al.Subject, firing, startsAt.UnixNano())
	if !a.seen[delivery] {
		a.seen[delivery] = true
		a.intake++
		n.Record = fmt.Sprintf("intake/%020d", a.intake)
		if err := w.disk.put(n.Record, n.Alerts); err != nil {
			panic("ledger in memory: " + err.Error()) // it is not stuck
		}
	}
	if w.trace != nil && n.Record != "" {
		w.trace.add(w.now, "notified: %s firing %t since %.3fs", al.Subject, firing, startsAt.Sub(epoch).Seconds())
	}
	w.handle(n)
}

// pending are the notifications that an earlier life accepted and did not take up.
func (w *world) pending(records []incident.Record) []incident.Notified {
	var list []incident.Notified
	for _, r := range records {
		if !strings.HasPrefix(r.Key, "intake/") {
			continue
		}
		n := incident.Notified{At: incident.At(w.now), Record: r.Key}
		if err := json.Unmarshal(r.Value, &n.Alerts); err != nil {
			panic("a record of ours: " + err.Error())
		}
		list = append(list, n)
	}
	return list
}

// reconcile is what the receiver does after its start: it asks for every acting alert.
func (w *world) reconcile() {
	if w.is(opAMDown, "") || w.is(opCut, "") {
		return
	}
	n := incident.Notified{At: incident.At(w.now)}
	for _, al := range w.alerts.list {
		if !al.startsAt.IsZero() && !w.is(opSilence, al.Name) {
			n.Alerts = append(n.Alerts, incident.NotifiedAlert{Firing: true, Labels: al.labels, StartsAt: al.startsAt, Fingerprint: al.Subject.String()})
		}
	}
	w.handle(n)
}

// ask is the API of two Alertmanagers.
func (a *alerts) ask(labels map[string]string, at time.Time) evidence.Reading[evidence.Alert] {
	w := a.w
	if w.is(opAMDown, "") || w.is(opCut, "") {
		return evidence.Reading[evidence.Alert]{At: at, Failure: dial.TCPTimeout, Value: evidence.Alert{Asked: 2}}
	}
	r := evidence.Reading[evidence.Alert]{At: at, Value: evidence.Alert{Asked: 2, Reachable: 2}}
	for _, al := range a.list {
		if al.startsAt.IsZero() || al.Name != labels["vm"] || al.Instance != labels["sql_instance"] || string(al.Fault) != labels["fault"] {
			continue
		}
		r.Value.StartsAt = al.startsAt
		r.Value.Suppressed = w.is(opSilence, al.Name)
		r.Value.Active = !r.Value.Suppressed && !w.is(opAMHalf, "")
	}
	return r
}
