package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The spans of G8: a class with proof of life needs two rounds a second apart, a silent one three over its time.
const (
	proofOfLifeRounds = 2
	proofOfLifeSpan   = time.Second
	silentRounds      = 3
	guestSpan         = 60 * time.Second
	networkSpan       = 30 * time.Second
	// unreadableBound is how long a reading that cannot be made is waited for before the guard refuses.
	unreadableBound = 60 * time.Second
)

// G8's words: for evidence that cannot be read, for a class of which nothing but telling follows, and for an internal error
// that the policy does not act on.
const (
	ReasonUnreadable = "unreadable"
	ReasonTellsOnly  = "tells_only"
	ReasonAboveLevel = "above_level"
)

// opinion is G8, the second opinion: the truth table per fault class, read by the receiver itself now. The
// exporter's opinion is the alert (G7). A reading that could not be made counts for nothing.
func opinion(in Input) Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	if l := round.Login; l.Known() && l.Value.Up && in.loginVetoes() {
		return hold("login", in.soon(), "vetoed: the receiver itself logs in to SQL Server")
	}
	switch in.Subject.Fault {
	case evidence.Service:
		return in.agreed(proofOfLifeRounds, proofOfLifeSpan, in.serviceDead)
	case evidence.Hang:
		return in.agreed(silentRounds, max(in.Policy.HealthCheckTimeout, minHang), in.hung)
	case evidence.Guest:
		v := in.agreed(silentRounds, guestSpan, in.guestDead)
		if v.Outcome != Pass {
			return v
		}
		return in.still(v)
	case evidence.Network:
		return in.agreed(silentRounds, networkSpan, in.cutOff)
	case evidence.Host:
		return in.agreed(proofOfLifeRounds, proofOfLifeSpan, in.hostDown)
	case evidence.Internal:
		if in.Policy.InternalLevel == 0 {
			return refuse(ReasonTellsOnly, "the policy acts on no level of an internal error").unblocked("set internal_level in the policy")
		}
		return in.agreed(proofOfLifeRounds, proofOfLifeSpan, in.internalError)
	case evidence.Resource:
		return in.starved()
	case evidence.Storage, evidence.Database:
		return refuse(ReasonTellsOnly, "fault class %s only tells in this release", in.Subject.Fault)
	}
	return refuse("unknown_class", "fault class %q is not known", in.Subject.Fault)
}

// loginVetoes reports whether a login shows that the fault is not there. A lost host may have left its SQL Server elsewhere;
// one that is sick or starved takes logins.
func (in Input) loginVetoes() bool {
	switch in.Subject.Fault {
	case evidence.Host, evidence.Internal, evidence.Resource:
		return false
	case evidence.Service, evidence.Hang, evidence.Guest, evidence.Network, evidence.Storage, evidence.Database:
	}
	return true
}

// minHang is the least time without a login that counts as a hang, whatever the policy says (the class's floor).
const minHang = 15 * time.Second

// agreed demands that the newest rounds, at least n of them spanning at least span, all say yes by the same test.
// The newest round that does not is the answer. A round in which the alert had ceased begins the count anew, whatever it
// says itself: what the exporter saw to be well in between may fall between two rounds, of which a silent guest makes one
// in twelve seconds.
func (in Input) agreed(n int, span time.Duration, test func(evidence.Round) Verdict) Verdict {
	var newest Verdict
	count := 0
	first := in.Now
	for i := len(in.Rounds) - 1; i >= 0; i-- {
		v := test(in.Rounds[i])
		if in.Rounds[i].Started.IsZero() { // it would span any time
			v = in.unreadable("when a round of evidence was begun is not known")
		}
		if i == len(in.Rounds)-1 {
			newest = v
		}
		if v.Outcome != Pass {
			if i == len(in.Rounds)-1 {
				return v
			}
			break
		}
		if a := in.Rounds[i].Alert; i < len(in.Rounds)-1 && a.Known() && !a.Value.Active && !a.Value.Suppressed {
			break
		}
		count++
		first = in.Rounds[i].Started
	}
	have := in.Rounds[len(in.Rounds)-1].Started.Sub(first)
	if count < n || have < span {
		until := first.Add(span)
		if !until.After(in.Now) {
			until = in.soon()
		}
		return hold("more_rounds", until, "%s; %d of %d rounds over %s of %s so far", newest.Detail, count, n, have.Round(100*time.Millisecond), span)
	}
	newest.Detail += "; in " + plural(count, "round") + " over " + have.Round(100*time.Millisecond).String()
	return newest
}

