package wsman

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// maxIdle is how many connections an endpoint keeps: as many as a snapshot of a cluster asks at a time.
const maxIdle = 4

// idleTimeout is when we drop a kept connection ourselves: before HTTP.sys does (120 s, learn.microsoft.com, "HTTP
// Server API default timers") and before most firewalls forget it.
const idleTimeout = 90 * time.Second

// invokeIdleTimeout is how long a connection may have been idle to carry a method call, where the operating system
// does not let us look whether the peer has closed it: a call on a dead connection has an unknown outcome.
const invokeIdleTimeout = 5 * time.Second

// connection is one authenticated HTTP/1.1 connection, used by one call at a time.
type connection struct {
	raw     *dial.Conn
	tls     *tls.Conn
	limit   *limitReader
	reader  *bufio.Reader
	session Session
	reused  bool
	idle    time.Time
}

// errTooLarge says that an answer is larger than MaxBody.
var errTooLarge = errors.New("answer is larger than allowed")

// limitReader reads no more than left bytes: headers count too.
type limitReader struct {
	r    io.Reader
	left int64
}

// Read reads from the connection.
func (l *limitReader) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	n, err := l.r.Read(b)
	l.left -= int64(n)
	return n, err
}

// newConnection wraps a connection after its TLS handshake.
func newConnection(raw *dial.Conn, secure *tls.Conn, session Session) *connection {
	limit := &limitReader{r: secure}
	return &connection{raw: raw, tls: secure, limit: limit, reader: bufio.NewReader(limit), session: session}
}

// close drops the connection. TLS's own goodbye is not sent: it would wait for a peer that may be gone.
func (c *connection) close() { _ = c.raw.Close() }

// usable reports whether a kept connection still looks alive; a method call is more particular than a read.
func (c *connection) usable(now time.Time, idempotent bool) bool {
	age := now.Sub(c.idle)
	if age > idleTimeout || c.reader.Buffered() > 0 {
		return false
	}
	known, quiet := peek(c.raw)
	if known {
		return quiet
	}
	return idempotent || age <= invokeIdleTimeout
}

// pool keeps the connections of one endpoint. Its zero value is ready.
type pool struct {
	mu     sync.Mutex
	idle   []*connection // the last one used at the end
	closed bool
}

// take returns a kept connection that looks alive, or nil; what has died is dropped on the way.
func (p *pool) take(idempotent bool) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.usable(now, idempotent) {
			return c
		}
		c.close()
	}
	return nil
}

// put keeps c, if there is room; what has idled too long makes some.
func (p *pool) put(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.idle, c.reused = time.Now(), true
	for len(p.idle) > 0 && c.idle.Sub(p.idle[0].idle) > idleTimeout {
		p.idle[0].close()
		p.idle = p.idle[1:]
	}
	if p.closed || len(p.idle) >= maxIdle {
		c.close()
		return
	}
	p.idle = append(p.idle, c)
}

// drop closes every kept connection: the peer fell silent, and the others lead to the same machine.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}

// close drops the kept connections and keeps none from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
}
