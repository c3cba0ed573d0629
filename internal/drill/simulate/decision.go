package simulate

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The numbers of reference and design that the judge computes with. They are written down here a second time on
// purpose: a number that was changed by mistake in a guard must not change its judge.
const (
	mostFuture   = 60 * time.Second
	lookBack     = 60 * time.Second
	movedSettle  = 300 * time.Second
	hostWait     = 300 * time.Second
	hostMargin   = 60 * time.Second
	stormClean   = 5 * time.Minute
	leastHang    = 15 * time.Second
	proofSpan    = time.Second // from question to question
	needSamples  = 3
	per10Minutes = 2
	perHour      = 4
	mostSilence  = 180 * time.Second
	freshRead    = 500 * time.Millisecond
	networkFor   = 30 * time.Second
	evidenceWait = 5 * time.Second
)

func (j *judge) policy(vm string) *config.Policy {
	c := j.w.config
	return c.Policy(c.Clusters[0].VirtualMachine(vm))
}

// decided judges a decision to begin a rung, whether the mode lets it or not.
// What a person has approved may be late or past a budget.
func (j *judge) decided(i *incident.Incident, s *snapshot, rung remedy.Rung, by *approval) {
	w := j.w
	w.result.reached[string(rung)+", decided"] = true
	w.result.reached["class "+string(i.Fault)+", decided"] = true
	p := j.policy(i.VM.Name)
	began := i.Alert.StartsAt
	if by == nil && (i.OpenedAt.Sub(began) > p.Limits.MaxAge || began.Sub(w.now) > mostFuture) {
		w.breaks(ageLimit, "%s: the alert began %s before the incident", i.ID, i.OpenedAt.Sub(began))
	}
	if w.now.Before(j.started.Add(w.config.Receiver.HoldOff)) || j.samples < needSamples {
		w.breaks(holdOff, "%s: %s after the start, %d samples", i.ID, w.now.Sub(j.started), j.samples)
	}
	if w.config.NeverTouch(i.Cluster, i.VM.Name) {
		w.breaks(neverTouched, "%s", i.ID)
	}
	if !s.alertKnown || !s.alertActive {
		w.breaks(stillActive, "%s: known %t, active %t", i.ID, s.alertKnown, s.alertActive)
	}
	if s.guestKnown && !s.bound {
		w.breaks(rightMachine, "%s: its addresses lead to another machine", i.ID)
	}
	if c := w.variant.controlled[i.VM.Name]; rung != remedy.StartGroup && (c.Clustered || c.Hadr) {
		w.breaks(oneController, "%s: clustered %t, availability groups %t", i.ID, c.Clustered, c.Hadr)
	}
	j.limits(i, p, rung, by)
	j.fault(i, s, rung, by)
	if spec, ok := remedy.SpecOf(rung); ok && spec.Destructive {
		j.endsVM(i, s, rung, by)
	}
	j.place(i, s, rung)
	if rung.Kind() == config.OnNode {
		j.destined(i, s, planned(*i, w.now))
	}
}

// limits computes budgets, rates and cool-downs from the trace of what was sent by other incidents; an incident's own
// rungs are its ladder's business, but not the same one again.
func (j *judge) limits(i *incident.Incident, p *config.Policy, rung remedy.Rung, by *approval) {
	w := j.w
	if of, ok := j.latches[i.VM.Name]; ok && of != i.ID {
		w.breaks(latched, "%s: %s failed", i.ID, of)
	}
	type plan struct {
		incident string
		at       time.Time
	}
	six := map[config.RungKind]map[plan]bool{config.OnVM: {}, config.OnNode: {}} // of the virtual machine
	day, hour := map[plan]bool{}, map[plan]bool{}                                // of the virtual machine
	clusterHour, tenMinutes := map[plan]bool{}, map[plan]bool{}                  // of the cluster
	for _, c := range j.sent {
		if c.incident == i.ID {
			if c.rung == rung {
				w.breaks(coolDown, "%s: %s a second time in one incident", i.ID, rung)
			}
			continue
		}
		name := plan{c.incident, c.plan}
		ago := w.now.Sub(c.plan)
		if c.vm == i.VM {
			if c.instance == i.Instance && !i.Alert.StartsAt.After(c.at) {
				w.breaks(oldStory, "%s: the alert began %s before the last command of %s", i.ID, c.at.Sub(i.Alert.StartsAt), c.incident)
			}
			if since := w.now.Sub(c.at); c.instance == i.Instance && since < p.Limits.Settle {
				w.breaks(oldStory, "%s: %s after the last command of %s", i.ID, since, c.incident)
			}
			if since := w.now.Sub(c.at); since < p.Limits.CoolDown {
				w.breaks(coolDown, "%s: %s after a command of %s", i.ID, since, c.incident)
			}
			if ago < 24*time.Hour {
				day[name] = true
			}
			if ago < time.Hour && c.rung.Acts(config.OnService) {
				hour[name] = true
			}
			for kind, plans := range six {
				if ago < 6*time.Hour && c.rung.Acts(kind) {
					plans[name] = true
				}
			}
		}
		if ago < time.Hour {
			clusterHour[name] = true
		}
		if ago < 10*time.Minute {
			tenMinutes[name] = true
		}
	}
	if by == nil && (len(day) >= p.Limits.ActionsPer24h || rung == remedy.RestartService && len(hour) >= p.Limits.ServiceRestartsPerHour) {
		w.breaks(budget, "%s: %d rungs in a day, %d in an hour", i.ID, len(day), len(hour))
	}
	most := map[config.RungKind]int{config.OnVM: p.Limits.VMRestartsPer6h, config.OnNode: p.Limits.MovesPer6h}
	for _, kind := range []config.RungKind{config.OnVM, config.OnNode} { // a rung may be both
		if by == nil && rung.Acts(kind) && len(six[kind]) >= most[kind] {
			w.breaks(budget, "%s: %d of kind %s in six hours", i.ID, len(six[kind]), kind)
		}
	}
	if len(tenMinutes) >= per10Minutes || len(clusterHour) >= perHour {
		w.breaks(rate, "%s: %d rungs in the cluster in ten minutes, %d in an hour", i.ID, len(tenMinutes), len(clusterHour))
	}
	for o := range w.state.Incidents.All() {
		if o.ID != i.ID && o.Phase == incident.Acting {
			w.breaks(rate, "%s: %s is in flight", i.ID, o.ID)
		}
	}
}

