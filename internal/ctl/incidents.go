package ctl

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// incident is what is shown of an incident; the receiver's JSON has more, and --json prints all of it.
type incident struct {
	ID          string    `json:"id"`
	Cluster     string    `json:"cluster"`
	VM          string    `json:"vm"`
	Instance    string    `json:"sql_instance"`
	Fault       string    `json:"fault"`
	State       string    `json:"state"`
	HealedBy    string    `json:"healed_by"`
	Summary     string    `json:"summary"`
	ExplainedBy string    `json:"explained_by"`
	Policy      string    `json:"policy"`
	OpenedAt    time.Time `json:"opened_at"`
	ClosedAt    time.Time `json:"closed_at"`
	Plan        []string  `json:"plan"`
	Offer       *struct {
		Plan     string    `json:"plan"`
		Rung     string    `json:"rung"`
		Owner    string    `json:"owner"`
		Wanted   []string  `json:"wanted"`
		Expires  time.Time `json:"expires"`
		Commands []struct {
			Cmdlet string `json:"cmdlet"`
		} `json:"commands"`
	} `json:"offer"`
	Alert struct {
		Name     string    `json:"name"`
		StartsAt time.Time `json:"starts_at"`
		Firing   bool      `json:"firing"`
	} `json:"alert"`
	Verdicts []verdict `json:"verdicts"`
	Actions  []action  `json:"actions"`
	Timeline []struct {
		At     time.Time `json:"at"`
		Event  string    `json:"event"`
		Detail string    `json:"detail"`
	} `json:"timeline"`
}

// verdict is one guard's word.
type verdict struct {
	Guard   string    `json:"guard"`
	Name    string    `json:"name"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail"`
	Until   time.Time `json:"until"`
	Unblock string    `json:"unblock"`
}

// passed is the outcome of a guard that has nothing against the command.
const passed = "pass"

// action is one method call.
type action struct {
	Rung    string `json:"rung"`
	State   string `json:"state"`
	Command struct {
		Method string `json:"method"`
		Cmdlet string `json:"cmdlet"`
	} `json:"command"`
	Issued time.Time `json:"issued_at"`
	Result *struct {
		Sent     bool   `json:"sent"`
		Answered bool   `json:"answered"`
		Code     uint32 `json:"code"`
		Failure  string `json:"failure"`
		Detail   string `json:"detail"`
	} `json:"result"`
	Why string `json:"why"`
}

// subject names what the incident is about.
func (i incident) subject() string {
	s := i.Cluster + "/" + i.VM
	if i.Instance != "" && i.Instance != "-" {
		s += "/" + i.Instance
	}
	return s
}

// outcome is the state, and who healed it.
func (i incident) outcome() string {
	if i.HealedBy != "" {
		return i.State + " by " + i.HealedBy
	}
	return i.State
}

// came says what came of an action.
func (a action) came() string {
	r := a.Result
	switch {
	case r == nil:
		return "no answer yet"
	case !r.Sent:
		return "never sent: " + or(r.Detail, r.Failure)
	case r.Answered:
		return fmt.Sprintf("answered %d", r.Code)
	}
	return "no answer came back: " + or(r.Detail, r.Failure)
}

func writeIncidents(w io.Writer, all []incident) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "there is no incident")
		return err
	}
	rows := [][]string{{"INCIDENT", "OPENED", "WHAT", "FAULT", "STATE", "SUMMARY"}}
	for _, i := range all {
		rows = append(rows, []string{i.ID, moment(i.OpenedAt), i.subject(), i.Fault, i.outcome(), i.Summary})
	}
	return table(w, rows)
}

