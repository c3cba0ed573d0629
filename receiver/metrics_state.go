package receiver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// stateCollector shows what the newest state says, when it is asked.
type stateCollector struct {
	state func() *incident.State // nil before there is one

	open, ready, latched, brake, braked, watchdog, silent, pauses,
	auditLast, auditHead, auditBytes, closed, closedBytes,
	rescueReady, rescueRefused, rescueTakes, rescued *prometheus.Desc
}

var _ prometheus.Collector = (*stateCollector)(nil)

func newStateCollector(state func() *incident.State) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("hypervigil_"+name, help, labels, nil)
	}
	return &stateCollector{
		state:   state,
		open:    desc("incidents_open", "Open incidents by state.", "state"),
		ready:   desc("receiver_ready", "1 when hold-off is over, the clusters were sampled and every binding is proven."),
		latched: desc("vm_latched", "1 while a failed action on this virtual machine waits to be acknowledged.", "cluster", "vm"),
		brake:   desc("storm_brake_timestamp_seconds", "When the storm brake last saw a storm; 0 if never.", "cluster"),
		braked:  desc("storm_brake_engaged", "1 while the storm brake holds every command of the cluster.", "cluster"),
		pauses:  desc("pauses", "Pauses in force."),

		auditLast:   desc("audit_head_sequence", "Sequence of the newest entry of the record of decisions; it never falls."),
		auditHead:   desc("audit_head_fingerprint", "First 48 bits of the newest entry's hash as a number: an export of that sequence whose last line has another one is not the receiver's."),
		auditBytes:  desc("audit_bytes", "Size of the record of decisions; receiver.retention bounds it."),
		closed:      desc("incidents_kept", "Closed incidents in the ledger; receiver.retention bounds them."),
		closedBytes: desc("incidents_kept_bytes", "Size of the closed incidents' records; receiver.retention bounds it."),

		watchdog: desc("receiver_watchdog_timestamp_seconds", "When Watchdog last came; 0 if never since the start."),
		silent:   desc("receiver_dead_man_engaged", "1 while Watchdog stays away and every cluster is therefore only observed."),
		rescueReady: desc("rescue_ready", "1 when, at the last rehearsal, nothing but the policy's mode stood in the way of the rung; of several instances and faults the worst.",
			"cluster", "vm", "rung"),
		rescueRefused: desc("rescue_refused", "1 for the first guard that stood in the rung's way at the last rehearsal, and its reason.",
			"cluster", "vm", "rung", "guard", "reason"),
		rescueTakes: desc("rescue_predicted_seconds", "From the accepted alert to the rung's end: the guards' waits, and the longest verified run of the last 24 h or else the most that it may take.",
			"cluster", "vm", "rung"),
		rescued: desc("rescue_timestamp_seconds", "When the virtual machine was last rehearsed; with an open incident it is not.", "cluster", "vm"),
	}
}

// Describe lists the families.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.open
	ch <- c.ready
	ch <- c.latched
	ch <- c.brake
	for _, d := range []*prometheus.Desc{c.braked, c.pauses, c.auditLast, c.auditHead, c.auditBytes, c.closed, c.closedBytes} {
		ch <- d
	}
	ch <- c.watchdog
	ch <- c.silent
	ch <- c.rescueReady
	ch <- c.rescueRefused
	ch <- c.rescueTakes
	ch <- c.rescued
}

// Collect reads the newest state.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counts, ready, silent, heard := map[incident.Phase]int{}, false, false, time.Time{}
	if s := c.state(); s != nil {
		for i := range s.Incidents.Open() {
			counts[i.Phase]++
		}
		ready = len(s.Ready(time.Now())) == 0
		for id, vm := range s.VMs.All() {
			gauge(c.latched, number(vm.Latched != ""), id.Cluster, id.Name)
			c.rescue(gauge, id, vm.Rescue)
		}
		for name, of := range s.Clusters {
			gauge(c.brake, seconds(of.Brake), name)
			gauge(c.braked, number(guard.Braked(of.Brake, time.Now())), name)
		}
		gauge(c.pauses, float64(len(s.Pauses)))
		gauge(c.auditLast, float64(s.Audit.Last()))
		gauge(c.auditHead, audit.Fingerprint(s.Audit.Head()))
		gauge(c.auditBytes, float64(s.Audit.Bytes()))
		kept, size := s.Incidents.Closed()
		gauge(c.closed, float64(kept))
		gauge(c.closedBytes, float64(size))
		heard, silent = s.Heard, s.Silent
	}
	gauge(c.ready, number(ready))
	gauge(c.watchdog, seconds(heard))
	gauge(c.silent, number(silent))
	for _, p := range incident.Phases() {
		gauge(c.open, float64(counts[p]), string(p))
	}
}

// rescue tells what the last rehearsal of a virtual machine found out; of several instances and faults the worst.
func (c *stateCollector) rescue(gauge func(*prometheus.Desc, float64, ...string), id evidence.VM, r incident.Rescue) {
	if r.At.IsZero() {
		return
	}
	gauge(c.rescued, seconds(r.At), id.Cluster, id.Name)
	worst, longest := map[remedy.Rung]incident.Rescuer{}, map[remedy.Rung]time.Duration{}
	for _, rung := range r.Rungs {
		if w, ok := worst[rung.Rung]; !ok || w.Ready && !rung.Ready {
			worst[rung.Rung] = rung
		}
		longest[rung.Rung] = max(longest[rung.Rung], rung.Predicted)
	}
	for rung, w := range worst {
		gauge(c.rescueReady, number(w.Ready), id.Cluster, id.Name, string(rung))
		if !w.Ready {
			gauge(c.rescueRefused, 1, id.Cluster, id.Name, string(rung), w.Decisive.Guard, w.Decisive.Reason)
		}
		if longest[rung] > 0 {
			gauge(c.rescueTakes, longest[rung].Seconds(), id.Cluster, id.Name, string(rung))
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
