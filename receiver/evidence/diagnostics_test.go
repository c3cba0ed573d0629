package evidence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestDiagnostics: which components count, for what level, and what is clean.
func TestDiagnostics(t *testing.T) {
	t.Parallel()
	of := func(system, resource, query int64) evidence.Diagnostics {
		return evidence.Diagnostics{Components: []evidence.Component{
			{Name: "system", State: system, ErrorSets: 2},
			{Name: "resource", State: resource, ErrorSets: 5},
			{Name: "query_processing", State: query, ErrorSets: 3},
			{Name: "io_subsystem", State: 3, ErrorSets: 9},
			{Name: "events", State: 0},
		}}
	}
	for name, tt := range map[string]struct {
		given  evidence.Diagnostics
		level  int
		within string
		clean  bool
	}{
		"clean, whatever io_subsystem and events say": {of(1, 2, 1), 5, "", true},
		"system":                   {of(3, 1, 1), 3, "system", false},
		"resource is no level 3":   {of(1, 3, 1), 3, "", false},
		"resource":                 {of(1, 3, 1), 4, "resource", false},
		"the longest row":          {of(3, 3, 3), 5, "resource", false},
		"the longest of its level": {of(3, 3, 3), 3, "system", false},
		"no state":                 {of(1, 0, 1), 5, "", false},
		"no component":             {evidence.Diagnostics{}, 5, "", false},
	} {
		got, ok := tt.given.Within(tt.level)
		if got.Component != tt.within || ok != (tt.within != "") || tt.given.Clean() != tt.clean {
			t.Errorf("%s: within level %d %+v, clean %t; want %q, %t", name, tt.level, got, tt.given.Clean(), tt.within, tt.clean)
		}
	}
	want := []evidence.Sick{{Component: "system", Level: 3, Sets: 2}, {Component: "query_processing", Level: 5, Sets: 3}}
	if diff := cmp.Diff(want, of(3, 2, 3).Sick()); diff != "" {
		t.Errorf("Sick (-want +got):\n%s", diff)
	}
}