// head writes what an incident is, in plain words first.
func (p *printer) head(i incident) {
	p.line("%s", i.Summary)
	p.line("")
	rows := [][]string{
		{"incident", i.ID},
		{"about", i.subject() + ", fault " + i.Fault},
		{"state", i.outcome()},
		{"opened", moment(i.OpenedAt)},
	}
	if !i.ClosedAt.IsZero() {
		rows = append(rows, []string{"closed", moment(i.ClosedAt) + ", after " + i.ClosedAt.Sub(i.OpenedAt).Round(time.Second).String()})
	}
	firing := "resolved"
	if i.Alert.Firing {
		firing = "firing"
	}
	rows = append(rows, []string{"alert", i.Alert.Name + " since " + moment(i.Alert.StartsAt) + ", " + firing}, []string{"policy", i.Policy})
	if i.ExplainedBy != "" {
		rows = append(rows, []string{"explained by", i.ExplainedBy})
	}
	p.table(rows)
}

// offer writes the plan that waits for an approval, and how to give it.
func (p *printer) offer(i incident) {
	o := i.Offer
	if o == nil {
		return
	}
	p.line("\nTo be approved until %s: %s on owner %s, left to a person by %s", moment(o.Expires), o.Rung, o.Owner, strings.Join(o.Wanted, ", "))
	for _, c := range o.Commands {
		p.line("  %s", c.Cmdlet)
	}
	p.line("  approve it with: %s approve %s --plan %s --token-file FILE", program, i.ID, o.Plan)
}

// writeIncident writes one incident: what it is, what was sent, what happened.
func writeIncident(w io.Writer, i incident) error {
	p := &printer{w: w}
	p.head(i)
	p.offer(i)
	p.actions(i)
	if len(i.Timeline) > 0 {
		p.line("\nTimeline")
		rows := make([][]string, 0, len(i.Timeline))
		for _, e := range i.Timeline {
			rows = append(rows, []string{"  " + moment(e.At), e.Event, e.Detail})
		}
		p.table(rows)
	}
	return p.err
}

func (p *printer) actions(i incident) {
	if len(i.Actions) == 0 {
		p.line("\nNo command was sent.")
		return
	}
	p.line("\nCommands")
	for _, a := range i.Actions {
		p.line("  %s  %s  %s, %s", moment(a.Issued), a.Command.Method, a.State, a.came())
		if a.Command.Cmdlet != "" {
			p.line("    as an operator would type it: %s", a.Command.Cmdlet)
		}
		if a.Why != "" {
			p.line("    %s", a.Why)
		}
	}
}

// writeExplanation writes why: the first guard that did not pass names the reason, the others follow.
func writeExplanation(w io.Writer, i incident) error {
	p := &printer{w: w}
	p.head(i)
	var against, inFavour []verdict
	for _, v := range i.Verdicts {
		if v.Outcome == passed {
			inFavour = append(inFavour, v)
		} else {
			against = append(against, v)
		}
	}
	switch {
	case len(i.Verdicts) == 0:
		p.line("\nNo guard was asked yet.")
	case len(against) == 0:
		p.line("\nEvery guard passed.")
	default:
		p.line("\nWhat stands against a command; the first names the reason")
	}
	for _, v := range against {
		p.line("  %s %s: %s%s", v.Guard, v.Name, v.Outcome, in(v.Reason))
		p.line("    %s", v.Detail)
		if !v.Until.IsZero() {
			p.line("    asked again at %s", moment(v.Until))
		}
		if v.Unblock != "" {
			p.line("    to unblock: %s", v.Unblock)
		}
	}
	if len(inFavour) > 0 {
		p.line("\nGuards that passed")
		rows := make([][]string, 0, len(inFavour))
		for _, v := range inFavour {
			rows = append(rows, []string{"  " + v.Guard, v.Name, v.Detail})
		}
		p.table(rows)
	}
	p.offer(i)
	if len(i.Plan) > 0 && i.Offer == nil {
		p.line("\nWhat would be done\n  %s", strings.Join(i.Plan, "\n  "))
	}
	p.actions(i)
	return p.err
}

// in puts a reason into brackets.
func in(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
