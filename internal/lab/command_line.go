package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// CommandLine is what the command serve was told.
type CommandLine struct {
	profile, era, dir, listen string
	guests                    bool
}

// Flags adds the flags of the command that serves a lab alone.
func Flags(c *kingpin.CmdClause) *CommandLine {
	l := &CommandLine{}
	c.Flag("profile", "Durations of the simulation: quick or paper.").Default("quick").EnumVar(&l.profile, "quick", "paper")
	c.Flag("era", "What a failover cluster does by itself: "+strings.Join(model.EraNames(), " or ")+"; as ever where empty.").Default("").EnumVar(&l.era, append(model.EraNames(), "")...)
	c.Flag("guest-cluster", "Make every SQL Server the clustered resource of two guests.").BoolVar(&l.guests)
	c.Flag("dir", "Folder for certificates; a temporary one where empty.").StringVar(&l.dir)
	c.Flag("listen", "Address of the control.").Default("127.0.0.1:0").StringVar(&l.listen)
	return l
}

// spec is the cluster that is served.
func (l CommandLine) spec() (model.Spec, error) {
	p, err := model.ProfileNamed(l.profile)
	if err != nil {
		return model.Spec{}, err
	}
	spec := model.Default(p)
	if l.era != "" {
		e, err := model.EraNamed(l.era)
		if err != nil {
			return model.Spec{}, err
		}
		spec = spec.In(e)
	}
	if l.guests {
		spec = spec.GuestClustered()
	}
	return spec, nil
}

// Run serves a lab until the context ends, and prints its addresses and accounts as export lines for a shell.
func (l CommandLine) Run(ctx context.Context, out io.Writer, logger log.Logger) (err error) {
	spec, err := l.spec()
	if err != nil {
		return err
	}
	dir := l.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hypervigil-lab-*"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	served, err := Start(Options{Spec: spec, Dir: dir, Logger: logger, Listen: l.listen})
	if err != nil {
		return err
	}
	for _, line := range served.Exports() {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return errors.Join(err, served.Close())
		}
	}
	<-ctx.Done()
	return served.Close()
}

// ListFaults prints each fault, its victim, and what it is.
func ListFaults(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range model.Faults() {
		kind := "fault"
		if f.Condition {
			kind = "condition"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, kind, f.Of, f.About)
	}
	return w.Flush()
}
