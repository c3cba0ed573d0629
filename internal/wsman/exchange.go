package wsman

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// contentType is what WinRM wants of a request.
const contentType = "application/soap+xml;charset=UTF-8"

// errClosed says that Close was called.
var errClosed = errors.New("client is closed")

// ask puts q to the machine: to its addresses in turn, the last good one first, until one answers. It returns the
// endpoint that did. A fault is an answer, and an error.
func (c *Client) ask(ctx context.Context, q *question) (*message, *endpoint, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	begun := time.Now()
	m, e, err := c.askInTurn(ctx, q)
	logger := level.Debug(c.logger)
	if err != nil {
		_ = logger.Log("msg", "request failed", "op", q.op, "duration", time.Since(begun), "reason", Reason(err), "err", err)
	} else {
		_ = logger.Log("msg", "request answered", "op", q.op, "address", e.address, "duration", time.Since(begun))
	}
	return m, e, err
}

// askInTurn is ask without the formalities.
func (c *Client) askInTurn(ctx context.Context, q *question) (*message, *endpoint, error) {
	order := c.order(q.at)
	if order == nil {
		return nil, nil, &Error{Op: q.op, Address: c.endpoints[0].address, Cause: dial.Other, Err: errClosed}
	}
	var worst *Error
	for i, e := range order {
		m, err := c.askAt(ctx, e, q, len(order)-i)
		if err == nil {
			c.answered(e)
			return m, e, nil
		}
		if err.Fault != nil {
			c.answered(e)
		}
		if worst == nil || weight(err.Cause) > weight(worst.Cause) {
			worst = err
		}
		if err.Fault != nil || err.Cause == dial.Auth || ctx.Err() != nil || (err.Sent && !q.idempotent) {
			// Answered, or not to be asked again. A refused password is not tried elsewhere: it would lock the account.
			return nil, nil, err.including(worst)
		}
	}
	return nil, nil, worst
}

// including returns err, or worst where that proves less; bytes that left stay on record.
func (e *Error) including(worst *Error) *Error {
	if e.Fault != nil || e.Sent || e == worst || weight(e.Cause) > weight(worst.Cause) {
		return e
	}
	return worst
}

// weight ranks failures of several addresses of one machine by how little they prove: silence before a trouble of
// our own before a refusal, which a stale address gives as well as a living machine.
func weight(r dial.Reason) int {
	switch r {
	case dial.TCPTimeout, dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout, dial.ProviderHung:
		return 5
	case dial.TLS, dial.Auth, dial.Permission, dial.Namespace:
		return 4
	case dial.Protocol, dial.Other:
		return 3
	case dial.Refused:
		return 2
	case dial.Unreachable:
		return 1
	case dial.DNS, dial.Answered:
		return 0
	}
	return 0
}

// order returns the endpoints to try, nil after Close.
func (c *Client) order(at *endpoint) []*endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if at != nil {
		return []*endpoint{at}
	}
	order := make([]*endpoint, 0, len(c.endpoints))
	order = append(order, c.endpoints[c.good])
	for i, e := range c.endpoints {
		if i != c.good {
			order = append(order, e)
		}
	}
	return order
}

// answered remembers the endpoint that answered.
func (c *Client) answered(e *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.endpoints {
		if c.endpoints[i] == e {
			c.good = i
		}
	}
}

// askAt puts q to one endpoint, over a kept connection if there is one. left counts the endpoints that share the
// remaining time, this one included.
func (c *Client) askAt(ctx context.Context, e *endpoint, q *question, left int) (*message, *Error) {
	if conn := e.pool.take(q.idempotent); conn != nil {
		a := &attempt{client: c, endpoint: e, question: q, tracker: c.names.NewTracker()}
		m, err := a.over(ctx, conn)
		switch {
		case err == nil, ctx.Err() != nil:
			return m, err
		case a.unproven:
			// Its proof was good once, and the peer wants a new one. A 401 says that nothing was done.
		case !q.idempotent, !a.mute:
			return m, err
		}
		// The peer had closed the kept connection, and not a byte of an answer came.
	}
	a := &attempt{client: c, endpoint: e, question: q, tracker: c.names.NewTracker()}
	return a.fresh(ctx, left)
}

