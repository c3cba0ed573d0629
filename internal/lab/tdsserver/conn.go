package tdsserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// conn is one connection, from the accept to its end.
type conn struct {
	server     *Server
	nc         net.Conn
	in         *bufio.Reader
	rw         io.ReadWriter // what packets travel over at the moment
	strict     bool
	encrypted  bool // throughout
	packetSize int
	session    *Session
	unique     []byte // what a Windows account's proof can be bound to
}

// clear is the connection without TLS.
type clear struct {
	io.Reader
	io.Writer
}

// lingerTime is how long a refused client may take to read why: closing at once could reset the connection before
// the error has arrived.
const lingerTime = time.Second

func (s *Server) serveConn(ctx context.Context, nc net.Conn, spid uint16) error {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer nc.Close()
	defer cancel()
	defer context.AfterFunc(ctx, func() { nc.Close() })()

	c := &conn{
		server:     s,
		nc:         nc,
		in:         bufio.NewReaderSize(nc, defaultPacketSize),
		packetSize: defaultPacketSize,
		session:    &Session{id: spid},
	}
	c.rw = clear{c.in, nc}
	loginCtx, loggedIn := context.WithTimeout(ctx, s.opts.LoginTimeout)
	defer loggedIn()
	stop := context.AfterFunc(loginCtx, func() { nc.Close() })
	defer stop()
	l, err := c.hello(loginCtx)
	if err != nil {
		return err
	}

	// From here on somebody always reads: a client that hangs up ends the context of whatever it waits for.
	messages, ended := make(chan message), make(chan error, 1)
	reading.Go(func() {
		defer cancel()
		defer close(messages)
		ended <- c.read(ctx, messages)
	})
	refused := c.integrate(loginCtx, &l, messages)
	if refused == nil {
		refused = c.login(loginCtx, l)
	}
	if refused == nil && s.opts.Dedicated {
		if refused = s.take(); refused == nil {
			defer s.giveBack()
		}
	}
	if refused != nil {
		if err := c.refuse(refused); err != nil {
			return err
		}
		if err := nc.SetReadDeadline(time.Now().Add(lingerTime)); err != nil {
			return err
		}
		for range messages { // whatever it still says is not heard
			continue
		}
		return refused
	}
	if !stop() {
		return errors.New("login took too long")
	}
	if err := c.welcome(l); err != nil {
		return err
	}
	if s.opts.Transactions != nil {
		defer s.opts.Transactions.Ended(c.session)
	}
	if err := c.converse(ctx, messages); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// read passes on messages until the connection ends.
func (c *conn) read(ctx context.Context, out chan<- message) error {
	rw := c.rw
	for {
		m, err := readMessage(rw, c.server.opts.MaxMessage)
		if err != nil {
			return err
		}
		if m.ignored {
			continue
		}
		select {
		case out <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stage runs the hook of a stage.
func (c *conn) stage(ctx context.Context, s Stage) error {
	if c.server.opts.Stage == nil {
		return nil
	}
	if err := c.server.opts.Stage(ctx, s); err != nil {
		return fmt.Errorf("dropped at stage %v: %w", s, err)
	}
	return nil
}

// hello goes through TLS and PRELOGIN up to LOGIN7.
func (c *conn) hello(ctx context.Context) (Login, error) {
	if err := c.stage(ctx, Accepted); err != nil {
		return Login{}, err
	}
	first, err := c.in.Peek(1)
	if err != nil {
		return Login{}, err
	}
	const handshakeRecord = 0x16 // a TLS ClientHello; no packet type has this value
	if first[0] == handshakeRecord {
		if err := c.strictTLS(ctx); err != nil {
			return Login{}, err
		}
	}
	m, err := readMessage(c.rw, c.server.opts.MaxMessage)
	if err != nil {
		return Login{}, fmt.Errorf("prelogin: %w", err)
	}
	if m.kind != packetPrelogin {
		return Login{}, fmt.Errorf("packet of type 0x%02x where PRELOGIN is due", byte(m.kind))
	}
	if err := c.stage(ctx, PreloginRead); err != nil {
		return Login{}, err
	}
	answer, err := c.prelogin(m.payload)
	if err != nil {
		return Login{}, err
	}
	loginOnly := answer == encryptOff
	if !c.strict && answer != encryptNotSupported {
		if err := c.innerTLS(ctx); err != nil {
			return Login{}, err
		}
		c.encrypted = !loginOnly
	}
	if m, err = readMessage(c.rw, c.server.opts.MaxMessage); err != nil {
		return Login{}, fmt.Errorf("login: %w", err)
	}
	if loginOnly {
		c.rw = clear{c.in, c.nc}
	}
	if m.kind != packetLogin {
		return Login{}, fmt.Errorf("packet of type 0x%02x where LOGIN7 is due", byte(m.kind))
	}
	l, err := parseLogin(m.payload)
	if err != nil {
		return Login{}, err
	}
	if !c.strict && l.TDSVersion < tds73A {
		return Login{}, fmt.Errorf("login: TDS version 0x%08X, 7.3 is the oldest supported", l.TDSVersion)
	}
	l.RemoteAddr = c.nc.RemoteAddr()
	return l, c.stage(ctx, LoginRead)
}

// strictTLS is the beginning of TDS 8.0.
func (c *conn) strictTLS(ctx context.Context) error {
	if c.server.opts.TLS == nil {
		return errors.New("strict TLS: there is no certificate")
	}
	if err := c.stage(ctx, TLSExpected); err != nil {
		return err
	}
	const protocol = "tds/8.0"
	config := c.server.opts.TLS.Clone()
	config.NextProtos = []string{protocol}
	t := tls.Server(&handshakeConn{Conn: c.nc, in: c.in}, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("strict TLS: %w", err)
	}
	if got := t.ConnectionState().NegotiatedProtocol; got != protocol {
		return fmt.Errorf("strict TLS: application protocol %q, want %q", got, protocol)
	}
	c.rw, c.strict, c.encrypted, c.unique = t, true, true, unique(t)
	return nil
}

// innerTLS is TLS as TDS 7 has it. TLS 1.3 is not spoken: its session tickets come after the handshake, where the
// client no longer expects records inside packets.
func (c *conn) innerTLS(ctx context.Context) error {
	if err := c.stage(ctx, TLSExpected); err != nil {
		return err
	}
	config := c.server.opts.TLS.Clone()
	config.NextProtos = nil
	config.MaxVersion = tls.VersionTLS12
	wrapped := &handshakeConn{Conn: c.nc, in: c.in, wrapped: true}
	t := tls.Server(wrapped, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS inside TDS: %w", err)
	}
	wrapped.wrapped = false
	c.rw, c.unique = t, unique(t)
	return nil
}

// prelogin answers PRELOGIN and returns what was agreed on encryption.
func (c *conn) prelogin(payload []byte) (encryptionOption, error) {
	options, err := parsePrelogin(payload)
	if err != nil {
		return 0, err
	}
	answer := encryptStrict
	if !c.strict {
		asked := encryptNotSupported
		if v := options[optionEncryption]; len(v) > 0 {
			asked = encryptionOption(v[0])
		}
		if answer, err = c.server.opts.Encryption.negotiate(asked); err != nil {
			return 0, err
		}
	}
	v := c.server.version
	reply := []option{
		{optionVersion, []byte{v[0], v[1], v[2], v[3], 0, 0}},
		{optionEncryption, []byte{byte(answer)}},
		{optionInstance, []byte{0}}, // the instance asked for is the right one
		{optionThreadID, nil},
		{optionMARS, []byte{0}},
	}
	if _, ok := options[optionFedAuth]; ok {
		reply = append(reply, option{optionFedAuth, []byte{0}})
	}
	return answer, c.send(appendPrelogin(nil, reply))
}

// login asks the handler, after what this server refuses by itself.
func (c *conn) login(ctx context.Context, l Login) *Error {
	_, federated := l.features[featureFedAuth]
	switch {
	case l.integrated && !l.Windows:
		return untrusted()
	case l.newPassword, federated:
		return &Error{Number: 18456, State: 1, Class: 14, Message: "Login failed for user '" + l.User + "'."}
	}
	return c.server.opts.Handler.Login(ctx, l)
}

// refuse tells why a login failed and closes the sending side.
func (c *conn) refuse(e *Error) error {
	var t tokens
	t.message(tokenError, e, c.server.opts.ServerName)
	t.done(tokenDone, doneError, 0, 0)
	if err := c.send(t.buf); err != nil {
		return err
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// welcome answers a login that was let in.
func (c *conn) welcome(l Login) error {
	const library = "Microsoft SQL Server"
	name := c.server.opts.ServerName
	c.session.login, c.session.database = l, l.Database
	if l.Database == "" {
		c.session.database = "master"
	}
	size := l.PacketSize
	if size == 0 {
		size = defaultPacketSize
	}
	size = max(size, minPacketSize)
	if c.encrypted {
		size = min(size, maxEncryptedPacketSize)
	}
	version := uint32(min(l.TDSVersion, tds74))
	if c.strict {
		version = tds80
	}

	var t tokens
	t.textChange(envDatabase, c.session.database, "master")
	t.message(tokenInfo, changedDatabase(c.session.database), name)
	t.bytesChange(envCollation, collation(), nil)
	t.textChange(envLanguage, "us_english", "")
	t.message(tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to us_english."}, name)
	t.sized(tokenLoginAck, func() {
		t.u8(1) // T-SQL
		t.buf = binary.BigEndian.AppendUint32(t.buf, version)
		t.byteText(library)
		t.raw(c.server.version[:]...)
	})
	t.textChange(envPacketSize, strconv.Itoa(size), strconv.Itoa(c.packetSize))
	if len(l.features) > 0 {
		t.u8(tokenFeatureExtAck)
		if _, ok := l.features[featureUTF8]; ok {
			t.u8(featureUTF8)
			t.u32(1)
			t.u8(1)
		}
		t.u8(featureEnd)
	}
	t.done(tokenDone, 0, 0, 0)
	if err := c.send(t.buf); err != nil {
		return err
	}
	c.packetSize = size
	return nil
}

// changedDatabase is the message that goes with a change of the database.
func changedDatabase(to string) *Error {
	return &Error{Number: 5701, State: 1, Message: "Changed database context to '" + to + "'."}
}

// send sends one message.
func (c *conn) send(payload []byte) error {
	return writeMessage(c.rw, packetReply, payload, c.packetSize, c.session.id)
}
