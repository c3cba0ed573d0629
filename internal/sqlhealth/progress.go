package sqlhealth

import (
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// progress follows a connection by the bytes that pass, since the driver tells nothing: which phase it is in, and
// since when. In TDS 7 the phases are Prelogin, TLS, Login, Query; in TDS 8.0 TLS comes first.
type progress struct {
	tracker *dial.Tracker
	strict  bool

	mu    sync.Mutex
	phase dial.Phase // PhaseNone until connected
	since time.Time
	spent map[dial.Phase]time.Duration

	firstByte byte // that the peer sent; 0 where it sent none
	heard     bool // since the last write
	lastErr   error
	got       int64 // bytes since the last answer
	// TDS 8.0 hides packets inside TLS: after the certificate has been verified, the turns to speak are counted.
	verified bool
	turns    int
	prelogin int // the turn in which PRELOGIN goes out
}

// First bytes of what a client writes in TDS 7: a packet's type, or a TLS record's.
const (
	packetPrelogin  = 0x12
	packetLogin     = 0x10
	packetSSPI      = 0x11
	packetReply     = 0x04
	recordAppData   = 0x17
	minHandshakeTLS = tls.VersionTLS12
)

// connected begins the first phase after TCP's.
func (p *progress) connected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = make(map[dial.Phase]time.Duration)
	if p.strict {
		p.enter(dial.PhaseTLS)
	} else {
		p.enter(dial.PhasePrelogin)
	}
}

// enter changes the phase; the caller holds the lock.
func (p *progress) enter(phase dial.Phase) {
	if phase == p.phase {
		return
	}
	now := time.Now()
	if p.phase != dial.PhaseNone {
		p.spent[p.phase] += now.Sub(p.since)
	}
	p.phase, p.since = phase, now
	p.tracker.Enter(phase)
}

// proving begins the login, before its first byte: a ticket may have to be waited for.
func (p *progress) proving() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(dial.PhaseLogin)
}

// asking begins the query.
func (p *progress) asking() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(dial.PhaseQuery)
}

// at is the phase; before the connection it is the tracker's.
func (p *progress) at() dial.Phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == dial.PhaseNone {
		return p.tracker.Phase()
	}
	return p.phase
}

// durations adds the phases on the connection, the present one until now.
func (p *progress) durations(into map[dial.Phase]time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(into, p.spent)
	if p.phase != dial.PhaseNone {
		into[p.phase] += time.Since(p.since)
	}
}

// certificate is called by TLS when it has verified the server.
func (p *progress) certificate(s tls.ConnectionState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verified, p.heard, p.turns = true, true, 0
	// TLS 1.3: the end of the handshake goes out together with PRELOGIN. TLS 1.2 has one more turn in between.
	p.prelogin = 1
	if s.Version == minHandshakeTLS {
		p.prelogin = 2
	}
	return nil
}

// writing looks at what is about to be written, and refuses a login in clear.
func (p *progress) writing(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 {
		return nil
	}
	if !p.strict && (b[0] == packetLogin || b[0] == packetSSPI) {
		p.lastErr = errClearText
		return errClearText
	}
	if p.phase == dial.PhaseLogin || p.phase == dial.PhaseQuery {
		return nil
	}
	if p.strict {
		p.turn()
		return nil
	}
	switch b[0] {
	case packetPrelogin:
		if p.firstByte != 0 {
			p.enter(dial.PhaseTLS)
		}
	case recordAppData:
		p.enter(dial.PhaseLogin)
	}
	return nil
}

// turn counts the client's turns to speak in TDS 8.0.
func (p *progress) turn() {
	if !p.verified {
		return
	}
	if p.heard {
		p.turns++
		p.heard = false
	}
	switch {
	case p.turns > p.prelogin:
		p.enter(dial.PhaseLogin)
	case p.turns == p.prelogin:
		p.enter(dial.PhasePrelogin)
	}
}

// maxAnswer bounds what is read for one report or one set of a stream, in bytes on the wire. What the largest instances
// say is a tenth of it; the driver itself has no limit.
const maxAnswer = 64 << 20

// answered begins a new answer.
func (p *progress) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = 0
}

// read looks at what has been read. It returns the error of an answer that is too large.
func (p *progress) read(b []byte, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.got += int64(len(b)); p.got > maxAnswer {
		p.lastErr = errTooLarge
		return errTooLarge
	}
	if len(b) > 0 {
		p.heard = true
		if p.firstByte == 0 {
			p.firstByte = b[0]
		}
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		p.lastErr = err
	}
	return err
}

// lastError is what the connection failed with, unless we closed it.
func (p *progress) lastError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastErr
}

// refine corrects a reason that rests on the tracker's phase, which knows no PRELOGIN: a silent one is a login that
// does not come to be, and one that is no TDS is no matter of TLS.
func (p *progress) refine(r dial.Reason) dial.Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != dial.PhasePrelogin {
		return r
	}
	switch {
	case r == dial.TLSTimeout:
		return dial.LoginTimeout
	case r == dial.TLS && (p.strict || p.firstByte != packetReply):
		return dial.Protocol
	}
	return r // TLS where a TDS server answered, but not with the encryption asked for
}

// conn is the connection given to the driver.
type conn struct {
	net.Conn
	progress *progress
}

// Read reads and is noted.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.progress.read(b[:n], err)
}

// Write is noted and writes.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.progress.writing(b); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
