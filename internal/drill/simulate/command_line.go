package simulate

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// allMutants is the value of --mutant that means every guard's.
const allMutants = "all"

// CommandLine is the simulation as a command.
type CommandLine struct {
	options Options
	mutant  string
}

// Flags adds the command's flags.
func Flags(c *kingpin.CmdClause) *CommandLine {
	l := &CommandLine{}
	c.Flag("schedules", "How many random schedules are played; with --mutant, at most for each.").Default("100000").IntVar(&l.options.Schedules)
	c.Flag("seed", "The first schedule's seed; 0: a fresh one.").Default("0").Uint64Var(&l.options.Seed)
	c.Flag("mutant", "Make this guard say yes (G5 ...), or all of them one after the other (all): the simulation must fail.").StringVar(&l.mutant)
	return l
}

// garbage lets the garbage collector run seldom: a schedule keeps little, and makes much.
const garbage = 3000 // percent

// Run plays and prints. It returns an error where an invariant broke, or where a mutant was not caught.
func (l *CommandLine) Run(out io.Writer) error {
	debug.SetGCPercent(garbage)
	o := l.options
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	began := time.Now()
	if l.mutant != "" {
		fmt.Fprintf(out, "seed %d, at most %d schedules for each mutant\n", o.Seed, o.Schedules)
		list, err := Mutate(o, l.mutant)
		WriteMutants(out, list)
		fmt.Fprintf(out, "%.1f s\n", time.Since(began).Seconds())
		return err
	}
	fmt.Fprintf(out, "seed %d\n", o.Seed)
	r, err := Run(o)
	if err != nil {
		return err
	}
	r.Write(out)
	fmt.Fprintf(out, "%.1f s\n", time.Since(began).Seconds())
	return explainAll(out, r.Failures)
}

// explainAll prints the first failure of each invariant, shrunk, with its history.
func explainAll(out io.Writer, failures []Failure) error {
	if len(failures) == 0 {
		return nil
	}
	told := map[Invariant]bool{}
	for _, f := range failures {
		if told[f.Invariant] {
			continue
		}
		told[f.Invariant] = true
		x, ok, err := Explain(f.Seed)
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("schedule of seed %d failed in the run and does not alone: it is not a function of its seed", f.Seed)
		}
		x.Write(out)
	}
	return errors.New("the simulation found schedules that break what must always hold")
}
