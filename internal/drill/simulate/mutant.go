package simulate

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// Mutant is what came of one guard that says yes to everything.
type Mutant struct {
	Guard, Name string
	// Schedules is how many it took until the first failed; Caught tells which invariant that broke.
	Schedules int
	Caught    Failure
	OK        bool   // it was caught
	Exempt    string // why it cannot be, at the level of schedules
}

// revalidation is the guard that is not in guard.All, because it is asked right before each command.
const revalidation = "G9"

// stateMachine are the guards that are no predicates but parts of receiver/incident: made to say yes, a command whose answer
// was lost is sent again, SQL Server counts as well whatever a round shows, and what a crash left issued is sent again.
func stateMachine() []Mutant {
	return []Mutant{{Guard: "G25", Name: "unknown outcome"}, {Guard: "G26", Name: "verification"}, {Guard: "G27", Name: "crash recovery"}}
}

// rows are the guards that ask something else of one class, with that class: the mutant of all classes together is caught by
// the most frequent one.
func rows() []string {
	return []string{
		"G8/" + string(evidence.Hang), "G8/" + string(evidence.Guest), "G8/" + string(evidence.Internal), "G8/" + string(evidence.Resource),
		"G11/" + string(evidence.Resource), "G20/" + string(evidence.Resource),
	}
}

// exemptions say why a mutant cannot be caught. An argument that holds for every schedule is needed; that none was
// found is not one.
func exemptions() map[string]string {
	return map[string]string{}
}

// Mutate makes each guard say yes, one after the other, or only the one named, and plays at most o.Schedules with each.
// It returns an error where one that is not exempt is not caught.
func Mutate(o Options, only string) ([]Mutant, error) {
	list := []Mutant{}
	for _, g := range guard.All() {
		list = append(list, Mutant{Guard: g.ID, Name: g.Name})
	}
	list = append(list, Mutant{Guard: revalidation, Name: "re-validation"})
	list = append(list, stateMachine()...)
	for _, of := range rows() {
		list = append(list, Mutant{Guard: of, Name: "of one class"})
	}
	if only != "" && only != allMutants {
		found := false
		for _, m := range list {
			if m.Guard == only {
				list, found = []Mutant{m}, true
			}
		}
		if !found {
			return nil, fmt.Errorf("simulate: guard %q has no mutant", only)
		}
	}
	o.Stop = true
	var missed []error
	for n := range list {
		m := &list[n]
		if err := setMutant(m.Guard); err != nil {
			return nil, err
		}
		r, err := Run(o)
		if err != nil {
			return nil, err
		}
		m.Schedules, m.Exempt = r.Schedules, exemptions()[m.Guard]
		if len(r.Failures) > 0 {
			m.Caught, m.OK = r.Failures[0], true
			m.Schedules = m.Caught.Number + 1
			if m.Exempt != "" {
				missed = append(missed, fmt.Errorf("the mutant of %s is caught: its exemption no longer holds", m.Guard))
			}
		} else if m.Exempt == "" {
			missed = append(missed, fmt.Errorf("the mutant of %s lived through %d schedules", m.Guard, r.Schedules))
		}
	}
	return list, errors.Join(append(missed, setMutant(""))...)
}

// WriteMutants prints the table.
func WriteMutants(out io.Writer, list []Mutant) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "guard\t\tschedules\tseed\twhat it broke")
	for _, m := range list {
		switch {
		case m.OK:
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", m.Guard, m.Name, m.Schedules, m.Caught.Seed, m.Caught.Invariant)
		case m.Exempt != "":
			fmt.Fprintf(t, "%s\t%s\t%d\t\tlives, and must: %s\n", m.Guard, m.Name, m.Schedules, m.Exempt)
		default:
			fmt.Fprintf(t, "%s\t%s\t%d\t\tLIVES\n", m.Guard, m.Name, m.Schedules)
		}
	}
	_ = t.Flush() // to a terminal or a buffer
}
