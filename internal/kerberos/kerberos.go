// Package kerberos is the client's side of Kerberos for both protocols: it keeps a ticket for every service that it was
// told of, gets the next one long before the present one ends, and makes tokens of them. It takes what is in messages and
// ciphers from github.com/jcmturner/gokrb5, but not that library's client, which waits for a key distribution centre (KDC)
// without regard to any deadline and believes it every length.
//
//	c, err := kerberos.New(kerberos.Options{Username: "hv-reader@CORP.EXAMPLE", Keytab: readKeytab, Logger: logger})
//	defer c.Close()
//	err = c.Keep("HTTP/hv1.corp.example")              // from now on there is a ticket, as far as the KDC gives one
//	token, err := c.Token(ctx, "HTTP/hv1.corp.example", channel.ServerEndPoint(state))
//
// No call waits for a KDC longer than its context allows, and none waits at all while a ticket is valid. What a KDC says
// no to is not asked again for a while: an account whose password is wrong would be locked.
//
// A Client is safe for concurrent use.
package kerberos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// How long what may take.
const (
	// exchangeTimeout bounds getting one ticket, whoever waits for it.
	exchangeTimeout = 10 * time.Second
	// refusedRetry is how long a KDC that said no is not asked for the same again. A secret that it refused is held back
	// longer, by Options.Lockout.
	refusedRetry = 5 * time.Minute
	// silentRetry is the same for a KDC that said nothing of use.
	silentRetry = 5 * time.Second
	// maxExchanges bounds how many tickets are fetched at the same time, so that a thousand services that fall due
	// together are no storm.
	maxExchanges = 8
)

// Options are what a Client needs. Exactly one of Keytab and Password is given.
type Options struct {
	// Username is user@REALM, or user where krb5.conf names a default realm.
	Username string
	// ConfigFile is krb5.conf; DefaultConfigFile where empty.
	ConfigFile string
	// Keytab and Password are asked each time that somebody has to prove who he is to the KDC, so that a changed file
	// counts without a restart.
	Keytab   func() ([]byte, error)
	Password func() (string, error)
	// Lockout holds back a secret that the KDC refused; nil holds nothing back.
	Lockout *lockout.Keeper
	// Names remembers what the KDCs' names resolved to; nil remembers nothing.
	Names  *dial.Names
	Logger log.Logger
}

// DefaultConfigFile is where systems keep krb5.conf.
const DefaultConfigFile = "/etc/krb5.conf"

// Client keeps the tickets of one account.
type Client struct {
	principal types.PrincipalName
	realm     string
	kdc       exchanger
	logger    log.Logger

	running context.Context // the life of the client: tickets are fetched for whoever comes next, too
	stop    context.CancelFunc
	work    sync.WaitGroup
	slots   chan struct{}

	mu      sync.Mutex
	closed  bool
	entries map[string]*entry // by service, as it was named; the account's own ticket under grantor
}

// exchanger gets tickets.
type exchanger interface {
	// grantor proves who we are and returns the ticket that gets other tickets.
	grantor(ctx context.Context) (ticket, error)
	// service returns the ticket for a service.
	service(ctx context.Context, grantor ticket, spn string) (ticket, error)
}

// ticket is one ticket with the key that belongs to it.
type ticket struct {
	ticket  messages.Ticket
	key     types.EncryptionKey
	begin   time.Time
	end     time.Time
	realm   string // of the KDC that takes it, for a grantor
	present bool
}

// margin is how long before its end a ticket is not used any more: the service's clock may be ahead of ours.
func (t ticket) margin() time.Duration { return min(time.Minute, t.end.Sub(t.begin)/10) }

// usable reports whether the ticket is good now.
func (t ticket) usable(now time.Time) bool { return t.present && now.Before(t.end.Add(-t.margin())) }

// due is when the next one is fetched: at two thirds of its life, so that a KDC may be away for hours before anybody
// notices.
func (t ticket) due() time.Time { return t.begin.Add(t.end.Sub(t.begin) * 2 / 3) }

