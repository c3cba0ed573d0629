package incident_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// BenchmarkAcceptedToCommand is what the receiver itself takes from a notification that it has accepted to the first
// command: every step in between, whatever it is about, and the writing of its records to a ledger on disk, synced, in
// real time. Waits and the network take none: they pass in virtual time. A sample is a receiver of its own that has
// just taken its bindings, baseline and samples down, as after an hour without a fault.
func BenchmarkAcceptedToCommand(b *testing.B) {
	store, err := ledger.OpenBolt(filepath.Join(b.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	committer := ledger.NewCommitter(store, 1)
	defer committer.Close()
	var took, written, own []float64 // milliseconds
	writes := 0
	for sample := range b.N {
		w := newWorld(b, actPolicy)
		w.warm()
		var disk time.Duration
		w.disk = func(batch []ledger.Op) {
			for i := range batch {
				batch[i].Key = fmt.Sprintf("sample/%d/%s", sample, batch[i].Key)
			}
			began := time.Now()
			if err := committer.Commit(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			disk += time.Since(began)
			writes++
		}
		w.spent = 0
		w.kill("SQL01")
		w.fire("SQL01", evidence.Service)
		for end := w.now.Add(time.Minute); len(w.commands) == 0; w.advance(time.Millisecond) {
			if w.now.After(end) {
				b.Fatal("no command was sent within a minute")
			}
		}
		took, written = append(took, float64(w.spent)/1e6), append(written, float64(disk)/1e6)
		own = append(own, float64(w.spent-disk)/1e6)
	}
	rank := func(list []float64, percent int) float64 {
		s := slices.Sorted(slices.Values(list))
		return s[(percent*len(s)+99)/100-1]
	}
	b.ReportMetric(rank(took, 50), "median-ms")
	b.ReportMetric(rank(took, 99), "p99-ms")
	b.ReportMetric(rank(took, 100), "most-ms")
	b.ReportMetric(rank(written, 50), "disk-median-ms")
	b.ReportMetric(rank(written, 99), "disk-p99-ms")
	b.ReportMetric(rank(own, 99), "own-p99-ms")
	b.ReportMetric(float64(writes)/float64(b.N), "writes")
}
