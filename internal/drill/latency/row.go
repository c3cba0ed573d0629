package main

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
	"github.com/hypervigil/hypervigil/rules"
)

// row is one line of the table: one kind of fault at one speed.
type row struct {
	Name  string         `json:"name"`
	Speed rules.Speed    `json:"speed"`
	Fault string         `json:"fault"` // as the lab names it
	Class evidence.Fault `json:"class"`
	N     int            `json:"wanted"` // trials
	// Chains is how many take the trials at the same time. One at the fast speed uses a fifth of a core.
	Chains int `json:"chains"`
	// Median and P95 are the design's goals ("Numbers to reach"); 0 where it has none, and the reckoned interval alone counts.
	Median time.Duration `json:"goal_median_ns,omitempty"`
	P95    time.Duration `json:"goal_p95_ns,omitempty"`

	rung   remedy.Rung // that the first command belongs to
	policy string      // what the policy says besides mode act, where the default ladder does not act
}

// machines are the lab's virtual machines with one SQL Server each, in the order in which the trials take them: the one that
// was last ill has the longest time to be well again.
func machines() []string { return []string{"SQL01", "SQL02", "SQL04"} }

// rows lists every row. Host and resource are not here: a host is left to the cluster for 300 s at least, and no alert
// acts on a starved machine.
func rows() []row {
	return []row{
		{Name: "service-standard", Speed: rules.Standard, Fault: model.ServiceCrash, Class: evidence.Service, N: 100, Chains: 4, Median: 8 * time.Second, P95: 12 * time.Second, rung: remedy.RestartService},
		{Name: "service-fast", Speed: rules.Fast, Fault: model.ServiceCrash, Class: evidence.Service, N: 100, Chains: 4, Median: 3500 * time.Millisecond, P95: 5 * time.Second, rung: remedy.RestartService},
		{Name: "hang-fast", Speed: rules.Fast, Fault: model.SQLHang, Class: evidence.Hang, N: 10, Chains: 3, rung: remedy.RestartService},
		{
			Name: "internal-fast", Speed: rules.Fast, Fault: model.SQLInternal, Class: evidence.Internal, N: 10, Chains: 3, rung: remedy.RestartService,
			policy: "      internal_level: 3\n",
		},
		{Name: "guest-fast", Speed: rules.Fast, Fault: model.GuestCrash, Class: evidence.Guest, N: 10, Chains: 3, rung: remedy.ResetVM},
		{
			Name: "network-fast", Speed: rules.Fast, Fault: model.LANBoard, Class: evidence.Network, N: 10, Chains: 3, rung: remedy.LiveMigrate,
			policy: "      rungs: {live_migrate: act}\n",
		},
	}
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.Name)
	}
	return names
}
