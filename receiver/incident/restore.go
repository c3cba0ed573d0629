package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Record is one record of the ledger.
type Record struct {
	Key   string
	Value []byte
}

func pauseKey(p guard.Pause) string { return ledger.Key("pause", p.ID) }

// Restore is the state of a receiver that starts with a ledger. What was issued and not settled is unknown from now
// on and is looked up; what was only planned or claimed in a rung of which nothing was issued never began. Notes
// and Puts among the effects tell and keep what the start changed.
//
// epoch is the fencing token of this life as the ledger's only writer. The records come in the order of their keys.
func Restore(cfg *config.Config, records []Record, epoch uint64, now time.Time) (State, []Effect, error) {
	s := New(cfg, now)
	s.Epoch = epoch
	actions := map[string]Action{}
	for _, r := range records {
		if err := s.restore(r, actions); err != nil {
			return State{}, nil, fmt.Errorf("ledger record %s: %w", r.Key, err)
		}
	}
	for id := range s.VMs.All() {
		s = s.scheduled(id)
	}
	st := &stepper{s: s, now: now, work: map[string]*Incident{}}
	st.note(nil, audit.Entry{Event: "receiver started"})
	for _, i := range st.open(every) {
		st.revive(i, actions)
	}
	st.orphans()
	st.expire()
	st.explain()
	st.store()
	return st.s, st.effects, nil
}

func (s *State) restore(r Record, actions map[string]Action) error {
	kind, _, _ := strings.Cut(r.Key, "/")
	switch kind {
	case "audit":
		return s.restoreAudit(r)
	case "incident":
		var i Incident
		if err := json.Unmarshal(r.Value, &i); err != nil {
			return err
		}
		if err := i.sound(r.Key); err != nil {
			return err
		}
		i.recorded = int64(len(r.Value))
		s.Incidents = s.Incidents.With(i)
	case "action":
		var a Action
		if err := json.Unmarshal(r.Value, &a); err != nil {
			return err
		}
		if err := a.sound(); err != nil {
			return err
		}
		if id, err := names(r.Key, 3); err != nil || id[1] != string(a.Rung) || id[2] != fmt.Sprintf("%03d", a.Number) {
			return fmt.Errorf("it is of action %d of rung %q", a.Number, a.Rung)
		}
		actions[r.Key] = a
	case "vm":
		var vm VM
		if err := json.Unmarshal(r.Value, &vm); err != nil {
			return err
		}
		id, err := names(r.Key, 2)
		if err != nil {
			return err
		}
		of := evidence.VM{Cluster: id[0], Name: id[1]}
		for _, p := range vm.Past {
			if p.VM != of || p.Started.IsZero() {
				return fmt.Errorf("what was begun there is of %s and began at %s", p.VM, p.Started.Format(time.RFC3339))
			}
		}
		s.VMs = s.VMs.With(of, vm)
	case "cluster":
		var c Cluster
		if err := json.Unmarshal(r.Value, &c); err != nil {
			return err
		}
		id, err := names(r.Key, 1)
		if err != nil {
			return err
		}
		s.Clusters[id[0]] = c
	case "pause":
		var p guard.Pause
		if err := json.Unmarshal(r.Value, &p); err != nil {
			return fmt.Errorf("a pause that cannot be read may be one of everything, so that nothing is begun: %w", err)
		}
		if r.Key != pauseKey(p) || p.Owner == "" || p.Expires.IsZero() {
			return fmt.Errorf("a pause without its id, its owner or its end may be one of everything, so that nothing is begun: it says id %q, owner %q, until %s",
				p.ID, p.Owner, p.Expires.Format(time.RFC3339))
		}
		s.Pauses[p.ID] = p
	}
	return nil
}

// sound reports what of a record cannot have been written by Step. A newer receiver's phases are not this one's.
func (i *Incident) sound(key string) error {
	switch {
	case key != ledger.Key("incident", i.ID):
		return fmt.Errorf("it is of incident %q", i.ID)
	case !slices.Contains(Phases(), i.Phase):
		return fmt.Errorf("its state %q is not known", i.Phase)
	case !i.Fault.Known():
		return fmt.Errorf("its fault class %q is not known", i.Fault)
	case i.Rung < 0 || i.Rung > len(i.Ladder):
		return fmt.Errorf("its rung is number %d of %d", i.Rung, len(i.Ladder))
	}
	for _, r := range i.Ladder {
		if _, ok := remedy.SpecOf(r); !ok {
			return fmt.Errorf("its ladder has a rung %q, which is not known", r)
		}
	}
	for n := range i.Actions {
		if err := i.Actions[n].sound(); err != nil {
			return err
		}
	}
	return nil
}

func (a *Action) sound() error {
	switch a.State {
	case Planned, Claimed, Issued, Observed, Verified, Failed, Unknown:
	default:
		return fmt.Errorf("the state %q of its action %d is not known", a.State, a.Number)
	}
	if _, ok := a.Command.Method.Spec(); !ok {
		return fmt.Errorf("the method %q of its action %d is not known", a.Command.Method, a.Number)
	}
	return nil
}

func names(key string, want int) ([]string, error) {
	parts, err := ledger.Names(key)
	if err != nil {
		return nil, err
	}
	if len(parts) != want+1 {
		return nil, fmt.Errorf("the key has %d names, %d were expected", len(parts)-1, want)
	}
	return parts[1:], nil
}

func every(*Incident) bool { return true }

// revive makes an open incident of an earlier life go on.
func (st *stepper) revive(i *Incident, actions map[string]Action) {
	i.Asked, i.Healthy = "", 0
	i.KeepID, i.KeepUntil = 0, time.Time{}
	i.HeldSince, i.HeldBy = time.Time{}, "" // nobody waited while the receiver was away
	i.Next = st.now
	if i.ExplainedBy != "" {
		if _, ok := st.s.Incidents.Get(i.ExplainedBy); !ok {
			i.ExplainedBy = ""
		}
	}
	for n := range i.Actions {
		a := &i.Actions[n]
		// The action's own record is written at every step, in the same commit; it is the truth.
		if stored, ok := actions[actionKey(i, a)]; ok {
			*a = stored
		}
		if a.State == Issued && !st.mutantSends("G27", i, a) {
			a.State, a.Agreed = Unknown, 0
			st.tell(i, "unknown", fmt.Sprintf("the receiver stopped after %s was written down as issued; what became of it is looked up, it is never sent again", a.Command.Method))
			st.emit(Put{Key: actionKey(i, a), Value: *a})
		}
	}
	st.tell(i, "receiver restarted", "")
	if i.Phase != Acting {
		return
	}
	if !i.underway() {
		st.abandon(i, "the receiver was restarted before anything was issued")
	}
}
