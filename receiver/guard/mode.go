package guard

import (
	"strings"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// mode is G22. Act needs three things: the policy says so, the rung is one that this release sends, and, until
// every guard of the catalogue exists, the cluster is the lab. Limits weaker than their defaults count for the lab
// only; anywhere else such a policy observes.
func mode(in Input) Verdict {
	want := in.Policy.ModeOf(string(in.Rung))
	if !in.Lab && len(in.Weaker) > 0 {
		return refuse("weaker_limits", "limits weaker than their defaults (%s) make this policy observe: the cluster is not the lab",
			strings.Join(in.Weaker, ", ")).unblocked("raise the limits to their defaults or above")
	}
	switch want {
	case config.Observe:
		return refuse("mode_observe", "mode is observe").unblocked("set mode: act, or rungs: {%s: act}, in the policy", in.Rung)
	case config.Propose:
		return propose("mode_propose", "mode is propose")
	case config.Act:
		if s, ok := remedy.SpecOf(in.Rung); !ok || !s.Sent() {
			return propose("rung_proposed", "this release proposes %s and does not send it", in.Rung)
		}
		if !in.Lab {
			return refuse("mode_act_lab_only", "mode act counts for the lab alone until every guard exists; here it observes")
		}
		return pass("mode is act")
	}
	return refuse("mode_unknown", "mode %q is not known", want)
}