// entry is the ticket for one service, and what is being done for the next.
type entry struct {
	ticket  ticket
	err     error     // of the last try; nil after a success
	retry   time.Time // when the next try may begin
	pending chan struct{}
	timer   *time.Timer
}

// grantor is the key of the ticket that gets other tickets.
const grantor = ""

// New checks the options and reads krb5.conf. It connects to nothing.
func New(o Options) (*Client, error) {
	if o.Logger == nil {
		return nil, errors.New("kerberos: no logger")
	}
	k, err := newKDC(o)
	if err != nil {
		return nil, err
	}
	return newClient(k.principal, k.realm, k, o.Logger), nil
}

func newClient(p types.PrincipalName, realm string, k exchanger, l log.Logger) *Client {
	c := &Client{
		principal: p, realm: realm, kdc: k, logger: log.With(l, "principal", p.PrincipalNameString()+"@"+realm),
		slots: make(chan struct{}, maxExchanges), entries: map[string]*entry{},
	}
	c.running, c.stop = context.WithCancel(context.Background())
	return c
}

// Close ends what is being fetched and keeps nothing from now on. It returns when nothing runs any more.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, e := range c.entries {
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
	return nil
}

// CheckSPN reports what is wrong with the name of a service: service/host or service/host:port.
func CheckSPN(spn string) error {
	service, host, ok := strings.Cut(spn, "/")
	if !ok || service == "" || host == "" || strings.ContainsAny(spn, "@\\ \t\r\n\x00") || strings.Contains(host, "/") {
		return fmt.Errorf("%q is not the name of a service; use service/host or service/host:port", spn)
	}
	return nil
}

// Keep makes sure that there is a ticket for the service, from now until Close. It does not wait for one.
func (c *Client) Keep(spn string) error {
	if err := CheckSPN(spn); err != nil {
		return fmt.Errorf("kerberos: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.entries[spn] == nil {
		c.fetch(spn)
	}
	return nil
}

// Token returns a token for the service that proves who we are, once: an SPNEGO token with Kerberos in it (RFC 4178, RFC
// 4121), bound to the connection by applicationData where there is some. The error is an *Error.
func (c *Client) Token(ctx context.Context, spn string, applicationData []byte) ([]byte, error) {
	t, err := c.get(ctx, spn)
	if err != nil {
		return nil, err
	}
	b, err := c.initial(t, applicationData)
	if err != nil {
		return nil, &Error{Cause: Malformed, Service: spn, err: err}
	}
	return b, nil
}

// Forget drops the ticket for a service that refused it: the service may have another key by now.
func (c *Client) Forget(spn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[spn]; e != nil && !c.closed {
		e.ticket = ticket{}
	}
}

// Expires tells until when there is a usable ticket, by service; a service without one is not in it.
func (c *Client) Expires() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]time.Time, len(c.entries))
	for spn, e := range c.entries {
		if spn != grantor && e.ticket.usable(time.Now()) {
			out[spn] = e.ticket.end
		}
	}
	return maps.Clone(out)
}

// get returns a usable ticket, waiting for one as long as ctx allows.
func (c *Client) get(ctx context.Context, spn string) (ticket, error) {
	waited := false
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return ticket{}, &Error{Cause: Closed, Service: spn, err: errClosed}
		}
		now := time.Now()
		e := c.entries[spn]
		switch {
		case e != nil && e.ticket.usable(now):
			t := e.ticket
			c.mu.Unlock()
			return t, nil
		case e != nil && e.pending == nil && e.err != nil && (waited || now.Before(e.retry)):
			err := e.err
			c.mu.Unlock()
			return ticket{}, named(err, spn)
		}
		if e == nil || e.pending == nil {
			e = c.fetch(spn)
		}
		pending := e.pending
		c.mu.Unlock()
		select {
		case <-pending:
			waited = true
		case <-ctx.Done():
			return ticket{}, &Error{Cause: Silent, Service: spn, err: fmt.Errorf("no ticket yet: %w", ctx.Err())}
		}
	}
}

