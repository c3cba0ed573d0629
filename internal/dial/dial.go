// Package dial is the one vocabulary for how talking to a peer failed, and the dialer that knows how far a
// connection came. Both protocols (TDS and WS-Management) classify by the dialer and the bytes seen, never by
// error text, so that "refused" means the same to a rule, a guard and a reader whichever peer refused.
//
// A Tracker belongs to one attempt and is safe for concurrent use.
package dial

// Reason says why a peer could not be asked or did not answer. The zero value means that it answered.
// The set is closed: it is the label set of probe_failure_reason.
type Reason string

// The reasons. Refused is proof of life of the peer's TCP stack (a reset came back); Unreachable is a router's
// or the own stack's word (no route, network or host unreachable); a time-out is nobody's word.
const (
	Answered     Reason = ""
	DNS          Reason = "dns"
	Refused      Reason = "tcp_refused"
	Unreachable  Reason = "unreachable"
	TCPTimeout   Reason = "tcp_timeout"
	TLS          Reason = "tls"
	TLSTimeout   Reason = "tls_timeout"
	LoginTimeout Reason = "login_timeout"
	Auth         Reason = "auth"
	Permission   Reason = "permission"
	QueryTimeout Reason = "query_timeout"
	Namespace    Reason = "namespace"
	ProviderHung Reason = "provider_hung"
	Protocol     Reason = "protocol"
	Other        Reason = "other"
)

// Reasons lists every reason but Answered, in the order in which metrics show them.
func Reasons() []Reason {
	return []Reason{
		DNS, Refused, Unreachable, TCPTimeout, TLS, TLSTimeout, LoginTimeout, Auth, Permission,
		QueryTimeout, Namespace, ProviderHung, Protocol, Other,
	}
}

// Ours reports whether the trouble is on our side (a name, a certificate, a password, a permission): it says
// nothing about the peer's health and never counts as evidence against it.
func (r Reason) Ours() bool {
	switch r {
	case DNS, TLS, Auth, Permission, Namespace:
		return true
	case Answered, Refused, Unreachable, TCPTimeout, TLSTimeout, LoginTimeout, QueryTimeout, ProviderHung, Protocol, Other:
		return false
	}
	return false
}
