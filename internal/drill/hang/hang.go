// Package hang is the measured experiment on peers that hang: SQL Servers, hosts and guests that take a connection and
// keep silent, each in one of six ways for each protocol, all of them scraped at once through the exporter's own /probe.
//
//	r, err := hang.Run(ctx, hang.Options{Dir: dir, For: time.Minute, Every: 2 * time.Second})
//	fmt.Println(r.Scrapes, r.Worst, r.Troubles)
//
// Run judges: every answer within the probe's deadline and 100 ms, with the reason of its stage, and nothing left
// afterwards, no goroutine, connection or memory. Neighbours measures what such a peer costs the healthy ones beside it.
// It runs in real time, over loopback, and only on Linux, where a peer can leave a SYN unanswered.
package hang

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Way is one way of hanging.
type Way int

// The ways, in the order in which a connection reaches them.
const (
	// SYN leaves the SYN unanswered, as a machine without power does.
	SYN Way = iota
	// Accept takes the connection and says nothing: a machine whose kernel lives and whose programs do not.
	Accept
	// TLS falls silent in the middle of the handshake.
	TLS
	// Login reads who wants in, and says nothing. For SQL Server that is LOGIN7, a ticket of Kerberos in it where that is the
	// scheme; for WS-Management the header with Basic's credential, whose body is never read, or with the ticket, or NTLM's
	// first message or its last, on one connection this and on the next that.
	Login
	// Query lets in and leaves the question unanswered: a statement, or the Pull of an enumeration that has begun.
	Query
	// Trickle answers with one byte a second: each read is in time, and the whole never is.
	Trickle
)

// Ways lists all of them.
func Ways() []Way { return []Way{SYN, Accept, TLS, Login, Query, Trickle} }

// String is the way's name, fit for a name in the inventory.
func (w Way) String() string {
	switch w {
	case SYN:
		return "SYN"
	case Accept:
		return "ACCEPT"
	case TLS:
		return "TLS"
	case Login:
		return "LOGIN"
	case Query:
		return "QUERY"
	case Trickle:
		return "TRICKLE"
	}
	return fmt.Sprintf("Way(%d)", int(w))
}

// kind is what a peer is, and by that what it speaks.
type kind string

// The kinds. The first two of SQL Server differ in where TLS comes: around everything, or inside TDS. Hosts and guests
// speak WS-Management. The scheme is basic, or the one that the kind's name says.
const (
	tds8        kind = "TDS8"  // encrypt: strict
	tds74       kind = "TDS74" // encrypt: mandatory
	host        kind = "HOST"
	guest       kind = "GUEST"
	ntlm        kind = "NTLM"        // a host
	kerberos    kind = "KERBEROS"    // a host
	tdsKerberos kind = "TDSKERBEROS" // encrypt: strict
)

// kinds lists all of them; those that take tickets are there where there is a realm.
func kinds(realm bool) []kind {
	all := []kind{tds8, tds74, host, guest, ntlm}
	if realm {
		all = append(all, kerberos, tdsKerberos)
	}
	return all
}

// sql reports whether the peer is a SQL Server.
func (k kind) sql() bool { return k == tds8 || k == tds74 || k == tdsKerberos }

// reason is what the exporter has to say of a peer that hangs in this way.
func (w Way) reason(k kind) dial.Reason {
	switch w {
	case SYN:
		return dial.TCPTimeout
	case Accept:
		if k == tds74 { // PRELOGIN comes before TLS there
			return dial.LoginTimeout
		}
		return dial.TLSTimeout
	case TLS:
		return dial.TLSTimeout
	case Login:
		if k == host || k == guest { // Basic's credential travels with the question
			return dial.QueryTimeout
		}
		return dial.LoginTimeout
	case Query:
		return dial.QueryTimeout
	case Trickle: // of everything for SQL Server, of the answer for WS-Management
		switch k {
		case tds8, tdsKerberos:
			return dial.TLSTimeout
		case tds74:
			return dial.LoginTimeout
		case host, guest, ntlm, kerberos:
			return dial.QueryTimeout
		}
	}
	return dial.Other
}
