package sqlhealth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Admin asks one instance over its dedicated administrator connection (DAC), for which SQL Server keeps a scheduler, memory
// and a port of their own: it answers there where it has no worker left for anybody else. There is one such connection for
// an instance, and a person may need it: each attempt logs in, asks one question and leaves. Source: learn.microsoft.com,
// "Diagnostic connection for database administrators".
//
// An Admin is safe for concurrent use; one attempt is made at a time.
type Admin struct {
	options Options
	known   *Prober // of the port that needs no asking; nil where there is none
	// host and instance are what SQL Server Browser is asked, at its port; empty where it is not asked.
	host, instance, browser string

	turn  chan struct{}
	mu    sync.Mutex
	found *Prober // of the port that it told last
}

// Where a default instance has its DAC, and where SQL Server Browser knows those of the others. Sources:
// learn.microsoft.com, "remote admin connections server configuration option"; MC-SQLR 2.1.
const (
	adminPort   = "1434"
	browserPort = "1434"
)

// defaultInstance is what the configuration calls it.
const defaultInstance = "MSSQLSERVER"

// adminTaken is SQL Server's number for a DAC that somebody else uses: the maximum number of 1 exists already (sys.messages
// 17810; learn.microsoft.com, "Diagnostic connection for database administrators"). Others saw that the connection is closed
// instead (oraclespin.com/2010/02/28/dedicated-connection: "forcibly closed by the remote host").
const adminTaken = 17810

// AdminState is what became of an attempt.
type AdminState int

// The states.
const (
	AdminUnknown AdminState = iota // it says nothing about SQL Server
	AdminAnswers                   // it let us in and answered
	AdminTaken                     // it told us that somebody else uses the one connection
	AdminClosed                    // it took the connection and closed it, as it may where somebody else uses the one
	AdminRefused                   // nobody listens: SQL Server is down, or its DAC is not open to the network
	AdminSilent                    // it took the connection and did not answer in time
)

// AdminAnswer is what one attempt found.
type AdminAnswer struct {
	State AdminState
	// Reason and Err say why it is not AdminAnswers or AdminTaken. Err never holds a password.
	Reason dial.Reason
	Err    error
}

// NewAdmin checks the options, whose target's address is host:port, or a host alone. Then a default instance has the port
// 1434, and where nobody listens there, or for another instance, SQL Server Browser is asked, at each attempt: the port may
// be another one after each start. So does SQL Server's own client (learn.microsoft.com, "Diagnostic connection for database
// administrators", "DAC port").
func NewAdmin(o Options, instance string) (*Admin, error) {
	a := &Admin{options: o, browser: browserPort, turn: make(chan struct{}, 1)}
	address := o.Target.Address
	if _, _, err := net.SplitHostPort(address); err != nil {
		a.host, a.instance = strings.Trim(address, "[]"), instance
		address = net.JoinHostPort(a.host, adminPort)
	}
	p, err := a.at(address)
	if a.instance == "" || strings.EqualFold(a.instance, defaultInstance) {
		a.known = p
	}
	return a, err
}

// at makes a prober of an address.
func (a *Admin) at(address string) (*Prober, error) {
	o := a.options
	o.Target.Address = address
	p, err := New(o)
	if err != nil {
		return nil, fmt.Errorf("dedicated administrator connection: %w", err)
	}
	return p, nil
}

// Abandoned is as a Prober's.
func (a *Admin) Abandoned() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, p := range []*Prober{a.known, a.found} {
		if p != nil {
			n += p.Abandoned()
		}
	}
	return n
}

// AskAdmin makes one attempt. It returns when ctx ends, as every call of this package.
func (a *Admin) AskAdmin(ctx context.Context) AdminAnswer {
	// Two attempts at the one connection would be in each other's way.
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return AdminAnswer{Reason: dial.Other, Err: fmt.Errorf("waiting for an earlier attempt: %w", ctx.Err())}
	}
	var answer AdminAnswer
	if a.known != nil {
		if answer = logIn(ctx, a.known); answer.State != AdminRefused || a.instance == "" {
			return answer
		}
	}
	p, err := a.locate(ctx)
	switch {
	case err == nil:
		return logIn(ctx, p)
	case a.known != nil:
		return answer // of the port that it has as a rule
	}
	return AdminAnswer{Reason: dial.Other, Err: fmt.Errorf("ask SQL Server Browser for the dedicated administrator connection of %s: %w", a.instance, err)}
}

// logIn makes an attempt at one port.
func logIn(ctx context.Context, p *Prober) AdminAnswer {
	a := newAttempt(p)
	_, err := perform(ctx, a, func(s *session) (identity, error) { return s.identity(identityOnly) })
	if err == nil {
		return AdminAnswer{State: AdminAnswers}
	}
	return adminAnswer(a.judge(ctx, err))
}

// adminAnswer judges a failure.
func adminAnswer(e *Error) AdminAnswer {
	if e.Number == adminTaken {
		return AdminAnswer{State: AdminTaken}
	}
	answer := AdminAnswer{Reason: e.Reason, Err: e}
	switch e.Reason {
	case dial.Refused:
		answer.State = AdminRefused
	case dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout:
		answer.State = AdminSilent
	case dial.Protocol:
		if !e.spoke {
			answer.State = AdminClosed
		}
	case dial.Answered, dial.DNS, dial.Unreachable, dial.TCPTimeout, dial.TLS, dial.Auth, dial.Permission, dial.Namespace, dial.ProviderHung, dial.Other:
	}
	return answer
}

// locate is a prober of the port that SQL Server Browser tells, which has half of the time that is left.
func (a *Admin) locate(ctx context.Context) (*Prober, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	port, err := askBrowser(ctx, net.JoinHostPort(a.host, a.browser), a.instance)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(a.host, strconv.Itoa(int(port)))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found != nil && a.found.address == address {
		return a.found, nil
	}
	p, err := a.at(address)
	if err == nil {
		a.found = p
	}
	return p, err
}

// The messages of SQL Server Browser: CLNT_UCAST_DAC (MC-SQLR 2.2.4) and SVR_RESP (DAC) (2.2.6).
const (
	browserAsksAdmin = 0x0F
	browserVersion   = 0x01
	browserAnswers   = 0x05
	browserSize      = 6 // of the whole answer
	maxInstance      = 32
)

var errBrowser = errors.New("its answer is none")

// askBrowser asks for the port of an instance's DAC. Whoever answers in the Browser's place can name another port of the same
// host, and is shown no secret there without the host's certificate.
func askBrowser(ctx context.Context, address, instance string) (uint16, error) {
	if len(instance) > maxInstance {
		return 0, fmt.Errorf("the name has more than %d bytes", maxInstance)
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write(append(append([]byte{browserAsksAdmin, browserVersion}, instance...), 0)); err != nil {
		return 0, err
	}
	b := make([]byte, browserSize+1) // one more tells a longer answer
	n, err := c.Read(b)
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("it does not answer: %w", ctx.Err())
	case err != nil:
		return 0, err
	}
	return readBrowser(b[:n])
}

// readBrowser reads an answer, which anybody may have sent.
func readBrowser(b []byte) (uint16, error) {
	if len(b) != browserSize || b[0] != browserAnswers || binary.LittleEndian.Uint16(b[1:]) != browserSize || b[3] != browserVersion {
		return 0, errBrowser
	}
	port := binary.LittleEndian.Uint16(b[4:])
	if port == 0 {
		return 0, errBrowser
	}
	return port, nil
}
