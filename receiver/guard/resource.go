package guard

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// The limits of a starved virtual machine.
const (
	// resourceSpan is from the first of G8's three samples to the last. Each is a mean over 10 s at least.
	resourceSpan = 40 * time.Second
	// busyPercent is from how much on a host's logical processors, or the virtual processors of one machine, count as used
	// up. It is ours, and above the 80 % from which even the least eager level of the cluster's own balancer takes a host
	// for loaded (roomPercent).
	busyPercent = 90
	// roomPercent is how much of a destination may be used with the machine on it: more, and the cluster's balancer would
	// move something away again (learn.microsoft.com, "AutoBalancerLevel": CLUSTER_AUTO_BALANCER_LEVEL_LOW balances where
	// processors or memory exceed 80 %).
	roomPercent = 80
	// pressurePercent is the memory balancer's average pressure from which on a host cannot give its machines what they want
	// (learn.microsoft.com, archive of Virtual PC Guy's blog, "Looking at Dynamic Memory Performance Counters", 1 September
	// 2010: as long as it is under 100 there is enough).
	pressurePercent = 100
	// slowLogin is from how long on a login, and the question after it, count as slow: the exporter's own probe gives up then.
	slowLogin = time.Second
)

// The cluster's own balancer (learn.microsoft.com, "AutoBalancerMode": 0 disabled, 1 on node join only, 2 on node join and
// every 30 minutes; "AutoBalancerLevel": 1 to 3). Windows Server 2016 and later have it.
const (
	balancesAlways = 2
	balancerTime   = 30 * time.Minute
	// balancerMargin is what it gets on top, until its live migration has ended.
	balancerMargin = 5 * time.Minute
)

// ReasonGuestStarved is G8's word for a virtual machine that has used up what is its own on a host that has more: no other
// host would give it more, and a person decides what it shall have.
const ReasonGuestStarved = "guest_starved"

// beyond reports whether the verdict leaves to a person what no rung could do.
func (v Verdict) beyond() bool { return v.Guard == "G8" && v.Reason == ReasonGuestStarved }

// starved is G8's row of the class resource: in three samples in a row the host, or the machine itself, had no processor
// time or no memory left, and SQL Server suffered. It goes on serving, so that a login is no veto; pressure that is gone is.
func (in Input) starved() Verdict {
	v := in.agreed(silentRounds, resourceSpan, in.pressed)
	if v.Outcome != Pass {
		return v
	}
	if host := in.agreed(silentRounds, resourceSpan, in.hostPressed); host.Reason != ReasonGuestStarved {
		return host
	}
	return propose(ReasonGuestStarved, "%s: a live migration would take it along as it is", v.Detail).
		unblocked("give it more (Set-VMProcessor, Set-VMMemory), or end in the guest what uses it up")
}

// pressed: the host or the machine itself is used up, and SQL Server suffers.
func (in Input) pressed(r evidence.Round) Verdict {
	p := PressureOf(r)
	switch {
	case p.Unread != "":
		return in.unreadable(p.Unread)
	case !p.Any():
		return hold("pressure_gone", in.soon(), "vetoed: neither the host nor the machine is used up (%s)", p.Seen)
	}
	s := SufferingOf(r)
	switch {
	case s.How != "":
		return pass("%s, and %s", cmp.Or(p.Host, p.Guest), s.How)
	case s.Unread != "":
		return in.unreadable(s.Unread)
	}
	return hold("not_suffering", in.soon(), "%s, and SQL Server is well: its component resource is clean and it logs in at once", cmp.Or(p.Host, p.Guest))
}

// hostPressed is pressed where it is the host that is used up.
func (in Input) hostPressed(r evidence.Round) Verdict {
	v := in.pressed(r)
	if v.Outcome == Pass && PressureOf(r).Host == "" {
		return hold(ReasonGuestStarved, in.soon(), "%s", v.Detail)
	}
	return v
}

// Pressure is what one round shows of a virtual machine's processors and memory. Where its host is used up it need not be
// told whether the machine is, too.
type Pressure struct {
	Host   string // why its host counts as used up; empty where it does not
	Guest  string // why the machine itself does
	Seen   string // what was read, in words
	Unread string // what could not be read; the others are empty then
}

// Any reports whether anything is used up.
func (p Pressure) Any() bool { return p.Host != "" || p.Guest != "" }

