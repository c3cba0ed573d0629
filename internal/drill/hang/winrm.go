package hang

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hypervigil/hypervigil/internal/channel"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
)

// begun is the answer to an Enumerate that leaves everything to the Pull, as Windows answers where it has nothing at
// hand (DSP0226, 8.2).
const begun = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">` +
	`<s:Header/><s:Body><n:EnumerateResponse><n:EnumerationContext>uuid:6F9619FF-8B86-D011-B42D-00C04FC964FF</n:EnumerationContext>` +
	`</n:EnumerateResponse></s:Body></s:Envelope>`

// winRM is a WS-Management service that hangs. It takes Basic where there is no acceptor.
type winRM struct {
	way    Way
	tls    *tls.Config
	accept *sspi.Acceptor
	shown  []byte // what a client binds its proof to: the certificate

	logins atomic.Uint32 // that an acceptor has begun
}

// newWinRM makes one; the acceptor may be nil.
func newWinRM(w Way, secure *tls.Config, a *sspi.Acceptor) (*winRM, error) {
	leaf, err := x509.ParseCertificate(secure.Certificates[0].Certificate[0])
	if err != nil {
		return nil, err
	}
	return &winRM{way: w, tls: secure, accept: a, shown: channel.Certificate(leaf)}, nil
}

// serve hangs on one connection until the client is gone.
func (s *winRM) serve(l *line) {
	switch s.way {
	case SYN, Accept:
	case TLS:
		if _, err := l.Read(make([]byte, 5)); err == nil { // the ClientHello has begun
			_, _ = l.Write(serverHello)
		}
	case Login, Query, Trickle:
		s.answer(tls.Server(l, s.tls), l)
	}
	<-l.gone
}

// answer goes as far as the way says.
func (s *winRM) answer(c net.Conn, l *line) {
	r := bufio.NewReader(c)
	if s.accept != nil && !s.login(c, r) {
		return
	}
	for {
		req, err := http.ReadRequest(r)
		if err != nil || s.way == Login {
			return
		}
		question, err := io.ReadAll(req.Body)
		if err != nil || s.way == Query && !bytes.Contains(question, []byte("/enumeration/Enumerate<")) { // by its action
			return
		}
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", len(begun), begun)
		if s.way == Trickle {
			trickle(c, l, answer)
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// login lets the client prove himself; false says that there is no more to say to him.
func (s *winRM) login(c net.Conn, r *bufio.Reader) bool {
	h := s.accept.Handshake(s.shown)
	silence := s.logins.Add(1) % 2 // whether Login leaves the first message without an answer, or the one that would let in
	for first := true; ; first = false {
		req, err := http.ReadRequest(r)
		if err != nil {
			return false
		}
		scheme, text, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		token, err := base64.StdEncoding.DecodeString(text)
		if err != nil || scheme != "Negotiate" {
			return false
		}
		reply, err := h.Accept(token)
		if err != nil {
			return false
		}
		proven := h.User() != ""
		if s.way == Login && (proven || first && silence == 0) {
			return false
		}
		status := "401 Unauthorized"
		if proven {
			status = "200 OK"
		}
		answer := "HTTP/1.1 " + status + "\r\nWWW-Authenticate: Negotiate " + base64.StdEncoding.EncodeToString(reply) + "\r\nContent-Length: 0\r\n\r\n"
		if _, err := io.WriteString(c, answer); err != nil || proven {
			return err == nil
		}
	}
}

// trickle writes byte after byte at the pace until the client is gone.
func trickle(c net.Conn, l *line, s string) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range len(s) {
		select {
		case <-tick.C:
		case <-l.gone:
			return
		}
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
	}
}
