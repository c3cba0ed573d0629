package experiment

import (
	"strings"
	"sync"
	"testing"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestEveryRowHolds plays every row of the table in virtual time, with the white paper's durations.
func TestEveryRowHolds(t *testing.T) {
	t.Parallel()
	list, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	table, err := drill.Table()
	if err != nil {
		t.Fatal(err)
	}
	scenarios := map[string]drill.Scenario{}
	for _, s := range list {
		scenarios[s.Name] = s
	}
	rows := make(chan drill.Expected, len(table))
	for _, e := range table {
		// Fifty machines and the time of 2010 take most of it, and are the same code.
		if raceDetector && (e.Fault == "fifty-machines" || e.Era == drill.Era2008R2) {
			continue
		}
		rows <- e
	}
	close(rows)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			v := &virtual{}
			for e := range rows {
				s, ok := scenarios[e.Fault]
				if !ok {
					t.Errorf("%s has a row and no scenario", e.Fault)
					continue
				}
				trial, err := v.play(setting{Scenario: s, Configuration: e.Configuration, Era: e.Era, Profile: model.Paper(), Repetition: 1, Expected: &e})
				if err != nil {
					t.Errorf("%s in %s, era %s: %v", e.Fault, e.Configuration, e.Era, err)
					continue
				}
				if len(trial.Failures) > 0 {
					t.Errorf("%s in %s, era %s: %s", e.Fault, e.Configuration, e.Era, strings.Join(trial.Failures, "; "))
				}
			}
		})
	}
	work.Wait()
}