// attempt is one try at one endpoint over one connection.
type attempt struct {
	client   *Client
	endpoint *endpoint
	question *question
	tracker  *dial.Tracker

	begun int64 // tracker's written bytes when the request began; valid where carrying
	// carrying says that the request itself, not a handshake of the scheme's, was begun.
	carrying bool
	mute     bool // the connection ended without a byte of an answer
	unproven bool // a kept connection whose session had proven it was answered with 401
}

// fail makes the attempt's Error.
func (a *attempt) fail(cause dial.Reason, fault *Fault, err error) *Error {
	return &Error{
		Op: a.question.op, Address: a.endpoint.address, Cause: cause, Fault: fault, Err: err,
		Sent: a.carrying && a.tracker.WrittenBytes() > a.begun,
	}
}

// broken classifies what went wrong between us and an answer.
func (a *attempt) broken(ctx context.Context, err error) *Error {
	var ours *credentialError
	var unproven *authError
	if errors.As(err, &ours) || errors.As(err, &unproven) {
		// Whatever kept us from proving who we are, a silent KDC too, says nothing about the machine.
		return a.fail(dial.Auth, nil, err)
	}
	if errors.Is(err, ErrStale) {
		return a.fail(dial.Other, nil, ErrStale)
	}
	if errors.Is(err, errTooLarge) {
		return a.fail(dial.Protocol, nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, a.client.maxBody))
	}
	cause := dial.Classify(ctx, a.tracker, err)
	switch {
	case cause == dial.TCPTimeout, cause == dial.TLSTimeout, cause == dial.LoginTimeout, cause == dial.QueryTimeout:
		// One error for silence, whichever clock ran out first: what a read of a connection that we closed says is
		// of no use to anybody.
		err = fmt.Errorf("%s: %w", a.stage(), context.DeadlineExceeded)
	case cause == dial.Other && ctx.Err() != nil:
		err = fmt.Errorf("%s: %w", a.stage(), ctx.Err())
	}
	return a.fail(cause, nil, err)
}

// stage says in words where the peer fell silent.
func (a *attempt) stage() string {
	switch a.tracker.Phase() {
	case dial.PhaseNone:
		return "not begun"
	case dial.PhaseDNS:
		return "name not resolved"
	case dial.PhaseTCP:
		return "no connection"
	case dial.PhasePrelogin, dial.PhaseTLS:
		return "connected, no TLS handshake"
	case dial.PhaseLogin:
		return "connected, not authenticated"
	case dial.PhaseQuery:
		if a.tracker.Unacknowledged() {
			return "asked, nothing acknowledged"
		}
		return "asked, no complete answer"
	}
	return "unknown stage"
}

// fresh connects and asks.
func (a *attempt) fresh(ctx context.Context, left int) (*message, *Error) {
	stop := a.tracker.Watch(ctx)
	conn, err := a.connect(ctx, left)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		a.tracker.CloseAll()
		return nil, a.broken(ctx, err)
	}
	return a.over(ctx, conn)
}

// connect dials, shakes hands and opens the scheme's session. Where other endpoints are left, it takes no more than
// its share of the time.
func (a *attempt) connect(ctx context.Context, left int) (*connection, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	nc, err := a.tracker.DialContext(ctx, "tcp", a.endpoint.address)
	if err != nil {
		return nil, err
	}
	raw, ok := nc.(*dial.Conn)
	if !ok {
		return nil, fmt.Errorf("dialer returned a %T", nc)
	}
	secure := tls.Client(raw, a.endpoint.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		a.client.certificates.Failed(err)
		return nil, err
	}
	a.tracker.Enter(dial.PhaseLogin)
	session, err := a.client.auth.Session(secure.ConnectionState())
	if err != nil {
		return nil, err
	}
	return newConnection(raw, secure, session), nil
}

// over asks over conn and keeps it for the next question, if it is still good for one.
func (a *attempt) over(ctx context.Context, conn *connection) (*message, *Error) {
	if err := a.tracker.Adopt(conn.raw); err != nil {
		return nil, a.fail(dial.Other, nil, err)
	}
	stop := a.tracker.Watch(ctx)
	resp, answer, err := a.roundTrip(ctx, conn)
	if err == nil {
		defer resp.decoded()
	}
	if !stop() || err != nil {
		a.tracker.CloseAll()
		if err != nil {
			e := a.broken(ctx, err)
			a.mute = conn.reused && conn.limit.left == a.client.maxBody
			if ctx.Err() != nil {
				a.endpoint.pool.drop()
			}
			return nil, e
		}
		conn = nil // the answer was complete; the connection is not ours any more
	}
	m, fail := a.judge(resp, answer)
	a.unproven = conn != nil && conn.reused && resp.StatusCode == http.StatusUnauthorized && proven(conn.session)
	if conn != nil {
		keep := !resp.Close && resp.StatusCode != http.StatusUnauthorized && (fail == nil || fail.Fault != nil)
		if a.tracker.Release(conn.raw) && keep {
			a.endpoint.pool.put(conn)
		} else {
			conn.close()
		}
	}
	return m, fail
}

