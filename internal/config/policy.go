package config

import (
	"fmt"
	"slices"
	"time"
)

// FaultClasses lists the fault classes, the leading one first.
func FaultClasses() []string {
	return []string{"host", "storage", "network", "guest", "resource", "hang", "internal", "service", "database"}
}

// ModeOf returns how far the rung may go under this policy: what Rungs says about it, else Mode. One that must be
// named is never more than proposed until Rungs names it (guard G23).
func (p *Policy) ModeOf(rung string) Mode {
	if m, ok := p.Rungs[rung]; ok {
		return m
	}
	if r, ok := RungNamed(rung); ok && r.Named && p.Mode == Act {
		return Propose
	}
	return p.Mode
}

// Ladder lists the rungs for a fault class, the first one first. The class internal has none until InternalLevel opts in.
func (p *Policy) Ladder(fault string) []string {
	if fault == "internal" && p.InternalLevel == 0 {
		return nil
	}
	return p.Ladders[fault]
}

// internalLevels are what InternalLevel may be: the levels of FailureConditionLevel that a component's error violates
// (learn.microsoft.com, "Failover policy for failover cluster instances"). The first two are the classes service and hang.
func internalLevels() []int { return []int{0, 3, 4, 5} }

// leastHealthCheckTimeout is the least that SQL Server's own HealthCheckTimeout accepts
// (learn.microsoft.com, "Configure HealthCheckTimeout Property Settings").
const leastHealthCheckTimeout = 15 * time.Second

// WeakerThanDefault lists the policy's limits that allow more, or wait for less, than the defaults, each as
// "limits.cool_down 1m0s is less than 30m0s". A policy with such limits may act only on a cluster that identifies
// itself as the lab; for any other it runs as observe. A shorter health_check_timeout is weaker only below 15 s, and
// max_undo and max_age are weaker when they are longer.
func (p *Policy) WeakerThanDefault() []string {
	var w weaker
	d := DefaultLimits()
	w.less("limits.cool_down", p.Limits.CoolDown, d.CoolDown)
	w.less("limits.settle", p.Limits.Settle, d.Settle)
	w.less("limits.hold", p.Limits.Hold, d.Hold)
	w.more("limits.service_restarts_per_hour", p.Limits.ServiceRestartsPerHour, d.ServiceRestartsPerHour)
	w.more("limits.vm_restarts_per_6h", p.Limits.VMRestartsPer6h, d.VMRestartsPer6h)
	w.more("limits.moves_per_6h", p.Limits.MovesPer6h, d.MovesPer6h)
	w.more("limits.actions_per_24h", p.Limits.ActionsPer24h, d.ActionsPer24h)
	w.longer("limits.max_undo", p.Limits.MaxUndo, d.MaxUndo)
	w.longer("limits.max_age", p.Limits.MaxAge, d.MaxAge)
	w.less("health_check_timeout", p.HealthCheckTimeout, leastHealthCheckTimeout)
	return w
}

// WeakerThanDefault lists the receiver's own limits that are weaker than the defaults, as Policy.WeakerThanDefault
// does; they hold for every policy.
func (r *Receiver) WeakerThanDefault() []string {
	var w weaker
	w.less("hold_off", r.HoldOff, DefaultHoldOff)
	return w
}

// Weaker lists the limits under which a policy decides that are weaker than their defaults: its own and the receiver's.
func (c *Config) Weaker(p *Policy) []string {
	return slices.Concat(p.WeakerThanDefault(), c.Receiver.WeakerThanDefault())
}

type weaker []string

func (w *weaker) less(name string, got, want time.Duration) {
	if got < want {
		*w = append(*w, fmt.Sprintf("%s %s is less than %s", name, got, want))
	}
}

func (w *weaker) longer(name string, got, want time.Duration) {
	if got > want {
		*w = append(*w, fmt.Sprintf("%s %s is more than %s", name, got, want))
	}
}

func (w *weaker) more(name string, got, want int) {
	if got > want {
		*w = append(*w, fmt.Sprintf("%s %d is more than %d", name, got, want))
	}
}

func (v *validator) policies() {
	for name, p := range byName(v.config.Receiver.Policies) {
		path := "receiver.policies." + name
		v.name(path, name)
		enum(v, path+".mode", p.Mode, Modes())
		for rung, mode := range byName(p.Rungs) {
			at := path + ".rungs." + rung
			if !slices.Contains(Rungs(), rung) {
				v.check(at, "%s is not a rung; use %s", quote(rung), oneOf(Rungs()))
				continue
			}
			enum(v, at, mode, Modes())
		}
		for fault, ladder := range byName(p.Ladders) {
			v.ladder(path+".ladders."+fault, fault, ladder)
		}
		v.notNegative(path+".clean_stop.heal_after", p.CleanStop.HealAfter)
		v.positive(path+".health_check_timeout", p.HealthCheckTimeout)
		if !slices.Contains(internalLevels(), p.InternalLevel) {
			v.check(path+".internal_level", "%d is no level; use 3 (system), 4 (and resource), 5 (and query_processing), or 0 for none", p.InternalLevel)
		}
		l := p.Limits
		v.notNegative(path+".limits.cool_down", l.CoolDown)
		v.notNegative(path+".limits.settle", l.Settle)
		v.notNegative(path+".limits.hold", l.Hold)
		v.count(path+".limits.service_restarts_per_hour", l.ServiceRestartsPerHour)
		v.count(path+".limits.vm_restarts_per_6h", l.VMRestartsPer6h)
		v.count(path+".limits.moves_per_6h", l.MovesPer6h)
		v.count(path+".limits.actions_per_24h", l.ActionsPer24h)
		v.notNegative(path+".limits.max_undo", l.MaxUndo)
		v.positive(path+".limits.max_age", l.MaxAge)
	}
}

func (v *validator) ladder(path, fault string, ladder []string) {
	if !slices.Contains(FaultClasses(), fault) {
		v.check(path, "%s is not a fault class; use %s", quote(fault), oneOf(FaultClasses()))
		return
	}
	allowed := rungsFor(fault)
	for i, rung := range ladder {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !slices.Contains(Rungs(), rung):
			v.check(at, "%s is not a rung; use %s", quote(rung), oneOf(Rungs()))
		case len(allowed) == 0:
			v.check(at, "%s is not allowed; for the fault class %s this release only tells, so its ladder stays empty", quote(rung), fault)
		case !slices.Contains(allowed, rung):
			r, _ := RungNamed(rung)
			v.check(at, "%s is not allowed for the fault class %s: %s; use %s", quote(rung), fault, r.unfit(fault), oneOf(allowed))
		case i == 0 && afterAnother(rung, fault):
			v.check(at, "%s may not come first for the fault class %s: that the node is sick, and not the guest, shows only when a rung before it has failed",
				quote(rung), fault)
		case slices.Contains(ladder[:i], rung):
			v.check(at, "%s stands in the ladder twice", quote(rung))
		}
	}
}
