package simulate

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// vitals are what receiver/site's Sense would have read.
func (w *world) vitals(a evidence.Ask) evidence.Vitals {
	v := evidence.Vitals{VM: a.VM, Work: map[string]evidence.Reading[evidence.Work]{}}
	for _, q := range w.config.Cluster(a.VM.Cluster).VirtualMachine(a.VM.Name).SQLServers {
		r := evidence.Reading[evidence.Work]{At: w.now, Failure: w.refusal(a.VM.Name, q.Instance)}
		if why := w.barred(a.VM.Name, q.Instance); why != dial.Answered {
			r.Failure = why
		}
		if s := w.leads(a.VM.Name).Server(q.Instance); r.Known() && s != nil {
			r.Value.Backup, r.Value.Restore = s.Backup, s.Restore
			if !s.Open.IsZero() {
				r.Value.Oldest = w.now.Sub(s.Open)
			}
			if s.RollingBack {
				r.Value.Rollbacks, r.Value.RollingBack = 1, r.Value.Oldest
			}
		}
		v.Work[q.Instance] = r
		w.diagnostics(a.VM.Name, q.Instance, w.now) // opens the stream, and keeps it open
	}
	v.Orderly = known(orderly(w.leads(a.VM.Name), a.EventsSince), w.now, w.deaf(a.VM.Name))
	v.Disks = w.disks(a)
	return v
}

// disks are what the owner counts of the virtual machine's disk.
func (w *world) disks(a evidence.Ask) evidence.Reading[cluster.DiskIO] {
	v := w.model.VM(a.VM.Name)
	switch {
	case a.Owner == "" || a.VMID == "":
		return evidence.Reading[cluster.DiskIO]{At: w.now, Failure: dial.Other, Detail: "no owner or no id is known yet"}
	case w.silent(a.Owner):
		return evidence.Reading[cluster.DiskIO]{At: w.now, Failure: dial.TCPTimeout}
	case w.model.Host(v) != a.Owner || v.State != cluster.VMRunning:
		return evidence.Reading[cluster.DiskIO]{At: w.now, Failure: dial.Other, Detail: "not found"}
	}
	n := w.model.DiskCount(v)
	return evidence.Reading[cluster.DiskIO]{At: w.now, Value: cluster.DiskIO{Host: a.Owner, Disks: map[string]cluster.DiskCount{v.Name + ".vhdx": {Reads: n, Writes: n}}}}
}

// orderly is what a guest says of a shutdown, a restart or an update of its own.
func orderly(v *model.VM, since time.Time) cluster.Orderly {
	o := cluster.Orderly{LastBoot: v.Booted, PendingReboot: v.At.Pending}
	if v.At.Servicing {
		o.Servicing = []string{"TiWorker.exe"}
	}
	for _, e := range v.Events {
		if (e.ID == 1074 || e.ID == 6006 || e.ID == 17147) && !e.At.Before(since) && !e.At.Before(v.Booted) {
			o.Events = append(o.Events, cluster.Event{Log: e.Log, ID: e.ID, Source: e.Source, At: e.At})
		}
	}
	return o
}