// response is an HTTP answer with its body.
type response struct {
	*http.Response
	id string // of the request
	// decoded ends the turn that the answer took, once it is decoded.
	decoded func()
}

// roundTrip sends the request by the connection's session and reads the whole answer.
func (a *attempt) roundTrip(ctx context.Context, conn *connection) (*response, string, error) {
	left := maxOperationTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	id := messageID()
	body := a.question.envelope(a.endpoint.url.String(), id, left)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "hypervigil")
	conn.limit.left = a.client.maxBody
	resp, err := conn.session.RoundTrip(ctx, req, func(r *http.Request) (*http.Response, error) { return a.send(conn, r) })
	if err != nil {
		return nil, "", err
	}
	decoded, err := a.client.turns.take(ctx, resp.ContentLength)
	if err != nil {
		return nil, "", err
	}
	answer, err := a.client.readAll(resp)
	if err != nil {
		decoded()
		return nil, "", err
	}
	return &response{resp, id, decoded}, answer, nil
}

// send writes one request and reads the answer's head.
func (a *attempt) send(conn *connection, r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, err
	}
	conn.limit.left = a.client.maxBody
	if r.ContentLength != 0 {
		now := time.Now()
		if !a.question.notAfter.IsZero() && now.After(a.question.notAfter) {
			return nil, ErrStale
		}
		a.question.leftAt = now
		a.begun, a.carrying = a.tracker.WrittenBytes(), true
		a.tracker.Enter(dial.PhaseQuery)
	}
	if _, err := conn.tls.Write(b.Bytes()); err != nil {
		return nil, err
	}
	for range 5 {
		resp, err := http.ReadResponse(conn.reader, r)
		if err != nil || resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, errors.New("too many interim answers")
}

// readAll reads the body into a string without copying it twice.
func (c *Client) readAll(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	var b strings.Builder
	if n := resp.ContentLength; n > 0 && n <= 1<<20 {
		b.Grow(int(n))
	}
	part, ok := c.parts.Get().(*[partSize]byte)
	if !ok {
		part = new([partSize]byte)
	}
	defer c.parts.Put(part)
	_, err := io.CopyBuffer(&b, resp.Body, part[:])
	return b.String(), err
}

// partSize is how much of a body is read at once: a TLS record has 16 KiB at most.
const partSize = 16 << 10

// judge makes the answer a message, or an Error where it is none.
func (a *attempt) judge(resp *response, answer string) (*message, *Error) {
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return nil, a.fail(dial.Auth, nil, unauthorizedError(resp.Response))
	case code == http.StatusForbidden && !strings.Contains(answer, "Envelope"):
		return nil, a.fail(dial.Permission, nil, errors.New("HTTP 403: the account may not use WinRM"))
	case code >= 300 && code < 400:
		return nil, a.fail(dial.Protocol, nil, fmt.Errorf("HTTP %d: a redirect, which is never followed", code))
	case code != http.StatusOK && answer == "":
		return nil, a.fail(dial.Protocol, nil, fmt.Errorf("HTTP %d without a fault", code))
	}
	m, err := decode(answer)
	if err != nil {
		return nil, a.fail(dial.Protocol, nil, fmt.Errorf("HTTP %d: %w", resp.StatusCode, err))
	}
	switch {
	case m.relatesTo != "" && !strings.EqualFold(m.relatesTo, resp.id):
		return nil, a.fail(dial.Protocol, nil, fmt.Errorf("%w: it relates to another request", errAnswer))
	case m.fault != nil:
		return nil, a.fail(m.fault.Reason(), m.fault, m.fault)
	case resp.StatusCode != http.StatusOK:
		return nil, a.fail(dial.Protocol, nil, fmt.Errorf("HTTP %d without a fault", resp.StatusCode))
	}
	return m, nil
}
