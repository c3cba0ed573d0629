// Package wire gives the lab loopback ports that behave as a machine's would when it is well, dead, cut off or
// hung: a client of any kind sees what it would see on a network.
package wire

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
	// Hung accepts and says nothing. Open connections freeze.
	Hung
)
