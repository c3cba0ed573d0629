package exporter

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/internal/config"
)

// thresholdCollector shows the thresholds of each virtual machine of the present configuration, so that the rules compare
// with what hypervigil.yml says and nobody edits them.
type thresholdCollector func() *config.Config

var _ prometheus.Collector = thresholdCollector(nil)

// threshold is one of config.Thresholds as a metric; value is in the metric's own unit, 0 for never.
type threshold struct {
	desc  *prometheus.Desc
	value func(config.Thresholds) float64
}

// thresholds are never changed.
var thresholds = []threshold{
	{
		thresholdDesc("backup_age_seconds", "The age of a database's newest full or differential backup from which on the virtual machine's thresholds call it too old; +Inf is never."),
		func(t config.Thresholds) float64 { return t.BackupAge.Seconds() },
	},
	{
		thresholdDesc("log_backup_age_seconds", "The age of a database's newest log backup from which on the virtual machine's thresholds call it too old; +Inf is never."),
		func(t config.Thresholds) float64 { return t.LogBackupAge.Seconds() },
	},
	{
		thresholdDesc("log_used_ratio", "How much of a database's log, from 0 to 1, has to be in use before the virtual machine's thresholds call it full; +Inf is never."),
		func(t config.Thresholds) float64 { return float64(t.LogUsedPercent) / 100 },
	},
}

func thresholdDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("hypervigil_threshold_"+name, help, []string{"cluster", "vm"}, nil)
}

// Describe implements prometheus.Collector.
func (thresholdCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, t := range thresholds {
		ch <- t.desc
	}
}

// Collect implements prometheus.Collector.
func (c thresholdCollector) Collect(ch chan<- prometheus.Metric) {
	present := c()
	if present == nil {
		return
	}
	for _, cl := range present.Clusters {
		for _, vm := range cl.VirtualMachines {
			for _, t := range thresholds {
				v := t.value(vm.Thresholds)
				if v == 0 {
					// No age and no share is more; a series that was missing would mean the rules' own default.
					v = math.Inf(1)
				}
				ch <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, v, cl.Name, vm.Name)
			}
		}
	}
}

// configuration is the present one; nil before there is one.
func (e *Exporter) configuration() *config.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.present == nil {
		return nil
	}
	return e.present.config
}