// PressureOf reads the pressure off a round: of the host that has the machine, and of the machine as that host sees it.
func PressureOf(r evidence.Round) Pressure {
	vm := r.Host.Value
	switch {
	case !r.Host.Known():
		return Pressure{Unread: "the owner host does not tell the VM's state: " + string(r.Host.Failure) + " " + r.Host.Detail}
	case vm.State != cluster.VMRunning:
		return Pressure{Seen: fmt.Sprintf("the VM is not running, EnabledState %d", vm.State)}
	}
	load, asked := r.Loads[vm.Host]
	if !load.Known() {
		why := "it was not asked"
		if asked {
			why = string(load.Failure) + " " + load.Detail
		}
		return Pressure{Unread: "how busy host " + vm.Host + " is could not be read: " + why}
	}
	l := load.Value
	p := Pressure{Seen: fmt.Sprintf("host %s %s, the VM's processors %d %%", vm.Host, inWords(l), vm.ProcessorLoad)}
	switch {
	case percent(l.Busy) >= busyPercent:
		p.Host = fmt.Sprintf("host %s is used at %d %% (over %s)", vm.Host, percent(l.Busy), ago(l.Over))
	case percent(l.Pressure) >= pressurePercent:
		p.Host = fmt.Sprintf("host %s has less memory than its machines want (pressure %d %%)", vm.Host, percent(l.Pressure))
	}
	switch {
	case vm.ProcessorLoad >= busyPercent:
		p.Guest = fmt.Sprintf("the VM uses %d %% of its processors, on host %s, which is used at %d %%", vm.ProcessorLoad, vm.Host, percent(l.Busy))
	case vm.MemoryAvailable != nil && *vm.MemoryAvailable < 0:
		p.Guest = fmt.Sprintf("the VM wants more memory than it has (%d %% available), on host %s, whose pressure is %d %%", *vm.MemoryAvailable, vm.Host, percent(l.Pressure))
	}
	return p
}

// Suffering is what one round shows of SQL Server under pressure.
type Suffering struct {
	How    string // empty where it does not suffer
	Unread string // what could not be read; How is empty then
}

// SufferingOf reads off a round whether SQL Server lacks something: it says so itself, or nobody gets an answer in time.
func SufferingOf(r evidence.Round) Suffering {
	l, d := r.Login, r.Diagnostics
	if state, word, ok := d.Value.Resources(); d.Known() && ok && d.Value.Scarce() {
		return Suffering{How: fmt.Sprintf("SQL Server calls its component resource %s (state %d)", word, state)}
	}
	switch {
	case l.Known() && l.Value.Up && l.Value.Took > slowLogin:
		return Suffering{How: fmt.Sprintf("a login takes %s, over %s", l.Value.Took.Round(time.Millisecond), slowLogin)}
	case l.Known() && !l.Value.Up && late(l.Value.Reason):
		return Suffering{How: "a login takes longer than is waited for (" + string(l.Value.Reason) + ")"}
	case !d.Known():
		return Suffering{Unread: "what SQL Server says of itself (sp_server_diagnostics) could not be read: " + string(d.Failure) + " " + d.Detail}
	case !l.Known():
		return Suffering{Unread: "SQL Server could not be tried: " + string(l.Failure) + " " + l.Detail}
	}
	if _, _, ok := d.Value.Resources(); !ok {
		return Suffering{Unread: "sp_server_diagnostics gives no state of the component resource"}
	}
	return Suffering{}
}

// late reports whether a login fails because its answer does not come in time.
func late(r dial.Reason) bool {
	switch r {
	case dial.LoginTimeout, dial.TLSTimeout, dial.QueryTimeout:
		return true
	case dial.Answered, dial.DNS, dial.Refused, dial.Unreachable, dial.TCPTimeout, dial.TLS, dial.Auth, dial.Permission,
		dial.Namespace, dial.ProviderHung, dial.Protocol, dial.Other:
	}
	return false
}

// percent of a share, rounded down: what is said is never more than what was read.
func percent(share float64) int { return int(share*100 + 1e-9) }

// inWords says how busy a host is.
func inWords(l evidence.Load) string {
	return fmt.Sprintf("is used at %d %%, memory pressure %d %%", percent(l.Busy), percent(l.Pressure))
}

