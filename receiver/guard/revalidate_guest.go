package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// stoppable: a service that nobody could read is not stopped.
func (in Input) stoppable(round evidence.Round, _ remedy.Command) Verdict {
	if !round.Service.Known() {
		return hold("unreadable", in.soon(), "%s could not be read again", in.Service)
	}
	return pass("owner unchanged, group online, VM running, read %s before", in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}

// terminable: the process is the one of the plan, and nobody logs in to it, or it calls itself sick still.
func (in Input) terminable(round evidence.Round, cmd remedy.Command) Verdict {
	if v, over := in.over(round); over {
		return v
	}
	switch p := round.Process; {
	case !p.Known():
		return hold("unreadable", in.soon(), "process %d could not be read again", cmd.PID)
	case p.Value.ID == cmd.PID && p.Value.Created.IsZero():
		return hold("unreadable", in.soon(), "since when process %d runs could not be read again (its CreationDate did not come): it may be another one", cmd.PID)
	case p.Value.ID != cmd.PID || !p.Value.Created.Equal(cmd.Created):
		return refuse("gone", "process %d of %s is not there any more", cmd.PID, cmd.Created.Format(time.RFC3339Nano))
	}
	return pass("process %d is the one of the plan, read %s before", cmd.PID, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}

// startable: a service that somebody else has started meanwhile is not started again.
func (in Input) startable(round evidence.Round, cmd remedy.Command) Verdict {
	service := round.Service
	if cmd.Service != in.Service {
		if !service.Known() || service.Value.State != cluster.ServiceRunning {
			return hold("not_running", in.soon(), "%s does not run now, and %s depends on it", in.Service, cmd.Service)
		}
		for _, d := range round.Dependents.Value {
			if round.Dependents.Known() && d.Name == cmd.Service {
				service = evidence.Reading[cluster.Service]{Value: d, At: round.Dependents.At}
			}
		}
		if service.Value.Name != cmd.Service {
			return hold("unreadable", in.soon(), "%s could not be read again", cmd.Service)
		}
	}
	if !service.Known() {
		return hold("unreadable", in.soon(), "%s could not be read again: %s", cmd.Service, service.Failure)
	}
	switch service.Value.State {
	case cluster.ServiceStopped:
	case cluster.ServiceStopPending:
		return hold("stop_pending", in.soon(), "%s is still stopping", cmd.Service)
	case cluster.ServiceRunning, cluster.ServiceStartPending, cluster.ServiceContinuePending, cluster.ServicePausePending,
		cluster.ServicePaused, cluster.ServiceUnknown:
		return refuse("not_stopped", "%s is %q now: somebody started it", cmd.Service, service.Value.State)
	}
	return pass("%s is stopped, owner unchanged, read %s before", cmd.Service, in.Now.Sub(Oldest(round)).Round(time.Millisecond))
}