// fault judges whether the fault was there, by the class.
func (j *judge) fault(i *incident.Incident, s *snapshot, rung remedy.Rung, by *approval) {
	w, p := j.w, j.policy(i.VM.Name)
	switch i.Fault {
	case evidence.Service:
		first, before := j.shown[i.ID]
		switch {
		case !s.dead():
			w.breaks(trueOutage, "%s: the service is %q, the login says %q", i.ID, s.state, s.login)
		case !before || s.asked.Sub(first) < proofSpan:
			w.breaks(trueOutage, "%s: it was seen dead for %s only", i.ID, s.asked.Sub(first))
		}
		if !s.loginKnown || !s.guestKnown {
			w.breaks(notBlind, "%s: login known %t, guest known %t", i.ID, s.loginKnown, s.guestKnown)
		}
	case evidence.Internal:
		j.cutShort(i, s)
		// It serves, and what is begun after the alert is to be undone too.
		if open := began(s.open, s.asked); open > p.Limits.MaxUndo && by == nil && !j.named(i, rung) {
			w.breaks(undone, "%s: a transaction is open for %s", i.ID, open)
		}
		j.internal(i, s)
	case evidence.Hang:
		j.cutShort(i, s)
		// A hang is ended by ending the process. What it had open when the alert began has to be undone.
		if open := began(s.open, i.Alert.StartsAt); open > p.Limits.MaxUndo && by == nil && !j.named(i, rung) {
			w.breaks(undone, "%s: a transaction was open for %s when the alert began", i.ID, open)
		}
		// By its reads, as with a dead service: what served for a second between two of them was never seen to serve, and G9
		// tries a login once more right before the process is ended.
		first, before := j.shown[i.ID]
		if s.hungSince.IsZero() || !before || s.asked.Sub(first) < max(p.HealthCheckTimeout, leastHang) {
			w.breaks(trueOutage, "%s: hangs since %s, was seen to since %s, the login says %q", i.ID, s.hungSince, first, s.login)
		}
		if !s.loginKnown || !s.guestKnown {
			w.breaks(notBlind, "%s: login known %t, guest known %t", i.ID, s.loginKnown, s.guestKnown)
		}
	case evidence.Host:
		profile := w.spec.Profile
		wait := max(hostWait, profile.HeartbeatDelay*time.Duration(profile.HeartbeatThreshold)+profile.Resiliency+hostMargin)
		if w.now.Before(i.Alert.StartsAt.Add(wait)) || s.group != cluster.GroupFailed && s.group != cluster.GroupOffline || !s.persistent {
			w.breaks(clusterFirst, "%s: %s after the alert began, group state %d", i.ID, w.now.Sub(i.Alert.StartsAt), s.group)
		}
	case evidence.Network:
		// By its reads, as with a hang: a board that worked for a second between two of them was never seen to work.
		if first, before := j.shown[i.ID]; !s.boardDead() || !before || s.asked.Sub(first) < networkFor {
			w.breaks(trueOutage, "%s: the board of %s works %t, seen cut since %s, VM state %d", i.ID, s.owner, s.board, first, s.vm)
		}
	case evidence.Guest:
		first, before := j.shown[i.ID]
		long, age := j.still(i.VM.Name)
		switch {
		case !s.guestDead() || !before || s.asked.Sub(first) < guestFor:
			w.breaks(trueOutage, "%s: VM state %d, heartbeat %d, guest answers %t, login %q, seen since %s", i.ID, s.vm, s.heartbeat, s.guestKnown, s.login, first)
		case long < guestFor || age > guestFor:
			w.breaks(trueOutage, "%s: its disks were seen to do nothing for %s, the last time %s ago", i.ID, long, age)
		}
		if !s.loginKnown || !s.ownerAnswers {
			w.breaks(notBlind, "%s: login known %t, owner answers %t", i.ID, s.loginKnown, s.ownerAnswers)
		}
		since := i.OpenedAt
		if s.running.After(since) {
			since = s.running
		}
		if w.spec.CheckHeartbeat && w.now.Sub(since) < deadFor-time.Second { // which the VM's uptime tells to the second
			w.breaks(oneController, "%s: the cluster watches the guest and has had %s", i.ID, w.now.Sub(since))
		}
	case evidence.Resource:
		j.starves(i, s, rung)
	case evidence.Storage, evidence.Database:
		w.breaks(trueOutage, "%s: this release decides nothing for the class %s", i.ID, i.Fault)
	}
	if i.Fault != evidence.Service && i.Fault != evidence.Hang && i.Fault != evidence.Internal {
		return
	}
	heal := p.CleanStop.HealAfter
	stopped := s.state == cluster.ServiceStopped && s.exit == 0 && !s.stoppedAt.IsZero()
	if s.startMode != "Auto" || stopped && (heal == 0 || w.now.Sub(s.stoppedAt) < heal) {
		w.breaks(deliberate, "%s: start mode %s, exit code %d, stopped by a person at %s", i.ID, s.startMode, s.exit, s.stoppedAt)
	}
}

