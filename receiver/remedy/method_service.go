package remedy

import (
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The methods of Win32_Service.
const (
	StartService Method = "Win32_Service.StartService"
	StopService  Method = "Win32_Service.StopService"
)

// ServiceTimeout bounds each step of a service restart (G24).
const ServiceTimeout = 90 * time.Second

// serviceParts are what a service's step is judged by.
func serviceParts() []evidence.Part {
	return []evidence.Part{evidence.PartLogin, evidence.PartService, evidence.PartDependents, evidence.PartProcess, evidence.PartHost}
}

func startService() MethodSpec {
	return MethodSpec{
		Method: StartService, Target: Guest, Within: ServiceTimeout, Revives: true,
		Before: []evidence.Part{evidence.PartService, evidence.PartDependents}, After: serviceParts(),
		judge: judgeService, effect: started,
	}
}

func stopService() MethodSpec {
	return MethodSpec{
		Method: StopService, Target: Guest, Within: ServiceTimeout, Ends: true,
		Before: []evidence.Part{evidence.PartService, evidence.PartDependents}, After: serviceParts(),
		judge: judgeService, effect: stopped,
	}
}

// judgeService says what a return value of Win32_Service's methods means (learn.microsoft.com, "StartService method of
// the Win32_Service class"; StopService has the same numbers).
func judgeService(cmd Command, r Result) (cause Cause, why string, ok bool) {
	switch cluster.ServiceCode(r.Code) {
	case cluster.ServiceAlreadyRunning:
		return "", "", true
	case cluster.ServiceNotActive:
		if cmd.Method == StopService {
			return "", "", true // it was stopped already
		}
		return GuestBound, fmt.Sprintf("%s on %s returned %d", cmd.Method, cmd.Service, r.Code), false
	case cluster.ServiceDependencyDeleted, cluster.ServiceDependencyFailure:
		return Permanent, fmt.Sprintf("a service that %s depends on is missing or does not start (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceDisabled:
		return Permanent, fmt.Sprintf("%s is disabled (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceLogonFailure:
		return Permanent, fmt.Sprintf("the account of %s cannot log on: wrong or expired password (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceRequestTimeout, cluster.ServiceUnknownFailure:
		return Transient, fmt.Sprintf("%s did not answer the service control manager in time (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceDependentsRunning:
		return Transient, fmt.Sprintf("dependents of %s run (return value %d)", cmd.Service, r.Code), false
	case cluster.ServiceSuccess:
		return "", "", true
	}
	if r.Code == 2 {
		return Permanent, fmt.Sprintf("the operator's account may not do %s on %s (return value 2)", cmd.Method, cmd.Service), false
	}
	return GuestBound, fmt.Sprintf("%s on %s returned %d", cmd.Method, cmd.Service, r.Code), false
}

// serviceOf finds the command's service in a round: SQL Server's own, or one that depends on it.
func serviceOf(c Call, r evidence.Round) (s evidence.Reading[cluster.Service], own bool) {
	s = r.Service
	if c.Service != "" && s.Value.Name != c.Service {
		s = evidence.Reading[cluster.Service]{At: r.Dependents.At, Failure: r.Dependents.Failure}
		for _, d := range r.Dependents.Value {
			if d.Name == c.Service {
				s.Value = d
			}
		}
	}
	return s, s.Value.Name == r.Service.Value.Name
}

// started is the effect of StartService.
func started(c Call, r evidence.Round) Effect {
	s, own := serviceOf(c, r)
	if own && r.Login.Known() && r.Login.Value.Up {
		return Effect{Done: true, Detail: "SQL Server logs in"}
	}
	if !s.Known() || s.Value.Name == "" {
		return Effect{Unreadable: true, Detail: c.Service + " could not be read"}
	}
	switch s.Value.State {
	case cluster.ServiceStopped:
		// Right after StartService the service control manager may not have begun yet.
		if r.Started.Sub(c.Issued) < 2*time.Second {
			return Effect{Detail: c.Service + " is stopped"}
		}
		return Effect{
			Failed: c.Observed, Cause: stoppedCause(s.Value.ExitCode),
			Detail: fmt.Sprintf("%s is stopped (exit code %d, service-specific %d)", c.Service, s.Value.ExitCode, s.Value.SpecificCode),
		}
	case cluster.ServiceRunning:
		if !own {
			return Effect{Done: true, Detail: c.Service + " runs"}
		}
		return Effect{Recovering: true, Detail: "the service runs and the login says " + loginWords(r.Login)}
	case cluster.ServiceStartPending, cluster.ServiceStopPending, cluster.ServiceContinuePending, cluster.ServicePausePending,
		cluster.ServicePaused, cluster.ServiceUnknown:
	}
	return Effect{Recovering: s.Value.State == cluster.ServiceStartPending, Pending: true, Detail: fmt.Sprintf("%s is %q", c.Service, s.Value.State)}
}

// stopped is the effect of StopService.
func stopped(c Call, r evidence.Round) Effect {
	s, _ := serviceOf(c, r)
	switch {
	case !s.Known() || s.Value.Name == "":
		return Effect{Unreadable: true, Detail: c.Service + " could not be read"}
	case s.Value.State == cluster.ServiceStopped:
		return Effect{Done: true, Detail: c.Service + " is stopped"}
	}
	return Effect{Pending: s.Value.State != cluster.ServiceRunning, Detail: fmt.Sprintf("%s is %q", c.Service, s.Value.State)}
}

// stoppedCause judges why a service that was started is stopped again, by its exit code (winerror.h).
func stoppedCause(code uint32) Cause {
	const (
		errorServiceDisabled         = 1058
		errorServiceDependencyFailed = 1068
		errorServiceLogonFailed      = 1069
	)
	switch code {
	case errorServiceDisabled, errorServiceDependencyFailed, errorServiceLogonFailed:
		return Permanent
	}
	return GuestBound
}
