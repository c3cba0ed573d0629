package simulate

import (
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// approver is the one person whom the simulated receiver.approvers names.
const approver = "ada"

// How an administrator approves (opApprove).
const (
	approveOnce     = "once"
	approveTwice    = "twice"    // the same request again, sooner or later
	approveLate     = "late"     // an old page, after its time
	approveStale    = "stale"    // a plan that was offered before, or of another incident
	approveStranger = "stranger" // somebody whom nobody named
	approveChanged  = "changed"  // what the plan was made for changes right before
)

// approveFor is how long an offer and an approval hold, written down a second time on purpose.
const approveFor = 10 * time.Minute

// offer is a plan as the ledger showed it to a person.
type offer struct {
	incident string
	plan     string
	owner    string
	rung     remedy.Rung
	commands []remedy.Command
	until    time.Time
}

// approval is a person's word for one offer; used is when a rung began on it.
type approval struct {
	offer
	until time.Time
	used  time.Time
}

// approves lets an administrator approve what is offered, in one of the ways that administrators have.
func (w *world) approves(o Op) {
	id := ""
	for i := range w.state.Incidents.All() {
		if i.Offer != nil && (id == "" || i.VM.Name == o.VM) {
			id = i.ID
		}
	}
	if id == "" {
		return
	}
	i, _ := w.state.Incidents.Get(id)
	plan, by := i.Offer.Plan, approver
	reads := w.between(300*time.Millisecond, 5*time.Second) // the page, before the button
	w.result.events["approve "+o.What]++
	switch o.What {
	case approveLate:
		reads += approveFor
	case approveStranger:
		by = "mallory"
	case approveStale:
		plan = strings.Repeat("0", len(plan))
		for _, old := range w.judge.offers {
			if old.plan != i.Offer.Plan {
				plan = old.plan
			}
		}
	case approveChanged:
		v := w.model.VM(i.VM.Name)
		for _, d := range v.Dependents(instanceService(w.config, i)) {
			w.model.StopService(v, d)
		}
	case approveTwice:
		w.after(reads+w.between(time.Millisecond, 40*time.Second), func() { w.approve(id, plan, by) })
	}
	w.after(reads, func() { w.approve(id, plan, by) })
}

// approve is one request at the console.
func (w *world) approve(id, plan, by string) {
	if !w.alive {
		return // nobody listens
	}
	w.handle(incident.Approved{At: incident.At(w.now), ID: by + w.now.String(), Incident: id, Plan: plan, By: by})
}

// instanceService is the name of the incident's service; empty where it is not about an instance.
func instanceService(c *config.Config, i incident.Incident) string {
	if q := c.SQLServer(i.Cluster, i.VM.Name, i.Instance); q != nil {
		return q.ServiceName()
	}
	return ""
}

// offered takes down what a record offers.
func (j *judge) offered(i incident.Incident) {
	if o := i.Offer; o != nil && (len(j.offers) == 0 || j.offers[len(j.offers)-1].plan != o.Plan || !j.offers[len(j.offers)-1].until.Equal(o.Expires)) {
		j.offers = append(j.offers, offer{i.ID, o.Plan, o.Owner, o.Rung, o.Commands, o.Made.Add(approveFor)})
	}
}

// approved takes down an approval that counts: of what the ledger offers at that moment, in its time, by who may.
func (j *judge) approved(old *incident.State, e incident.Approved, at time.Time) {
	i, _ := old.Incidents.Get(e.Incident)
	if e.By != approver || i.Offer == nil || i.Phase != incident.Proposed {
		return
	}
	for _, o := range slices.Backward(j.offers) {
		if o.incident != e.Incident {
			continue
		}
		if o.plan == e.Plan && at.Before(o.until) {
			j.approvals = append(j.approvals, approval{offer: o, until: at.Add(approveFor)})
		}
		return
	}
}

// covers finds the approval that lets a rung begin: of exactly these commands to this owner, in its time, not used.
func (j *judge) covers(i *incident.Incident, at time.Time) *approval {
	for n := range j.approvals {
		a := &j.approvals[n]
		if a.incident != i.ID || !at.Before(a.until) || !a.used.IsZero() && !a.used.Equal(at) {
			continue
		}
		var commands []remedy.Command
		owner, rung := "", remedy.Rung("")
		for _, action := range i.Actions {
			if !action.Planned.Equal(at) {
				continue
			}
			if len(commands) == 0 {
				owner, rung = action.Owner, action.Rung // what follows a move finds the group elsewhere
			}
			commands = append(commands, action.Command)
		}
		if owner == a.owner && rung == a.rung && slices.EqualFunc(commands, a.commands, sameCommand) {
			return a
		}
	}
	return nil
}

// sameCommand reports whether two commands do the same; a record that was read back has its times in another zone.
func sameCommand(a, b remedy.Command) bool {
	if !a.Created.Equal(b.Created) {
		return false
	}
	a.Created, b.Created = time.Time{}, time.Time{}
	return a == b
}