// fetch begins to get a ticket, unless that is under way; the caller holds the lock, and the client is not closed.
func (c *Client) fetch(spn string) *entry {
	e := c.entries[spn]
	if e == nil {
		e = &entry{}
		c.entries[spn] = e
	}
	if e.pending != nil {
		return e
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	pending := make(chan struct{})
	e.pending = pending
	c.work.Go(func() {
		t, err := c.exchange(spn)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settle(spn, e, t, err)
		close(pending)
	})
	return e
}

// exchange gets a ticket from the KDC.
func (c *Client) exchange(spn string) (ticket, error) {
	ctx, cancel := context.WithTimeout(c.running, exchangeTimeout)
	defer cancel()
	if spn == grantor {
		return c.kdc.grantor(ctx)
	}
	c.refresh(ctx)
	g, err := c.get(ctx, grantor)
	if err != nil {
		return ticket{}, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ticket{}, &Error{Cause: Silent, err: ctx.Err()}
	}
	t, err := c.kdc.service(ctx, g, spn)
	var refused *Error
	if errors.As(err, &refused) && refused.Cause == Expired {
		c.Forget(grantor) // the KDC's clock is ahead of ours: the next try begins anew
	}
	return t, err
}

// refresh has the account's own ticket renewed where it is due or will be in a minute: a ticket for a service lives no
// longer than the one that it was got with. It waits for the outcome, whatever that is.
func (c *Client) refresh(ctx context.Context) {
	c.mu.Lock()
	e := c.entries[grantor]
	if c.closed || e == nil || !e.ticket.present || e.err != nil || time.Now().Add(time.Minute).Before(e.ticket.due()) {
		c.mu.Unlock()
		return
	}
	pending := c.fetch(grantor).pending
	c.mu.Unlock()
	select {
	case <-pending:
	case <-ctx.Done():
	}
}

// settle records the outcome of a try and sets the time of the next; the caller holds the lock.
func (c *Client) settle(spn string, e *entry, t ticket, err error) {
	now := time.Now()
	e.pending, e.err = nil, err
	if c.closed {
		return
	}
	service := spn
	if spn == grantor {
		service = "the KDC"
	}
	if err == nil {
		e.ticket = t
		_ = level.Debug(c.logger).Log("msg", "ticket obtained", "service", service, "until", t.end)
		e.timer = time.AfterFunc(max(time.Until(t.due()), silentRetry), func() { c.renew(spn) })
		return
	}
	wait := silentRetry
	var k *Error
	known := errors.As(err, &k)
	var held *lockout.Held
	switch {
	case errors.As(err, &held), known && k.Cause.secret():
		// The secret is looked at again soon, and is shown to nobody before its time unless it has changed.
	case known && k.Cause.refused():
		wait = refusedRetry
	}
	// A failure of the account itself has no service. It is told once, and not once for each service; those wait for it.
	account := spn == grantor || known && k.Service == ""
	if g := c.entries[grantor]; account && spn != grantor && g != nil && g.err != nil {
		wait = max(g.retry.Sub(now), 0) + time.Second
	}
	e.retry = now.Add(wait)
	e.timer = time.AfterFunc(wait, func() { c.renew(spn) })
	if held == nil && (spn == grantor || !account) {
		_ = level.Warn(c.logger).Log("msg", "ticket not obtained", "service", service, "retry_in", wait, "usable_until", e.ticket.end, "err", err)
	}
}

// renew gets the next ticket ahead of need.
func (c *Client) renew(spn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[spn]
	if c.closed || e.err == nil && e.ticket.present && time.Now().Before(e.ticket.due()) {
		return // closed, or renewed by somebody else while the timer rang
	}
	c.fetch(spn)
}