// unreadable holds for a reading that cannot be made, and refuses once that has lasted too long.
func (in Input) unreadable(what string) Verdict {
	if since := in.UnreadableSince; !since.IsZero() && in.Now.Sub(since) > unreadableBound {
		return refuse(ReasonUnreadable, "%s, for longer than %s", what, unreadableBound)
	}
	return hold(ReasonUnreadable, in.soon(), "%s", what)
}

// serviceDead: the port refuses, and the service is stopped or its process gone, both by the receiver's own eyes.
func (in Input) serviceDead(r evidence.Round) Verdict {
	switch {
	case !r.Login.Known():
		return in.unreadable("SQL Server's port could not be tried: " + string(r.Login.Failure) + " " + r.Login.Detail)
	case r.Login.Value.Up:
		return hold("login", in.soon(), "vetoed: a round logged in")
	case r.Login.Value.Reason != dial.Refused:
		return hold("not_refused", in.soon(), "the port does not refuse (%s): the service may live", r.Login.Value.Reason)
	case !r.Service.Known():
		return in.unreadable("the guest does not tell the state of " + in.Service + ": " + string(r.Service.Failure) + " " + r.Service.Detail)
	}
	s := r.Service.Value
	switch {
	case s.State == cluster.ServiceStopped:
		return pass("the port refuses and %s is stopped (exit code %d)", s.Name, s.ExitCode)
	case s.State == cluster.ServiceRunning && r.Process.Known() && r.Process.Value.ID == 0:
		return pass("the port refuses and the process of %s is gone", s.Name)
	}
	return hold("service_state", in.soon(), "%s is %q: it is not dead", s.Name, s.State)
}

// hung: nobody logs in, the service runs, and it is neither starting nor recovering.
func (in Input) hung(r evidence.Round) Verdict {
	switch {
	case !r.Login.Known():
		return in.unreadable("SQL Server could not be tried: " + string(r.Login.Failure) + " " + r.Login.Detail)
	case r.Login.Value.Up:
		return hold("login", in.soon(), "vetoed: a round logged in")
	}
	if v := in.runs(r, "it does not hang"); v.Outcome != Pass {
		return v
	}
	switch r.Login.Value.Reason {
	case dial.LoginTimeout, dial.TLSTimeout, dial.QueryTimeout:
		return pass("the port accepts but nobody logs in (%s) while %s runs", r.Login.Value.Reason, r.Service.Value.Name)
	case dial.Answered, dial.DNS, dial.Refused, dial.Unreachable, dial.TCPTimeout, dial.TLS, dial.Auth, dial.Permission,
		dial.Namespace, dial.ProviderHung, dial.Protocol, dial.Other:
	}
	return hold("not_hanging", in.soon(), "the login fails by %s (error %d), which is not a hang", r.Login.Value.Reason, r.Login.Value.ErrorNumber)
}

// guestDead: the heartbeat is lost, the virtual processors are idle and the guest does not answer.
func (in Input) guestDead(r evidence.Round) Verdict {
	if !r.Host.Known() {
		return in.unreadable("the owner host does not tell the VM's state: " + string(r.Host.Failure) + " " + r.Host.Detail)
	}
	vm := r.Host.Value
	switch {
	case vm.State != cluster.VMRunning:
		return hold("vm_state", in.soon(), "the VM is not running (EnabledState %d): the cluster's business", vm.State)
	case vm.Heartbeat == cluster.HeartbeatAbsent:
		return in.unreadable("the owner host tells no heartbeat of the running VM")
	case vm.Heartbeat == cluster.HeartbeatOK:
		return hold("heartbeat", in.soon(), "vetoed: the guest's heartbeat is OK")
	case len(in.Instances) > 0 && !r.Login.Known():
		return in.unreadable("SQL Server could not be tried: " + string(r.Login.Failure) + " " + r.Login.Detail)
	case r.Guest.Known():
		return hold("guest_answers", in.soon(), "the guest answers")
	case !silence(r.Guest.Failure):
		return in.unreadable("the guest could not be asked: " + string(r.Guest.Failure))
	case vm.ProcessorLoad != 0:
		return hold("busy", in.soon(), "the VM's processors are busy (%d %%)", vm.ProcessorLoad)
	}
	return pass("the heartbeat is lost, the processors are idle and the guest does not answer (%s)", r.Guest.Failure)
}

// linked reports whether one of the adapters that virtual switches use is connected; known is false where no adapter is said
// to be used, or one of them does not tell.
func linked(uplinks []cluster.Uplink) (up, known bool) {
	for _, u := range uplinks {
		if u.Bound == nil || !*u.Bound {
			continue
		}
		known = true
		switch u.Media {
		case cluster.MediaConnected:
			return true, true
		case cluster.MediaDisconnected:
		case cluster.MediaUnknown:
			return false, false
		}
	}
	return false, known
}

