package ctl

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// evidence writes what was kept of an incident.
func (a *api) evidence(ctx context.Context, w io.Writer, id string, asJSON bool) error {
	var answer struct {
		Evidence []evidence.Bundle `json:"evidence"`
	}
	raw, err := a.get(ctx, &answer, "incidents", id, "evidence")
	if err != nil {
		return err
	}
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	if len(answer.Evidence) == 0 {
		_, err := fmt.Fprintln(w, "nothing was kept: no rung of it has ended a SQL Server or a guest, or it could not be read in time; the timeline says which")
		return err
	}
	p := &printer{w: w}
	for _, b := range answer.Evidence {
		p.bundle(b)
	}
	return p.err
}

func (p *printer) bundle(b evidence.Bundle) {
	p.line("%s, before %s (action %d): read at %s in %s", b.VM, b.Rung, b.Number, moment(b.Started), b.Finished.Sub(b.Started).Round(time.Millisecond))
	if missing := b.Missing(); len(missing) > 0 {
		p.line("  not to be had: %s", strings.Join(missing, ", "))
	}
	if len(b.Cut) > 0 {
		p.line("  shortened: %s", strings.Join(b.Cut, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Instances)) {
		p.standing(name, b.Instances[name])
	}
	if h := b.Host; h.Known() {
		p.line("\nHost\n  the virtual machine's state is %d, its heartbeat %d", h.Value.State, h.Value.Heartbeat)
	}
	if b.Disks.Known() {
		rows := [][]string{{"  DISK", "QUEUE", "ERRORS"}}
		for _, d := range b.Disks.Value {
			rows = append(rows, []string{"  " + d.Name, fmt.Sprint(d.Queue), fmt.Sprint(d.Errors)})
		}
		p.line("\nVirtual disks of the host, the busiest first")
		p.table(rows)
	}
	p.events("Events of the services", b.GuestEvents)
	p.events("Events of SQL Server", b.ServerEvents)
	p.events("Events of the failover cluster on the owner", b.ClusterEvents)
}

// states are sp_server_diagnostics' words for its numbers.
func states(n int64) string {
	words := []string{"unknown", "clean", "warning", "error"}
	if n < 0 || n >= int64(len(words)) {
		return fmt.Sprint(n)
	}
	return words[n]
}

func (p *printer) standing(name string, s evidence.Standing) {
	p.line("\nInstance %s", name)
	if s.Diagnostics.Known() {
		p.line("  sp_server_diagnostics, as it said last at %s", moment(s.Diagnostics.At))
		for _, c := range s.Diagnostics.Value {
			p.line("    %s: %s", c.Name, states(c.State))
		}
	}
	if s.Work.Known() {
		w := s.Work.Value
		p.line("  open: oldest writing transaction %s, %d roll back since %s, backup %t, restore %t", w.Oldest, w.Rollbacks, w.RollingBack, w.Backup, w.Restore)
	}
	if s.Sessions.Known() {
		v := s.Sessions.Value
		p.line("  sessions: %d blocked, longest %s; %d transactions, oldest %s", v.Blocked, v.LongestBlocked, v.Transactions, v.OldestTransaction)
	}
	if s.Waits.Known() {
		rows := [][]string{{"  WAIT", "TASKS", "TIME"}}
		for _, w := range s.Waits.Value {
			rows = append(rows, []string{"  " + w.Type, fmt.Sprint(w.Tasks), w.Time.String()})
		}
		p.table(rows)
	}
}

func (p *printer) events(title string, r evidence.Reading[[]cluster.Event]) {
	if len(r.Value) == 0 {
		return
	}
	p.line("\n%s", title)
	rows := make([][]string, 0, len(r.Value))
	for _, e := range r.Value {
		rows = append(rows, []string{"  " + moment(e.At), e.Source, fmt.Sprint(e.ID), strings.Join(e.Strings, " | ")})
	}
	p.table(rows)
}
