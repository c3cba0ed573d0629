package receiver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/incident"
)

// stateCollector shows what the newest state says, when it is asked.
type stateCollector struct {
	state func() *incident.State // nil before there is one

	open, ready, latched, brake, watchdog, silent *prometheus.Desc
}

var _ prometheus.Collector = (*stateCollector)(nil)

func newStateCollector(state func() *incident.State) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("hypervigil_"+name, help, labels, nil)
	}
	return &stateCollector{
		state:    state,
		open:     desc("incidents_open", "Open incidents by state.", "state"),
		ready:    desc("receiver_ready", "1 when hold-off is over, the clusters were sampled and every binding is proven."),
		latched:  desc("vm_latched", "1 while a failed action on this virtual machine waits to be acknowledged.", "cluster", "vm"),
		brake:    desc("storm_brake_timestamp_seconds", "When the storm brake last saw a storm; 0 if never.", "cluster"),
		watchdog: desc("receiver_watchdog_timestamp_seconds", "When Watchdog last came; 0 if never since the start."),
		silent:   desc("receiver_dead_man_engaged", "1 while Watchdog stays away and every cluster is therefore only observed."),
	}
}

// Describe lists the families.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.open
	ch <- c.ready
	ch <- c.latched
	ch <- c.brake
	ch <- c.watchdog
	ch <- c.silent
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
		}
		for name, of := range s.Clusters {
			gauge(c.brake, seconds(of.Brake), name)
		}
		heard, silent = s.Heard, s.Silent
	}
	gauge(c.ready, number(ready))
	gauge(c.watchdog, seconds(heard))
	gauge(c.silent, number(silent))
	for _, p := range incident.Phases() {
		gauge(c.open, float64(counts[p]), string(p))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
