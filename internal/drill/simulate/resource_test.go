package simulate

import (
	"slices"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestStarvedMachinesComeToTheirEnd: a free node cures a machine whose host is used up; where none is free, the guest alone
// is starved, the cluster balances its load itself or the rung is not named, nothing is sent.
func TestStarvedMachinesComeToTheirEnd(t *testing.T) {
	t.Parallel()
	b := bare(t)
	everywhere := []Op{
		{Kind: opFault, What: model.HostStarved, Node: "HV1"},
		{Kind: opFault, What: model.HostStarved, Node: "HV2"},
		{Kind: opFault, What: model.HostStarved, Node: "HV3"},
	}
	const migration = string(remedy.LiveMigrate) + " " + string(remedy.MoveGroup)
	for name, test := range map[string]struct {
		variant string
		ops     []Op
		moved   bool
		phase   string
	}{
		"a free node":                 {"quick", []Op{{Kind: opFault, What: model.HostStarved, VM: "SQL01"}}, true, "healed"},
		"no node is better":           {"quick", everywhere, false, "refused"},
		"the guest alone":             {"quick", []Op{{Kind: opFault, What: model.GuestStarved, VM: "SQL01"}}, false, "proposed"},
		"the rung is not named":       {"short cool-down", []Op{{Kind: opFault, What: model.HostStarved, VM: "SQL01"}}, false, "proposed"},
		"the cluster balances itself": {"the cluster balances its load", []Op{{Kind: opFault, What: model.HostStarved, VM: "SQL01", For: 4 * time.Minute}}, false, "healed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variant := slices.IndexFunc(b.list, func(b base) bool { return b.variant.name == test.variant })
			if variant < 0 {
				t.Fatalf("there is no variant %q", test.variant)
			}
			var history trace
			// What is to come of an alert that has not fired yet nobody waits for: the last op is when it has.
			ops := append(slices.Clone(test.ops), Op{At: 5 * time.Minute, Kind: opAck})
			r := b.play(Schedule{Seed: 1, Variant: variant, Ops: ops}, &history)
			if len(r.violations) > 0 || r.commands[migration] > 0 != test.moved || r.phases[test.phase] == 0 || len(r.commands) > 1 {
				t.Errorf("broken %v, commands %v, phases %v; want moved %t and %s\n%s", r.violations, r.commands, r.phases, test.moved, test.phase, &history)
			}
		})
	}
}
