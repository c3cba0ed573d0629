package remedy

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Cause is why a step failed, and so what may follow (G24).
type Cause string

// The causes. Only guest-bound evidence leads to a restart of the VM, only node-bound evidence to a move; a
// permanent one ends the ladder with a person.
const (
	Transient  Cause = "transient"
	GuestBound Cause = "guest_bound"
	NodeBound  Cause = "node_bound"
	Permanent  Cause = "permanent"
)

// Judge says why a command failed from its return value, in words for the operator. ok is true where the value
// means success, or that the work was already done.
func Judge(cmd Command, r Result) (cause Cause, why string, ok bool) {
	if !r.Answered {
		why := fmt.Sprintf("%s was not carried out: %s %s", cmd.Method, r.Failure, r.Detail)
		if r.Unknown || !dial.Reason(r.Failure).Ours() {
			return Transient, why, false
		}
		return Permanent, why, false // a password or a right: asking again does not help
	}
	s, known := cmd.Method.Spec()
	switch {
	case !known:
		return Permanent, fmt.Sprintf("method %q is not known", cmd.Method), false
	case r.Code == 0:
		return "", "", true
	}
	return s.judge(cmd, r)
}
