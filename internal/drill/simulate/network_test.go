package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestABoardThatWorkedBetweenTwoReads: the receiver sees what its reads show, and the alert has not ceased to fire; nobody
// may be blamed for a tenth of a second that no read fell into. Where the alert did cease, the class's thirty seconds begin
// anew, though no read fell into those seconds either.
func TestABoardThatWorkedBetweenTwoReads(t *testing.T) {
	t.Parallel()
	b := bare(t)
	variant := slices.IndexFunc(b.list, func(b base) bool { return b.variant.name == "proposed" })
	if variant < 0 {
		t.Fatal(`there is no variant "proposed"`)
	}
	const again = 18 * time.Second // the board's second fault
	for name, test := range map[string]struct {
		works time.Duration // before it
		early bool          // whether the thirty seconds begin before it
	}{
		"the alert goes on": {50 * time.Millisecond, true},
		"the alert ceases":  {8 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var history trace
			r := b.play(Schedule{Seed: 1, Variant: variant, Ops: []Op{
				{Kind: opFault, What: model.LANBoard, VM: "SQL02", For: again - test.works},
				{Kind: opFault, What: model.LANBoard, VM: "SQL04", At: again, For: 2 * time.Minute},
			}}, &history)
			if len(r.violations) > 0 {
				t.Fatalf("broken: %v\n%s", r.violations, &history)
			}
			at := -1.0
			for line := range strings.Lines(history.String()) {
				if strings.Contains(line, "hv-lab.SQL02.-.network.") && strings.Contains(line, " proposed: ") {
					if _, err := fmt.Sscanf(line, "%fs", &at); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			if early := at < (again + networkFor).Seconds(); at < 0 || early != test.early {
				t.Errorf("proposed at %.3f s; before %s: want %t\n%s", at, again+networkFor, test.early, &history)
			}
		})
	}
}
