package incident

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/receiver/guard"
)

// TestAnApprovalWhoseTimeIsOverIsNotUsed: where nothing is left to a person any more the rung begins all the same, and is not
// said to have been approved.
func TestAnApprovalWhoseTimeIsOverIsNotUsed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		now  time.Time
		want string
	}{{at.Add(-time.Second), "ada"}, {at, ""}} {
		i := &Incident{Approvals: []Approval{{Approval: guard.Approval{By: "ada", Plan: "feed", Expires: at}}}}
		st := &stepper{now: test.now}
		if by := st.useApproval(i, "feed"); by != test.want || (i.Approvals[0].Void != "") != (test.want == "") {
			t.Errorf("at %s by %q, void %q; want by %q", test.now, by, i.Approvals[0].Void, test.want)
		}
	}
}
