package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
)

// Classify says why an attempt failed: by the error's type where the type proves something (a refusal, a name, a
// certificate), otherwise by the phase that t reached. ctx is the caller's own; where it has ended, whatever the
// protocol's library made of it was a time-out. t may be nil. It never looks at an error's text.
//
// What a peer answered in the protocol's own terms (a login refused, a fault) is for the protocol to classify,
// before it asks here.
func Classify(ctx context.Context, t *Tracker, err error) Reason {
	if err == nil {
		return Answered
	}
	phase, silence := PhaseNone, PhaseNone
	if t != nil {
		phase = t.Phase()
		silence = phase
		if t.Unacknowledged() {
			silence = PhaseTCP // on a connection made earlier, a dead machine looks as it does to a new one
		}
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return DNS
	case certificate(err):
		return TLS
	case timedOut(err):
		// Before the refusals: where errors are joined, one of silence and one of a refusal, silence counts.
		return silence.timeout()
	case isAny(err, refused):
		return Refused
	case isAny(err, unreachable):
		return Unreachable
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return silence.timeout()
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		// We gave up for reasons of our own: that says nothing about the peer.
		return Other
	case hungUp(err):
		// Accepted and then closed where the protocol has more to say. Not TLS: that reason is ours.
		return Protocol
	}
	return phase.failure()
}

// timeout is the reason for silence in this phase.
func (p Phase) timeout() Reason {
	switch p {
	case PhaseNone:
		return Other
	case PhaseDNS:
		return DNS
	case PhaseTCP:
		return TCPTimeout
	case PhaseTLS:
		return TLSTimeout
	case PhasePrelogin, PhaseLogin:
		return LoginTimeout
	case PhaseQuery:
		return QueryTimeout
	}
	return Other
}

// failure is the reason for an error of no known type in this phase.
func (p Phase) failure() Reason {
	switch p {
	case PhaseDNS:
		return DNS
	case PhaseTLS:
		return TLS
	case PhasePrelogin, PhaseLogin, PhaseQuery:
		return Protocol
	case PhaseNone, PhaseTCP:
		return Other
	}
	return Other
}

// timedOut reports whether err is a time-out, whoever set the clock.
func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || isAny(err, gone) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// certificate reports whether err is about a TLS handshake: a certificate that does not convince us, or an alert.
func certificate(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		echo         *tls.ECHRejectionError
		authority    x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		hostname     x509.HostnameError
		roots        x509.SystemRootsError
		op           *net.OpError
	)
	if errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &echo) ||
		errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &hostname) || errors.As(err, &roots) {
		return true
	}
	// crypto/tls wraps alerts, whose type it does not export, in a net.OpError with one of two operations of its own.
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

// hungUp reports whether the peer, or something between, ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isAny(err, reset)
}

// isAny reports whether err is one of the operating system's errors.
func isAny(err error, errnos []syscall.Errno) bool {
	return slices.ContainsFunc(errnos, func(e syscall.Errno) bool { return errors.Is(err, e) })
}
