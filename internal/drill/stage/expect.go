package stage

import (
	"errors"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// expectation is how a trial should come out. It is judged by the lab's counters, not by the receiver's word alone.
type expectation struct {
	words    string
	within   time.Duration // from the fault to the end, on a slow machine too
	outcome  incident.Phase
	healedBy incident.Healer
	acts     bool // commands are sent; otherwise none may be
	starts   int  // of SQL Server's service; not judged where the guest boots
	boots    bool
	// failovers are those by the cluster. Nobody commands one.
	failovers int
}

// expected is how the trial of a fault should come out in this release.
func expected(fault string, healCleanStop bool) expectation {
	switch fault {
	case model.ServiceStop:
		if healCleanStop {
			return expectation{
				words: "somebody stopped it on purpose, and the policy heals that after " + healCleanStopAfter.String() + ".", within: 2 * time.Minute,
				outcome: incident.Healed, healedBy: incident.ByHypervigil, acts: true, starts: 1,
			}
		}
		return expectation{words: "refused, because somebody stopped it on purpose.", within: time.Minute, outcome: incident.Refused}
	case model.SQLHang:
		return expectation{
			words:  "after " + healthCheckTimeout.String() + " without a login the process is terminated and the service started.",
			within: 3 * time.Minute, outcome: incident.Healed, healedBy: incident.ByHypervigil, acts: true, starts: 1,
		}
	case model.GuestCrash, model.GuestHang:
		return expectation{
			words:  "after a minute without a heartbeat, an answer, and a read or a write of its disks the virtual machine is reset.",
			within: 5 * time.Minute, outcome: incident.Healed, healedBy: incident.ByHypervigil, acts: true, boots: true,
		}
	case model.HostPowerOff:
		return expectation{
			words:  "the cluster fails the virtual machine over, once; the receiver waits for it and sends nothing.",
			within: 3 * time.Minute, outcome: incident.Healed, healedBy: incident.ByCluster, failovers: 1, boots: true,
		}
	case model.LANBoard:
		return expectation{
			words:  "the uplink of the owner's switch is down: a live migration is proposed, for a policy has to name a move before one is made.",
			within: 3 * time.Minute, outcome: incident.Proposed,
		}
	}
	return expectation{
		words: "the receiver starts the service again.", within: 2 * time.Minute,
		outcome: incident.Healed, healedBy: incident.ByHypervigil, acts: true, starts: 1,
	}
}

// check reports everything in which the trial came out otherwise.
func (e expectation) check(t drill.Trial, c drill.LabCounts) error {
	var errs []error
	differ := func(what string, got, want any) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s: %v, not %v", what, got, want))
		}
	}
	differ("outcome", t.Outcome, string(e.outcome))
	differ("healed by", t.HealedBy, string(e.healedBy))
	differ("failovers by the cluster", len(c.FailoversByCluster), e.failovers)
	differ("moves commanded", len(c.MovesCommanded), 0)
	differ("resets of the virtual machine", len(c.VMResets), 0)
	differ("commands were sent", len(c.Commands) > 0, e.acts)
	if !e.boots {
		differ("starts of SQL Server's service", len(c.ServiceStarts), e.starts)
	}
	if e.outcome == incident.Healed {
		differ("SQL Server came back", t.SQLDownSeconds != nil, true)
	}
	return errors.Join(errs...)
}
