package sqlhealth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// ServerState is what SQL Server says of itself by letting a login in, or by the number with which it refuses.
type ServerState int

// The states.
const (
	// StateUnknown: it said nothing of itself.
	StateUnknown ServerState = iota
	// StateRunning: it let the login in.
	StateRunning
	// StateStarting: it is starting, recovering or upgrading its own databases (17187, 18401).
	StateStarting
	// StatePaused: somebody paused the service (17142).
	StatePaused
	// StateShuttingDown: it is being stopped (17188, 6005).
	StateShuttingDown
	// StateRestricted: it is in single-user mode or lets administrators in only (18461, 18451).
	StateRestricted
	// StateExhausted: it has no connection, thread or memory left for a login (17809, 17810, 17189, 17300, 701).
	StateExhausted
)

// String is the state in small letters.
func (s ServerState) String() string {
	switch s {
	case StateUnknown:
		return "unknown"
	case StateRunning:
		return "running"
	case StateStarting:
		return "starting"
	case StatePaused:
		return "paused"
	case StateShuttingDown:
		return "shutting down"
	case StateRestricted:
		return "restricted"
	case StateExhausted:
		return "exhausted"
	}
	return fmt.Sprintf("ServerState(%d)", int(s))
}

// Error is why an attempt failed.
type Error struct {
	Target string
	Phase  dial.Phase
	Reason dial.Reason
	State  ServerState
	Number int32 // SQL Server's, 0 where it sent none

	text    string
	ended   error // the context's, where it ended
	waiting bool  // nothing has failed yet
	spoke   bool  // SQL Server answered, and the answer is what is wrong
}

// Error names the target, the phase and the cause; never a password.
func (e *Error) Error() string {
	return fmt.Sprintf("sql server %s: %v: %s", e.Target, e.Phase, e.text)
}

// Unwrap is the context's error, if it was the context that ended the attempt. The driver's own errors stay inside:
// they may quote what the server sent.
func (e *Error) Unwrap() error { return e.ended }

var (
	// errRouted stops the driver from following a server that sends it elsewhere.
	errRouted = errors.New("the server asks to be routed to another one, which is not followed")
	// errClearText stops a login from going out without encryption.
	errClearText = errors.New("the server offers no encryption; a password is not sent in clear")
	// errTooLarge stops an answer that no SQL Server gives.
	errTooLarge = fmt.Errorf("an answer of more than %d MiB, which is the limit", maxAnswer>>20)
	// errPassword says that there is no password to log in with.
	errPassword = errors.New("password not available")
)

// permissionNumber is "VIEW SERVER STATE permission was denied".
const permissionNumber = 300

// judge makes an Error of what an attempt ended with.
func (a *attempt) judge(ctx context.Context, err error) *Error {
	phase := a.progress.at()
	e := &Error{Target: a.prober.address, Phase: phase, text: a.redact(err), spoke: a.spoke(err)}
	if held := a.held.Load(); held != nil {
		e.Reason, e.text = dial.Auth, held.Error()
		return e
	}
	var server mssql.Error
	if errors.As(err, &server) {
		e.Number, e.Reason, e.State = numbered(server, phase)
		return e
	}
	switch {
	case ctx.Err() != nil:
		e.ended = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		// A dial can end a moment before the context says so.
		e.ended = context.DeadlineExceeded
	}
	switch {
	case errors.Is(err, errHung):
		e.Reason = dial.ProviderHung
	case errors.Is(err, errPassword), errors.As(err, new(*authError)), a.waiting.Load():
		// Whatever kept us from proving who we are, a silent KDC too, says nothing about SQL Server.
		e.Reason = dial.Auth
	case errors.Is(err, errUnseen):
		e.Reason, e.State = dial.Permission, StateRunning
	case errors.Is(err, errClearText):
		e.Reason = dial.TLS
	case errors.Is(err, errRouted), errors.Is(err, errTooLarge):
		e.Reason = dial.Protocol
	case errors.Is(a.progress.lastError(), errTooLarge):
		e.Reason, e.text = dial.Protocol, errTooLarge.Error()
	default:
		// The driver makes text of some errors; the connection remembers the one it gave.
		e.Reason = a.progress.refine(dial.Classify(ctx, a.tracker, errors.Join(err, a.progress.lastError())))
	}
	return e
}

// spoke reports whether what went wrong is what SQL Server said: it is of another version, or we have a fault, and it
// does not hang.
func (a *attempt) spoke(err error) bool {
	last := a.progress.lastError()
	switch {
	case errors.Is(err, errShape), errors.Is(err, errRouted), errors.Is(err, errTooLarge), errors.Is(last, errTooLarge):
		return true
	}
	// The driver makes the same of a connection that was closed in between and of a procedure that came to its end.
	return errors.Is(err, errStreamEnded) && last == nil
}

// redact is the error's text. A server could send back what it was sent, so the password is looked for.
func (a *attempt) redact(err error) string {
	text := err.Error()
	if secret := a.secret.Reveal(); secret != "" {
		text = strings.ReplaceAll(text, secret, "<secret>")
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// numbered judges SQL Server's own answer. Of several errors the first with a meaning here counts: 4060 comes with a
// 18456 behind it.
func numbered(server mssql.Error, phase dial.Phase) (int32, dial.Reason, ServerState) {
	for _, e := range append(server.All, server) {
		if reason, state, ok := meaning(e.Number); ok {
			return e.Number, reason, state
		}
	}
	state := StateUnknown
	if phase == dial.PhaseQuery {
		state = StateRunning // it let us in
	}
	return server.Number, dial.Other, state
}

// meaning is what a number says, if it is one that says something to us. Numbers: learn.microsoft.com, "Database Engine
// events and errors".
func meaning(number int32) (dial.Reason, ServerState, bool) {
	switch number {
	case 17187, 18401:
		return dial.Other, StateStarting, true
	case 17142:
		return dial.Other, StatePaused, true
	case 17188, 6005:
		return dial.Other, StateShuttingDown, true
	case 18451, 18461:
		return dial.Other, StateRestricted, true
	case 17809, 17810, 17189, 17300, 701:
		return dial.Other, StateExhausted, true
	case 18456, // wrong user or password; the state that clients see is always 1
		18450, 18452, // not from a trusted connection, untrusted domain
		18458, 18459, 18460, // licences
		18462, 18463, 18464, 18465, 18466, 18467, 18468, // change of the password
		18470, 18486, 18487, 18488, // disabled, locked, expired, to be changed
		17892: // a logon trigger
		return dial.Auth, StateRunning, true
	case 229, 230, 262, 297, 300, 371, 916, 4060, 4064:
		return dial.Permission, StateRunning, true
	}
	return "", StateUnknown, false
}

// refusesSecret reports whether a number says that the secret itself is refused, so that trying it again counts against
// the account: a wrong name or password, a login that this has locked already, and how an instance answers a Windows
// account whose proof its domain does not take (MSSQLSERVER_18456, MSSQLSERVER_18452). An instance that is starting says
// 18401, and an account that is disabled or has to change its password was known by it.
func refusesSecret(number int32) bool { return number == 18456 || number == 18486 || number == 18452 }

// isPermission reports whether SQL Server refused a statement for want of a permission.
func isPermission(err error) bool {
	var server mssql.Error
	if !errors.As(err, &server) {
		return false
	}
	_, reason, _ := numbered(server, dial.PhaseQuery)
	return reason == dial.Permission
}
