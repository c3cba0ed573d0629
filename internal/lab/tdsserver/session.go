package tdsserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/go-kit/log/level"
)

// Session is a client that has logged in. The handler may read it while it answers a request of it.
type Session struct {
	id          uint16
	login       Login
	database    string
	transaction transaction
	prepared    prepared
}

// ID is @@SPID.
func (s *Session) ID() int { return int(s.id) }

// Login is what the client said of itself.
func (s *Session) Login() Login { return s.login }

// Database is the one in use.
func (s *Session) Database() string { return s.database }

// TransactionDepth is @@TRANCOUNT.
func (s *Session) TransactionDepth() int { return s.transaction.depth }

var errHungUp = errors.New("hung up by the handler")

// converse answers messages until there are no more.
func (c *conn) converse(ctx context.Context, in <-chan message) error {
	var next *message
	for {
		var m message
		if next != nil {
			m, next = *next, nil
		} else {
			var ok bool
			if m, ok = <-in; !ok {
				return nil
			}
		}
		var err error
		switch m.kind {
		case packetAttention: // the request it was meant for has been answered
			err = c.acknowledge()
		case packetTransaction:
			err = c.manageTransaction(ctx, m)
		case packetBatch, packetRPC:
			next, err = c.answer(ctx, m, in)
		case packetReply, packetBulk, packetLogin, packetSSPI, packetPrelogin:
			return fmt.Errorf("packet of type 0x%02x out of turn", byte(m.kind))
		default:
			return fmt.Errorf("unknown packet type 0x%02x", byte(m.kind))
		}
		if err != nil {
			return err
		}
	}
}

// acknowledge confirms an attention.
func (c *conn) acknowledge() error {
	var t tokens
	t.done(tokenDone, doneAttention, 0, 0)
	return c.send(t.buf)
}

// open takes ALL_HEADERS off a request (MS-TDS 2.2.5.3), resets the session where asked, and checks the transaction
// that the request claims to be part of.
func (c *conn) open(ctx context.Context, t *tokens, m message) ([]byte, *Error) {
	if m.status&(statusReset|statusResetKeepTransaction) != 0 {
		keep := m.status&statusResetKeepTransaction != 0
		if !keep && c.session.transaction.depth > 0 {
			if failed := c.change(ctx, Rollback); failed != nil {
				return nil, failed
			}
		}
		c.session.reset(t, keep)
	}
	malformed := &Error{Number: 4002, State: 1, Class: 20, Message: "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly."}
	r := &reader{rest: m.payload}
	total := r.u32()
	if r.err != nil || total < 4 || int64(total) > int64(len(m.payload)) {
		return nil, malformed
	}
	body := m.payload[total:]
	r.rest = m.payload[4:total]
	var descriptor uint64
	for len(r.rest) > 0 {
		size, kind := r.u32(), r.u16()
		if size < 6 {
			return nil, malformed
		}
		data := r.take(int(size) - 6)
		if r.err != nil {
			return nil, malformed
		}
		const transactionHeader = 2
		if kind == transactionHeader {
			if len(data) != 12 {
				return nil, malformed
			}
			descriptor = binary.LittleEndian.Uint64(data)
		}
	}
	if descriptor != c.session.transaction.descriptor {
		return nil, &Error{Number: 3989, State: 1, Class: 16, Message: "New request is not allowed to start because it should come with valid transaction descriptor."}
	}
	return body, nil
}

// change tells who keeps what was written.
func (c *conn) change(ctx context.Context, to TransactionChange) *Error {
	if c.server.opts.Transactions == nil {
		return nil
	}
	return c.server.opts.Transactions.Change(ctx, c.session, to)
}

// reset gives the session back as it was after the login.
func (s *Session) reset(t *tokens, keepTransaction bool) {
	if !keepTransaction && s.transaction.depth > 0 {
		s.transaction.rollback(t)
	}
	s.prepared.clear()
	if s.database = s.login.Database; s.database == "" {
		s.database = "master"
	}
	t.bytesChange(envReset, nil, nil)
}

// manageTransaction answers the transaction manager's requests; none of them takes time, but where the server hangs.
func (c *conn) manageTransaction(ctx context.Context, m message) error {
	var t tokens
	body, failed := c.open(ctx, &t, m)
	if failed == nil {
		failed = c.session.transaction.manage(&t, body, func(to TransactionChange) *Error { return c.change(ctx, to) })
	}
	if failed != nil {
		return c.fail(&t, failed)
	}
	t.done(tokenDone, 0, 0, 0)
	return c.send(t.buf)
}

