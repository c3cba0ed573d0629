package guard

import (
	"strings"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Mode is how far the rung may go: what the policy says, within what the cluster's own mode allows. Limits weaker than
// their defaults count for the lab only; anywhere else such a policy observes.
func (in Input) Mode() config.Mode {
	if in.weakened() {
		return config.Observe
	}
	return in.Policy.ModeOf(string(in.Rung)).AtMost(in.Most)
}

// weakened reports whether limits are weaker than their defaults where they may not be.
func (in Input) weakened() bool { return !in.Lab && len(in.Weaker) > 0 }

// weakenedWords says why such limits keep a rung from being sent.
func (in Input) weakenedWords() string {
	return "limits weaker than their defaults (" + strings.Join(in.Weaker, ", ") + ") make this policy observe: the cluster does not identify itself as the lab"
}

// mode is G22. Act needs two things: policy and cluster say so, and the rung is one that this release sends.
func mode(in Input) Verdict {
	if in.weakened() {
		return refuse("weaker_limits", "%s", in.weakenedWords()).unblocked("raise the limits to their defaults or above")
	}
	says, lift := "mode", "set mode: act, or rungs: {"+string(in.Rung)+": act}, in the policy"
	m := in.Mode()
	if in.Policy.ModeOf(string(in.Rung)) != m {
		says, lift = "mode of cluster "+in.Subject.Cluster, "raise the cluster's own mode in the inventory"
	}
	switch m {
	case config.Observe:
		return refuse("mode_observe", "%s is observe", says).unblocked("%s", lift)
	case config.Propose:
		return propose("mode_propose", "%s is propose", says)
	case config.Act:
		if s, ok := remedy.SpecOf(in.Rung); !ok || !s.Sent() {
			return propose("rung_proposed", "this release proposes %s and does not send it", in.Rung)
		}
		return pass("mode is act")
	}
	return refuse("mode_unknown", "mode %q is not known", m)
}
