package kerberos

import (
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
)

// Cause tells failures apart, as far as the KDC, or its silence, does.
type Cause int

// The causes.
const (
	// Refused: the KDC or the service said no for a reason that is none of the others.
	Refused Cause = iota
	// WrongSecret: the password or the key in the keytab is not the account's.
	WrongSecret
	// UnknownAccount: the KDC knows no such account.
	UnknownAccount
	// LockedAccount: the account is disabled, locked or outside of its hours.
	LockedAccount
	// ExpiredSecret: the password has expired.
	ExpiredSecret
	// UnknownService: no account has this service's name (SPN).
	UnknownService
	// Skew: our clock and the other's differ by more than five minutes.
	Skew
	// Expired: a ticket has expired.
	Expired
	// WrongService: the service could not read the ticket: its name belongs to another account, or its key changed.
	WrongService
	// Unreachable: no KDC could be connected to.
	Unreachable
	// Silent: no KDC answered in time.
	Silent
	// Malformed: an answer that is none.
	Malformed
	// Misconfigured: krb5.conf, or the secret, cannot be used.
	Misconfigured
	// Closed: the client is closed.
	Closed
)

// String is the cause in words.
func (c Cause) String() string {
	switch c {
	case Refused:
		return "refused"
	case WrongSecret:
		return "wrong password or key"
	case UnknownAccount:
		return "unknown account"
	case LockedAccount:
		return "account disabled or locked"
	case ExpiredSecret:
		return "password expired"
	case UnknownService:
		return "unknown service name"
	case Skew:
		return "clock skew too great"
	case Expired:
		return "ticket expired"
	case WrongService:
		return "service name belongs to another account, or its key changed"
	case Unreachable:
		return "KDC unreachable"
	case Silent:
		return "KDC silent"
	case Malformed:
		return "malformed answer"
	case Misconfigured:
		return "not usable as configured"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("cause(%d)", int(c))
}

// refused reports whether somebody said no, so that asking again at once is of no use and may lock an account.
func (c Cause) refused() bool {
	switch c {
	case Refused, WrongSecret, UnknownAccount, LockedAccount, ExpiredSecret, UnknownService, Skew, WrongService:
		return true
	case Expired, Unreachable, Silent, Malformed, Misconfigured, Closed:
		return false
	}
	return false
}

// secret reports whether it is the account or its secret that the KDC refuses, which locks accounts.
func (c Cause) secret() bool {
	switch c {
	case WrongSecret, UnknownAccount, LockedAccount, ExpiredSecret:
		return true
	case Refused, UnknownService, Skew, Expired, WrongService, Unreachable, Silent, Malformed, Misconfigured, Closed:
		return false
	}
	return false
}

// Error is why there is no ticket, or why a service refused one. It never holds a secret. None of its causes says
// anything about the health of the service: the KDC is somebody else.
type Error struct {
	Cause   Cause
	Service string // whose ticket was asked for; empty where it was the account's own
	err     error
}

// Error names the service and the cause.
func (e *Error) Error() string {
	text := "kerberos"
	if e.Service != "" {
		text += " for " + e.Service
	}
	text += ": " + e.Cause.String()
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

// Unwrap is what lies behind it.
func (e *Error) Unwrap() error { return e.err }

// errClosed says that Close was called.
var errClosed = errors.New("client is closed")

// named adds the service to an error that was found while getting its ticket.
func named(err error, spn string) error {
	var k *Error
	if errors.As(err, &k) && k.Service == "" && spn != grantor {
		return &Error{Cause: k.Cause, Service: spn, err: k.err}
	}
	return err
}

// causeOf is what a code of RFC 4120 (section 7.5.9) says. account tells whether it was the account's own ticket that
// was asked for, where some codes are about the secret.
func causeOf(code int32) Cause {
	switch code {
	case errorcode.KDC_ERR_PREAUTH_FAILED:
		return WrongSecret
	case errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN, errorcode.KDC_ERR_NAME_EXP, errorcode.KDC_ERR_WRONG_REALM:
		return UnknownAccount
	case errorcode.KDC_ERR_CLIENT_REVOKED, errorcode.KDC_ERR_CLIENT_NOTYET:
		return LockedAccount
	case errorcode.KDC_ERR_KEY_EXPIRED:
		return ExpiredSecret
	case errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN:
		return UnknownService
	case errorcode.KRB_AP_ERR_SKEW:
		return Skew
	case errorcode.KRB_AP_ERR_TKT_EXPIRED, errorcode.KDC_ERR_TGT_REVOKED:
		return Expired
	case errorcode.KRB_AP_ERR_MODIFIED, errorcode.KRB_AP_ERR_BAD_INTEGRITY, errorcode.KRB_AP_ERR_NOT_US, errorcode.KRB_AP_ERR_NOKEY,
		errorcode.KRB_AP_ERR_BADKEYVER:
		return WrongService
	}
	return Refused
}
