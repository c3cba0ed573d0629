package remedy

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Method is the one method that an action calls, named as the lab's counters and the records show it.
type Method string

// Target is whom a method is sent to, and so with whose credential.
type Target string

// The targets.
const (
	Guest   Target = "guest"   // the cluster's guest_operator
	Host    Target = "host"    // one node's Hyper-V; the cluster's operator
	Cluster Target = "cluster" // the failover cluster, by one of its nodes; the cluster's operator
)

// MethodSpec is what there is to know about a method.
type MethodSpec struct {
	Method Method
	Target Target
	// Within bounds the wait for its effect (G24).
	Within time.Duration
	// Settle is how long a call whose answer was lost may show no effect and still come to it; only then is it taken for
	// one that was not carried out.
	Settle time.Duration
	// Ends says that it stops or ends something: it is not sent long after the command before it, for what that was planned
	// for may be over. What only brings something back is never late.
	Ends bool
	// Revives says that its effect is what brings SQL Server back.
	Revives bool
	// Boots says that its effect is a boot of the guest, in which SQL Server takes its time to come back; a move does so by
	// what it does to the machine (Command.Boots).
	Boots bool
	// Cancel is the method that cancels what it began and what has not come to its end in time; empty where there is none.
	Cancel Method
	// Before lists what is read right before it (G9), beside the owner's word of the virtual machine and the nodes' views.
	Before []evidence.Part
	// After lists what its effect is read from.
	After []evidence.Part

	judge  func(Command, Result) (cause Cause, why string, ok bool)
	effect func(Call, evidence.Round) Effect
}

// methods lists every method that is ever sent.
func methods() []MethodSpec {
	return []MethodSpec{
		startService(), stopService(), terminateProcess(), resetSystem(), injectNMI(), rebootGuest(),
		moveGroup(), bringOnline(), cancelOperation(),
	}
}

// Methods lists every method that is ever sent.
func Methods() []MethodSpec { return methods() }

// sendable are the methods, made once as the rungs are, and never changed.
var sendable = methods()

// Spec finds what there is to know about it; ok is false for one that is not known.
func (m Method) Spec() (s MethodSpec, ok bool) {
	for n := range sendable {
		if sendable[n].Method == m {
			return sendable[n], true
		}
	}
	return MethodSpec{}, false
}

// Longest is the longest wait for any method's effect.
func Longest() time.Duration {
	var longest time.Duration
	for _, s := range methods() {
		longest = max(longest, s.Within)
	}
	return longest
}
