package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// rescue is what the receiver's last rehearsal of one virtual machine found out.
type rescue struct {
	Cluster string    `json:"cluster"`
	VM      string    `json:"vm"`
	At      time.Time `json:"at"`
	Rungs   []struct {
		Fault     string        `json:"fault"`
		Instance  string        `json:"sql_instance"`
		Rung      string        `json:"rung"`
		Mode      string        `json:"mode"`
		Ready     bool          `json:"ready"`
		Verdicts  []verdict     `json:"verdicts"`
		Predicted time.Duration `json:"predicted_ns"`
		Bound     bool          `json:"bound"`
	} `json:"rungs"`

	raw json.RawMessage
}

// explain writes about a virtual machine, by CLUSTER/VM or a name that only one has, or else about an incident.
func (a *api) explain(ctx context.Context, w io.Writer, which string, asJSON bool) error {
	var answer struct {
		Rescues []json.RawMessage `json:"rescues"`
	}
	if _, err := a.get(ctx, &answer, "rescues"); err != nil {
		return err
	}
	var found []rescue
	for _, raw := range answer.Rescues {
		r := rescue{raw: raw}
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("read the receiver's answer: %w", err)
		}
		if which == r.VM || which == r.Cluster+"/"+r.VM {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return a.show(ctx, w, which, asJSON, writeExplanation)
	case len(found) > 1:
		return fmt.Errorf("%d virtual machines are called %s; say %s/%s or %s/%s", len(found), which,
			found[0].Cluster, found[0].VM, found[1].Cluster, found[1].VM)
	case asJSON:
		_, err := fmt.Fprintf(w, "%s\n", found[0].raw)
		return err
	}
	return writeRescue(w, found[0])
}

func writeRescue(w io.Writer, r rescue) error {
	p := &printer{w: w}
	if r.At.IsZero() {
		p.line("%s/%s: not rehearsed yet; the first round begins after the hold-off", r.Cluster, r.VM)
		return p.err
	}
	p.line("%s/%s: could it be rescued? Rehearsed at %s", r.Cluster, r.VM, moment(r.At))
	for _, rung := range r.Rungs {
		subject := rung.Fault
		if rung.Instance != "-" {
			subject += " of " + rung.Instance
		}
		verdict := "ready"
		if !rung.Ready {
			verdict = "NOT READY"
		}
		p.line("\n%s, %s: %s, mode %s%s", subject, rung.Rung, verdict, rung.Mode, takes(rung.Predicted, rung.Bound))
		for _, v := range rung.Verdicts {
			if v.Outcome == passed {
				continue
			}
			p.line("  %s %s: %s%s", v.Guard, v.Name, v.Outcome, in(v.Reason))
			p.line("    %s", v.Detail)
			if v.Unblock != "" {
				p.line("    to unblock: %s", v.Unblock)
			}
		}
	}
	if len(r.Rungs) == 0 {
		p.line("\nIts policy's ladders have no rung that this release sends.")
	}
	return p.err
}

// takes says how long a rescue would take.
func takes(d time.Duration, bound bool) string {
	switch {
	case d == 0:
		return ""
	case bound:
		return ", at most " + d.Round(time.Second).String() + " from the alert"
	}
	return ", about " + d.Round(time.Second).String() + " from the alert"
}
