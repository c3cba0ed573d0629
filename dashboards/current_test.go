package dashboards

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the dashboards' JSON")

// TestTheFilesAreWhatTheCodeSays holds the JSON in the tree to what it is made from, and reading it back to the same.
func TestTheFilesAreWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	made, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range have {
		if _, ok := made[f]; !ok {
			t.Errorf("%s is made by nothing", f)
		}
	}
	for name, want := range made {
		if *update {
			if err := os.WriteFile(name, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("%v; go test ./dashboards -update writes it", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not current; go test ./dashboards -update writes it (-want +got):\n%.2000s", name, diff)
		}
	}
	if len(made) < 6 {
		t.Errorf("there are %d dashboards, want 6 at least", len(made))
	}
}