// fail ends a message with an error; it returns one if the connection ends with it.
func (c *conn) fail(t *tokens, e *Error) error {
	t.message(tokenError, e, c.server.opts.ServerName)
	t.done(tokenDone, doneError, 0, 0)
	if err := c.send(t.buf); err != nil {
		return err
	}
	if e.Class >= fatalClass {
		return e
	}
	return nil
}

// fatalClass is the severity from which on SQL Server closes the connection.
const fatalClass = 20

// answer runs a request and sends its reply. A message that came meanwhile and is no attention is returned.
func (c *conn) answer(ctx context.Context, m message, in <-chan message) (next *message, err error) {
	var t tokens
	body, failed := c.open(ctx, &t, m)
	if failed != nil {
		return nil, c.fail(&t, failed)
	}
	var w work
	if m.kind == packetBatch {
		w.request.Text = decodeUTF16(body)
	} else if w, failed = c.session.resolve(body); failed != nil {
		if failed.Class >= fatalClass {
			return nil, c.fail(&t, failed)
		}
		w.failed = failed
	}
	if w.failed == nil && !w.nothing {
		var interrupted bool
		if w.response, next, interrupted = attend(ctx, in, nil, func(ctx context.Context) Response {
			return c.server.opts.Handler.Query(ctx, c.session, w.request)
		}); interrupted {
			// What was done before the attention came is done.
			for _, r := range w.response.Results {
				c.session.transaction.change(&t, r.Transaction)
			}
			return next, c.cutShort(&t)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	fatal, err := c.reply(&t, w)
	if more := w.response.more(); more != nil && err == nil {
		next, interrupted, err := c.stream(ctx, &t, w, in, next)
		if interrupted {
			return next, c.cutShort(&t)
		}
		if err != nil {
			return nil, err
		}
		return next, c.send(t.buf)
	}
	if err != nil {
		level.Error(c.server.opts.Logger).Log("msg", "handler gave a response that is no answer", "spid", c.session.id, "err", err)
		t.buf = nil
		return nil, c.fail(&t, &Error{Number: 3624, State: 1, Class: 20, Message: "A system assertion check has failed. Check the SQL Server error log for details."})
	}
	if w.response.HangUp {
		if err := c.sendPart(t.buf); err != nil {
			return nil, err
		}
		return nil, errHungUp
	}
	if err := c.send(t.buf); err != nil {
		return nil, err
	}
	if fatal != nil {
		return nil, fatal
	}
	return next, nil
}

// attend does something for the handler and listens meanwhile. It always waits until that is done: what ignores its
// context is a server that ignores attentions. next is the message behind this one, if it has come already.
func attend[T any](ctx context.Context, in <-chan message, next *message, do func(context.Context) T) (done T, behind *message, interrupted bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := make(chan T, 1)
	go func() { out <- do(ctx) }()
	if next != nil {
		in = nil
	}
	for {
		select {
		case done = <-out:
			return done, next, interrupted
		case m, ok := <-in:
			switch {
			case !ok:
				cancel()
				in = nil
			case m.kind == packetAttention:
				interrupted = true
				cancel()
			default: // kept until this one is answered; nothing behind it is looked at
				next, in = &m, nil
			}
		}
	}
}

// more is the response's stream, nil where it is complete.
func (r Response) more() func(context.Context) (Result, bool) {
	if len(r.Results) == 0 || r.HangUp {
		return nil
	}
	return r.Results[len(r.Results)-1].More
}

// stream sends what t holds and then set after set as parts of one message. It leaves the end of that message in t.
func (c *conn) stream(ctx context.Context, t *tokens, w work, in <-chan message, next *message) (behind *message, interrupted bool, err error) {
	more := w.response.more()
	for {
		if err := writePackets(c.rw, packetReply, t.buf, c.packetSize, c.session.id, 0); err != nil {
			return nil, false, err
		}
		t.buf = t.buf[:0]
		var r Result
		var ok bool
		_, next, interrupted = attend(ctx, in, next, func(ctx context.Context) struct{} { r, ok = more(ctx); return struct{}{} })
		switch {
		case interrupted:
			return next, true, nil
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case !ok:
			if w.procedure {
				t.u8(tokenReturnStatus)
				t.u32(uint32(w.response.Status))
				t.done(tokenDoneProc, 0, commandExec, 0)
			} else {
				t.done(tokenDone, 0, 0, 0)
			}
			return next, false, nil
		}
		wrong, err := c.statement(t, r, doneMore, w.procedure)
		switch {
		case err != nil:
			return nil, false, err
		case wrong != nil && wrong.Class >= fatalClass:
			return nil, false, errors.Join(c.send(t.buf), wrong)
		}
	}
}

// cutShort answers a request that an attention ended: what there was of a reply, and the acknowledgement as a
// message of its own, which is how SQL Server does it and what tedious insists on.
func (c *conn) cutShort(t *tokens) error {
	t.done(tokenDone, doneError, 0, 0)
	if err := c.send(t.buf); err != nil {
		return err
	}
	return c.acknowledge()
}

// sendPart sends the beginning of a message that will have no end.
func (c *conn) sendPart(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	size := min(len(payload), c.packetSize-headerSize)
	packet := []byte{byte(packetReply), 0, 0, 0, 0, 0, 1, 0}
	binary.BigEndian.PutUint16(packet[2:], uint16(headerSize+size))
	binary.BigEndian.PutUint16(packet[4:], c.session.id)
	_, err := c.rw.Write(append(packet, payload[:size]...))
	return err
}

// reply writes what a request gave. fatal is the error that closes the connection behind it; err a fault of the
// handler.
func (c *conn) reply(t *tokens, w work) (fatal, err error) {
	if w.failed != nil {
		w.response = Fail(w.failed)
	}
	results := w.response.Results
	var failed bool
	for i, r := range results {
		status := uint16(doneMore)
		if i == len(results)-1 && !w.procedure && !w.response.HangUp && r.More == nil {
			status = 0
		}
		wrong, err := c.statement(t, r, status, w.procedure)
		if err != nil {
			return nil, fmt.Errorf("result %d: %w", i, err)
		}
		if wrong != nil {
			failed = true
			if wrong.Class >= fatalClass {
				fatal = wrong
			}
		}
	}
	switch {
	case w.response.HangUp, w.response.more() != nil:
	case w.procedure:
		var status uint16
		if failed {
			status = doneError
		}
		if w.failed == nil {
			t.u8(tokenReturnStatus)
			t.u32(uint32(w.response.Status))
		}
		if w.handle != nil {
			t.returnInt(w.handle.name, w.handle.position, w.handle.value)
		}
		t.done(tokenDoneProc, status, commandExec, 0)
	case len(results) == 0:
		t.done(tokenDone, 0, 0, 0)
	}
	return fatal, nil
}

// statement writes what one statement gave and returns the error it ended with.
func (c *conn) statement(t *tokens, r Result, status uint16, procedure bool) (*Error, error) {
	name := c.server.opts.ServerName
	for i := range r.Messages {
		t.message(tokenInfo, &r.Messages[i], name)
	}
	if r.Database != "" {
		t.textChange(envDatabase, r.Database, c.session.database)
		t.message(tokenInfo, changedDatabase(r.Database), name)
		c.session.database = r.Database
	}
	failed := r.Error
	if e := c.session.transaction.change(t, r.Transaction); e != nil {
		failed = e
	}
	token := byte(tokenDone)
	if procedure {
		token = tokenDoneInProc
	}
	command, rows := uint16(0), uint64(0)
	if len(r.Columns) > 0 {
		if err := t.rows(r.Columns, r.Rows); err != nil {
			return nil, err
		}
		status, command, rows = status|doneCount, commandSelect, uint64(len(r.Rows))
	} else if r.Counted {
		status, rows = status|doneCount, r.Affected
	}
	if failed != nil {
		t.message(tokenError, failed, name)
		status = status&^doneCount | doneError
		if procedure { // DONEPROC says it
			return failed, nil
		}
	}
	t.done(token, status, command, rows)
	return failed, nil
}

// returnInt writes RETURNVALUE of an int.
func (t *tokens) returnInt(name string, position int, value int32) {
	t.u8(tokenReturnValue)
	t.u16(uint16(position))
	t.byteText(name)
	t.u8(0x01) // an output parameter
	t.u32(0)
	t.u16(0)
	t.raw(typeIntN, 4, 4)
	t.u32(uint32(value))
}

// isSystem reports whether a procedure is the system procedure named, in any case and with any of its qualifiers.
func isSystem(procedure, name string) bool {
	p := strings.ToLower(procedure)
	for _, prefix := range []string{"master.", "sys.", "dbo.", "."} {
		p = strings.TrimPrefix(p, prefix)
	}
	return p == name
}