// began is how long before a moment something began; 0 where it did not.
func began(at, until time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return until.Sub(at)
}

// place judges the cluster around the virtual machine.
func (j *judge) place(i *incident.Incident, s *snapshot, rung remedy.Rung) {
	w := j.w
	if s.storm || !j.storm.IsZero() && w.now.Before(j.storm.Add(stormClean)) {
		w.breaks(noStorm, "%s: stormy now %t, last seen %s", i.ID, s.storm, j.storm)
	}
	vm := w.config.Clusters[0].VirtualMachine(i.VM.Name)
	if h := j.history[vm.GroupName()]; len(h) > 1 {
		last := h[len(h)-1].Since
		if last.After(i.Alert.StartsAt.Add(-lookBack)) && w.now.Before(last.Add(movedSettle)) {
			w.breaks(notMoved, "%s: the group moved %s ago", i.ID, w.now.Sub(last))
		}
	}
	const busy = cluster.GroupWaitingInQueueForMove | cluster.GroupWaitingToStart | cluster.GroupUnmonitored
	switch {
	case !s.seen:
		w.breaks(notBlind, "%s: no node answers", i.ID)
	case s.split:
		w.breaks(clusterWhole, "%s: the nodes disagree", i.ID)
	case s.shortOfVotes:
		w.breaks(clusterWhole, "%s: there is no quorum", i.ID)
	case s.status&busy != 0:
		w.breaks(clusterWhole, "%s: the group's status is %#x", i.ID, uint64(s.status))
	}
	if rung == remedy.RestartService && (!s.ownerAnswers || !s.guestKnown || s.group != cluster.GroupOnline) {
		w.breaks(clusterWhole, "%s: owner answers %t, guest answers %t, group state %d", i.ID, s.ownerAnswers, s.guestKnown, s.group)
	}
}

// planned judges a rung that begins.
func (j *judge) planned(i *incident.Incident, s *snapshot, rung remedy.Rung, by *approval) {
	w := j.w
	for _, id := range j.pauseIDs() {
		if p := j.pauses[id]; w.now.Before(p.Expires) && (p.VM == "" || p.VM == i.VM.Name) {
			w.breaks(notPaused, "%s: %s", i.ID, p.ID)
		}
	}
	const draining = cluster.NodeDrainInProgress | cluster.NodeDrainCompleted | cluster.NodeDrainFailed
	if s.status&cluster.GroupLocked != 0 || s.node == cluster.NodePaused || s.nodeStatus&draining != 0 {
		w.breaks(maintenance, "%s: group status %#x, node state %d, node status %#x", i.ID, uint64(s.status), s.node, uint32(s.nodeStatus))
	}
	if d := i.Actions[len(i.Actions)-1].Planned.Sub(j.heard); d > mostSilence {
		w.breaks(heardOf, "%s: Watchdog came %s ago", i.ID, d)
	}
	mode := j.policy(i.VM.Name).ModeOf(string(rung))
	if mode == config.Observe || w.variant.onlyObserves() {
		w.breaks(inMode, "%s: %s", i.ID, rung)
	}
	last := i.Actions[len(i.Actions)-1]
	switch {
	case by != nil:
		by.used = last.Planned
		w.result.reached["approved"] = true
	case mode == config.Propose, last.By != "":
		w.breaks(asApproved, "%s: %s in mode %s, said to be approved by %q", i.ID, rung, mode, last.By)
	}
}
