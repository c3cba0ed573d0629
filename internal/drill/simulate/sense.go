package simulate

import (
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// vitals are what receiver/site's Sense would have read.
func (w *world) vitals(a evidence.Ask) evidence.Vitals {
	v := evidence.Vitals{VM: a.VM, Work: map[string]evidence.Reading[evidence.Work]{}}
	for _, q := range w.config.Cluster(a.VM.Cluster).VirtualMachine(a.VM.Name).SQLServers {
		r := evidence.Reading[evidence.Work]{At: w.now, Failure: w.refusal(a.VM.Name, q.Instance)}
		if w.is(opBlindSQL, a.VM.Name) {
			r.Failure = dial.Auth
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
	}
	return v
}