// still: the guest's disks were neither read nor written over the class's time. A guest that writes its dump, checks its
// disks or installs an update looks as dead as a dead one in everything else. They are counted in the background, for the
// counters of a host may take seconds, and not for a moment only: the newest reading may be as old as the class's time.
func (in Input) still(dead Verdict) Verdict {
	d := in.Vitals.Disks
	if !d.Known() {
		return in.unreadable("whether the guest still reads or writes its disks could not be read: " + string(d.Failure) + " " + d.Detail)
	}
	if age := in.Now.Sub(d.At); age > guestSpan {
		return in.unreadable("whether the guest still reads or writes its disks was last read " + ago(age).String() + " ago")
	}
	switch since := in.Vitals.StillSince; {
	case since.IsZero():
		return hold("disk_io", in.soon(), "%s; since when its disks are the same is not known: it may be at work on them", dead.Detail)
	case d.At.Sub(since) < guestSpan:
		until := since.Add(guestSpan)
		if !until.After(in.Now) {
			until = in.soon()
		}
		return hold("disk_io", until, "%s; its disks are the same since %s only (read %s ago): it may be at work on them", dead.Detail, since.Format(time.RFC3339), ago(in.Now.Sub(d.At)))
	}
	dead.Detail += "; " + plural(len(d.Value.Disks), "disk") + " neither read nor written for " + ago(d.At.Sub(in.Vitals.StillSince)).String()
	return dead
}

// cutOff: the guest is well, says its host, nobody reaches it, and the host's own uplink is down.
func (in Input) cutOff(r evidence.Round) Verdict {
	switch {
	case !r.Host.Known():
		return in.unreadable("the owner host does not tell the VM's state: " + string(r.Host.Failure) + " " + r.Host.Detail)
	case r.Host.Value.Heartbeat != cluster.HeartbeatOK:
		return hold("heartbeat", in.soon(), "the heartbeat is not OK: this is not the network alone")
	case r.Guest.Known():
		return hold("guest_answers", in.soon(), "the guest answers")
	case !silence(r.Guest.Failure):
		return hold("guest_answers", in.soon(), "the guest's network answers (%s)", r.Guest.Failure)
	}
	switch up, known := linked(r.Uplinks.Value); {
	case !r.Uplinks.Known():
		return in.unreadable("the uplinks of the owner could not be read: " + string(r.Uplinks.Failure) + " " + r.Uplinks.Detail)
	case !known:
		return in.unreadable("the owner does not tell which of its adapters its virtual switches use, or whether they are connected")
	case up:
		return hold("uplink_up", in.soon(), "the uplink of the owner's virtual switches is connected: this is not the owner's network board")
	}
	return pass("the heartbeat is OK, the guest is unreachable (%s) and the owner's uplink is down", r.Guest.Failure)
}

// hostDown: the host that owned the group before the alert does not answer, and every other node that does calls it down.
// Who owns the group now is another question (G19): a cluster gives the groups of a lost host to those that are left,
// whether they can start them or not.
func (in Input) hostDown(r evidence.Round) Verdict {
	host, _ := in.ownerBefore()
	if host == "" {
		return in.unreadable("who owned group " + in.Group + " before the alert is not known")
	}
	others := 0
	for _, v := range r.KnownViews() {
		if v.Value.By == host {
			continue
		}
		others++
		n, ok := v.Value.Node(host)
		switch {
		case !ok:
			return hold("owner_up", in.soon(), "%s does not list %s", v.Value.By, host)
		case n.State != cluster.NodeDown:
			return hold("owner_up", in.soon(), "%s does not call %s down (state %d)", v.Value.By, host, n.State)
		}
	}
	switch own, asked := r.Views[host]; {
	case asked && own.Known():
		return hold("owner_answers", in.soon(), "host %s answers", host)
	case others == 0:
		return in.unreadable("no other node shows the cluster")
	case !asked:
		return in.unreadable("host " + host + " was not asked")
	case !silence(own.Failure):
		return in.unreadable("host " + host + " could not be asked: " + string(own.Failure) + " " + own.Detail)
	}
	return pass("host %s does not answer, and %s calls it down", host, plural(others, "other node"))
}

// silence reports whether a failure is no answer at all, as against a refusal or a trouble of ours.
func silence(r dial.Reason) bool {
	switch r {
	case dial.TCPTimeout, dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout, dial.Unreachable, dial.ProviderHung:
		return true
	case dial.Answered, dial.DNS, dial.Refused, dial.TLS, dial.Auth, dial.Permission, dial.Namespace, dial.Protocol, dial.Other:
		return false
	}
	return false
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return itoa(n) + " " + what + "s"
}
