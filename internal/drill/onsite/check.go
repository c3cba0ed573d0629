package onsite

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// Check is one thing that must be so before anybody makes a fault.
type Check struct {
	Name    string
	OK      bool
	Detail  string
	Unblock string // what to do, where it is not OK
}

// facts are what the checks are made of.
type facts struct {
	subject      evidence.Subject // whose fault it will be
	neverTouch   bool
	notReady     error
	rescues      []drill.Rescue
	rescuesErr   error
	incidents    []incident.Incident
	incidentsErr error
	pauses       []drill.Pause
	pausesErr    error
	probes       []drill.Series
	probesErr    error
}

// The age of what still counts: a rehearsal comes every minute, a probe every 5 s or more often.
const (
	rehearsedWithin = 5 * time.Minute
	probedWithin    = time.Minute
	probesBack      = 2 * time.Minute
)

// check makes every check; what could not be read does not pass.
func check(f facts, now time.Time) []Check {
	list := []Check{{Name: "inventory", OK: true, Detail: f.subject.VM.String() + " and its instance are in hypervigil.yml"}}
	list = append(list, f.allowed(), f.ready(), f.rescue(now))
	return append(list, f.quiet(), f.unpaused(), f.watched(now))
}

func (f facts) allowed() Check {
	if f.neverTouch {
		return Check{Name: "allowed", Detail: "it is listed in receiver.never_touch: nothing would act on it", Unblock: "choose another virtual machine"}
	}
	return Check{Name: "allowed", OK: true, Detail: "it is not listed in receiver.never_touch"}
}

func (f facts) ready() Check {
	if f.notReady != nil {
		return Check{Name: "receiver", Detail: strings.Join(strings.Fields(f.notReady.Error()), " "), Unblock: "start it, and wait until /-/ready says ready"}
	}
	return Check{Name: "receiver", OK: true, Detail: "reachable and ready"}
}

// rescue looks for a rung of the fault's class that could be begun now, and says how far each may go.
func (f facts) rescue(now time.Time) Check {
	c := Check{Name: "rescue", Unblock: "hypervigilctl explain " + f.subject.VM.String()}
	if f.rescuesErr != nil {
		c.Detail = f.rescuesErr.Error()
		return c
	}
	for _, r := range f.rescues {
		if r.VM != f.subject.VM {
			continue
		}
		if age := now.Sub(r.At); r.At.IsZero() || age > rehearsedWithin {
			c.Detail = fmt.Sprintf("it was not rehearsed within %s", rehearsedWithin)
			return c
		}
		var words []string
		for _, rung := range r.Rungs {
			if rung.Fault != f.subject.Fault || rung.Instance != evidence.NoInstance && rung.Instance != f.subject.Instance {
				continue
			}
			word := fmt.Sprintf("%s: mode %s", rung.Rung, rung.Mode)
			if rung.Ready {
				c.OK = true
			} else {
				word += fmt.Sprintf(", not ready (%s %s: %s)", rung.Decisive.Guard, rung.Decisive.Name, rung.Decisive.Detail)
			}
			words = append(words, word)
		}
		if c.Detail = "the ladder of class " + string(f.subject.Fault) + ": " + strings.Join(words, "; "); len(words) == 0 {
			c.Detail = "its policy's ladder has no rung for the class " + string(f.subject.Fault)
		}
		return c
	}
	c.Detail = "the receiver does not know it"
	return c
}

func (f facts) quiet() Check {
	c := Check{Name: "nothing open"}
	if f.incidentsErr != nil {
		c.Detail = f.incidentsErr.Error()
		return c
	}
	for _, i := range f.incidents {
		if i.VM == f.subject.VM && i.ClosedAt.IsZero() {
			c.Detail, c.Unblock = fmt.Sprintf("incident %s is %s: %s", i.ID, i.Phase, i.Summary), "hypervigilctl explain "+i.ID
			return c
		}
	}
	c.OK, c.Detail = true, "no incident of it is open"
	return c
}

func (f facts) unpaused() Check {
	c := Check{Name: "no pause"}
	if f.pausesErr != nil {
		c.Detail = f.pausesErr.Error()
		return c
	}
	for _, p := range f.pauses {
		if (p.Cluster == "" || p.Cluster == f.subject.VM.Cluster) && (p.VM == "" || p.VM == f.subject.VM.Name) {
			c.Detail, c.Unblock = fmt.Sprintf("%s paused it: %s", p.Owner, p.Reason), "hypervigilctl resume "+p.ID
			return c
		}
	}
	c.OK, c.Detail = true, "nothing of it is paused"
	return c
}

// watched is whether Prometheus sees the instance, and sees it well.
func (f facts) watched(now time.Time) Check {
	c := Check{Name: "watched", Unblock: "look at Prometheus' targets"}
	if f.probesErr != nil {
		c.Detail = f.probesErr.Error()
		return c
	}
	var newest drill.Sample
	for _, s := range f.probes {
		if n := len(s.Samples); n > 0 && s.Samples[n-1].At.After(newest.At) {
			newest = s.Samples[n-1]
		}
	}
	switch {
	case newest.At.IsZero() || now.Sub(newest.At) > probedWithin:
		c.Detail = fmt.Sprintf("Prometheus has no probe of the instance within %s", probedWithin)
	case newest.Value != 1:
		c.Detail = "the newest probe of the instance failed: it is not well now"
	default:
		c.OK, c.Detail = true, "Prometheus' newest probe of the instance succeeded"
	}
	return c
}
