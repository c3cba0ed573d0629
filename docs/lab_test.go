package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestThePageOfTheLabNamesEveryFault: the table of lab.md is what the model can make; -update rewrites it.
func TestThePageOfTheLabNamesEveryFault(t *testing.T) {
	const begin, end = "<!-- faults: generated -->\n", "<!-- /faults -->\n"
	page := read(t, "lab.md")
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("lab.md lacks the lines %q and %q", begin, end)
	}
	var b strings.Builder
	b.WriteString("| name | victim | what it is |\n|---|---|---|\n")
	for _, f := range model.Faults() {
		kind := ""
		if f.Condition {
			kind = " (condition)"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s |\n", f.Name, kind, f.Of, f.About)
	}
	want := before + begin + b.String() + end + after
	if *update {
		if err := os.WriteFile("lab.md", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page != want {
		t.Error("lab.md tells of other faults than the lab has; run go test ./docs -update")
	}
}
