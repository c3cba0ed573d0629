// Package wire gives the lab loopback ports that behave as a machine's would when it is well, dead, cut off or
// hung: a client of any kind sees what it would see on a network.
//
//	p, err := wire.Listen("127.0.0.1:0") // a net.Listener for any server
//	err = p.Set(wire.Unanswered)         // the machine is off; the address stays the Port's own
//
// A Port keeps its number from Listen to Close, whatever its behaviour, and is safe for concurrent use. Refusing
// and Unanswered need Linux: there the number is held by a bound socket that does not listen, beside which
// listeners come and go, and silence is made by a socket filter that drops what arrives, as a dead machine does:
// it acknowledges nothing. Elsewhere Set returns an *UnsupportedError for them.
package wire

import "fmt"

// Behaviour is how a port meets a client.
type Behaviour int

// The behaviours.
const (
	// Answering accepts and serves. Connections that froze under another behaviour are reset, as by a new boot.
	Answering Behaviour = iota
	// Refusing answers SYN with RST: the machine lives, nothing listens. Open connections are reset.
	Refusing
	// Unanswered drops SYNs: the machine is off or cut off. Open connections freeze: no byte, no FIN, no RST.
	Unanswered
	// Hung accepts and says nothing. Open connections freeze. The machine's TCP still acknowledges what it gets,
	// and what the server had already handed to it may still arrive.
	Hung
)

// String returns the behaviour's name.
func (b Behaviour) String() string {
	switch b {
	case Answering:
		return "answering"
	case Refusing:
		return "refusing"
	case Unanswered:
		return "unanswered"
	case Hung:
		return "hung"
	}
	return fmt.Sprintf("behaviour(%d)", int(b))
}

// valid reports whether b is one of the behaviours.
func (b Behaviour) valid() bool { return b >= Answering && b <= Hung }

// frozen reports whether open connections are frozen under b.
func (b Behaviour) frozen() bool { return b == Unanswered || b == Hung }

// UnsupportedError says that this operating system cannot show a behaviour.
type UnsupportedError struct {
	Behaviour Behaviour
	OS        string
}

// Error names the behaviour and what it needs.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("wire: a port on %s cannot be %s; that needs Linux", e.OS, e.Behaviour)
}