// balancer is G11 of a starved virtual machine: a cluster that balances its load every half hour moves one away from a
// loaded host itself, and is let to do so first. How readily it does (AutoBalancerLevel) does not count: its least eager
// level acts on less than what is called used up here.
func (in Input) balancer() Verdict {
	mode, level := in.Info.AutoBalancerMode, in.Info.AutoBalancerLevel
	switch {
	case level == 0: // which is no level: it was not read, or this Windows does not tell
		return hold("unread", in.soon(), "whether the cluster balances its load itself (AutoBalancerMode) could not be read")
	case mode < balancesAlways:
		return pass("no instance in it is clustered, and the cluster does not balance its load by itself (AutoBalancerMode %d)", mode)
	case in.Opened.IsZero():
		return hold("unread", in.soon(), "since when the alert is there is not known, so that nobody knows how much time the cluster had")
	}
	if over := in.Opened.Add(balancerTime + balancerMargin); in.Now.Before(over) {
		return hold("load_balancing", over, "the cluster balances its load every %s (AutoBalancerMode %d) and moves it itself; its time is over at %s",
			balancerTime, mode, over.Format(time.RFC3339)).
			unblocked("nothing; or (Get-Cluster).AutoBalancerMode = 1 where this is to be ours alone")
	}
	return pass("the cluster balances its load every %s, and has left the virtual machine where it is", balancerTime)
}

// expected is how busy a node would be with the virtual machine on it: what it uses now, of the node's processors. A starved
// one may want more; how much nobody can tell. ok is false where something of it was not read, and why says what.
func (in Input) expected(node string, r evidence.Round) (busy float64, why string, ok bool) {
	vm, load := r.Host, r.Loads[node]
	switch {
	case !load.Known():
		return 0, strings.TrimSpace("does not tell how busy it is: " + string(load.Failure) + " " + load.Detail), false
	case !vm.Known() || vm.Value.Processors == 0 || load.Value.Processors == 0:
		return 0, "what it would add to that is not known: how many processors the machine or the node has", false
	}
	return load.Value.Busy + float64(vm.Value.ProcessorLoad)/100*float64(vm.Value.Processors)/float64(load.Value.Processors), "", true
}

// loaded says why a node is too busy for a starved virtual machine; the reason is empty where it is not.
func (in Input) loaded(node string, r evidence.Round) (reason, detail string) {
	busy, why, ok := in.expected(node, r)
	switch load := r.Loads[node].Value; {
	case !ok:
		return reasonUnread, why
	case percent(busy) > roomPercent:
		return "processors", fmt.Sprintf("%s, and would be at %d %% with it; %d %% is the most", inWords(load), percent(busy), roomPercent)
	case percent(load.Pressure) >= pressurePercent:
		return "pressure", fmt.Sprintf("has less memory than its machines want (pressure %d %%)", percent(load.Pressure))
	}
	return "", ""
}

// busier orders nodes for a starved virtual machine: the one with most left first, and what is not known last.
func (in Input) busier(a, b string, r evidence.Round) int {
	const unknown = 1000
	left := func(node string) int {
		if busy, _, ok := in.expected(node, r); ok {
			return percent(busy)
		}
		return unknown
	}
	return cmp.Compare(left(a), left(b))
}

// spared is G9 of the class resource: SQL Server serves, and so nothing may end it. The only command is the live migration
// that it does not notice, and what cancels that. The second result is false for these.
func (in Input) spared(cmd remedy.Command) (Verdict, bool) {
	live := cmd.Method == remedy.MoveGroup && cmd.How == remedy.Live
	if in.Subject.Fault != evidence.Resource || live || cmd.Method == remedy.CancelOperation {
		return Verdict{}, false
	}
	return refuse("not_live", "%s of a starved virtual machine would end a SQL Server that serves", cmdWords(cmd)), true
}

func cmdWords(c remedy.Command) string {
	if c.How != "" {
		return string(c.Method) + " (" + string(c.How) + ")"
	}
	return string(c.Method)
}

// relieved is what shows right before the move that SQL Server lacks nothing any more. The second result is false where it
// does not. How busy the host is is not read again: its counters may take longer than a re-validation may be old.
func (in Input) relieved(round evidence.Round) (Verdict, bool) {
	switch s := SufferingOf(round); {
	case s.How != "":
		return Verdict{}, false
	case s.Unread != "":
		return hold(ReasonUnreadable, in.soon(), "%s", s.Unread), true
	}
	return refuse("clean", "vetoed: SQL Server lacks nothing any more: its component resource is clean and it logs in at once"), true
}
