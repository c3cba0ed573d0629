package guard

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The exit codes of Win32_Service that tell how a service ended (winerror.h).
const (
	exitOK             = 0
	exitProcessAborted = 1067 // ERROR_PROCESS_ABORTED: the process died under the service
	exitNeverStarted   = 1077 // ERROR_SERVICE_NEVER_STARTED since the last boot
)

// The System log's events of the service control manager (learn.microsoft.com, "Service Control Manager Events").
const (
	eventTerminatedRecovering = 7031 // terminated unexpectedly; a recovery action follows
	eventTerminated           = 7034 // terminated unexpectedly
)

// deliberate is G31: somebody who stopped SQL Server meant it. Only a service that ended by anything but a clean
// stop, and that is set to start by itself, is taken up; not knowing counts as deliberate.
func deliberate(in Input) Verdict {
	if f := in.Subject.Fault; f != evidence.Service && f != evidence.Hang && f != evidence.Internal {
		return pass("does not apply to fault class %s", in.Subject.Fault)
	}
	round, ok := in.last()
	if !ok || !round.Service.Known() {
		return hold("unreadable", in.soon(), "the guest does not tell the state of %s; not knowing counts as deliberate", in.Service)
	}
	s := round.Service.Value
	if s.StartMode != "Auto" {
		return refuse("start_mode", "%s has start mode %q: somebody does not want it to start by itself", s.Name, s.StartMode).
			unblocked("Set-Service -Name '%s' -StartupType Automatic", s.Name)
	}
	switch s.State {
	case cluster.ServicePaused, cluster.ServicePausePending:
		return refuse("paused", "%s is paused, which only a person does", s.Name).unblocked("Resume-Service -Name '%s'", s.Name)
	case cluster.ServiceStopPending, cluster.ServiceStartPending, cluster.ServiceContinuePending, cluster.ServiceUnknown:
		return hold("pending", in.soon(), "%s is %q: somebody or something is at it", s.Name, s.State)
	case cluster.ServiceRunning:
		if in.Subject.Fault == evidence.Service && round.Process.Known() && round.Process.Value.ID == 0 {
			return hold("pending", in.soon(), "the process is gone and the service control manager has not said how it ended")
		}
		return pass("%s runs; nobody stopped it", s.Name)
	case cluster.ServiceStopped:
	}
	switch s.ExitCode {
	case exitProcessAborted:
		return pass("%s ended with exit code %d: its process died", s.Name, s.ExitCode)
	case exitNeverStarted:
		return in.stopped("never_started", "was not started since the guest booted")
	case exitOK:
	default:
		return pass("%s ended with exit code %d (service-specific %d): not a clean stop", s.Name, s.ExitCode, s.SpecificCode)
	}
	if !round.Events.Known() {
		return in.stopped("unknown", "ended with exit code 0 and the guest's event log could not be read, which counts as deliberate")
	}
	if slices.ContainsFunc(round.Events.Value, func(e cluster.Event) bool { return e.At.IsZero() }) {
		return in.stopped("unknown", "ended with exit code 0, and which event of the guest's log is the newest is not known, which counts as deliberate")
	}
	// Only the newest event counts: after an unexpected end that was followed by anything else (7036, a start or a
	// stop), today's exit code 0 is another story than yesterday's crash.
	if e, ok := newestEvent(round.Events.Value); ok && (e.ID == eventTerminated || e.ID == eventTerminatedRecovering) {
		return pass("%s terminated unexpectedly at %s (event %d)", s.Name, e.At.Format(time.RFC3339), e.ID)
	}
	return in.stopped("clean_stop", "was stopped cleanly: exit code 0, and no event 7031 or 7034 is its newest")
}

// StoppedCleanly reports whether a service is stopped and its exit code is one of those that a person leaves.
func StoppedCleanly(s cluster.Service) bool {
	return s.State == cluster.ServiceStopped && (s.ExitCode == exitOK || s.ExitCode == exitNeverStarted)
}

func newestEvent(events []cluster.Event) (cluster.Event, bool) {
	var newest cluster.Event
	for _, e := range events {
		if !e.At.Before(newest.At) {
			newest = e
		}
	}
	return newest, len(events) > 0
}

// stopped refuses a deliberate stop, unless the policy heals one after a time.
func (in Input) stopped(reason, how string) Verdict {
	heal := in.Policy.CleanStop.HealAfter
	if heal > 0 {
		since := in.StoppedSince // of this stop, and not of an earlier trouble
		if since.IsZero() {
			since = in.Now
		}
		if in.Now.Sub(since) < heal {
			return hold(reason, since.Add(heal), "%s %s; the policy heals a clean stop after %s", in.Service, how, heal)
		}
		return pass("%s %s; the policy heals a clean stop after %s", in.Service, how, heal)
	}
	return refuse(reason, "%s %s: somebody meant it", in.Service, how).
		unblocked("start it when you are done (Start-Service -Name '%s'), or set clean_stop: {heal_after: …} in the policy", in.Service)
}

func itoa(n int) string { return strconv.Itoa(n) }

func list(names []string) string { return strings.Join(names, ", ") }

// Deliberate reports whether the verdict is G31's word that somebody stopped the service on purpose, whether the
// policy heals that or not.
func (v Verdict) Deliberate() bool {
	if v.Guard != "G31" || v.Outcome == Pass {
		return false
	}
	switch v.Reason {
	case "clean_stop", "never_started", "start_mode", "paused":
		return true
	}
	return false
}
