package hang

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// begun is the answer to an Enumerate that leaves everything to the Pull, as Windows answers where it has nothing at
// hand (DSP0226, 8.2).
const begun = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">` +
	`<s:Header/><s:Body><n:EnumerateResponse><n:EnumerationContext>uuid:6F9619FF-8B86-D011-B42D-00C04FC964FF</n:EnumerationContext>` +
	`</n:EnumerateResponse></s:Body></s:Envelope>`

// winRM is a WS-Management service that hangs.
type winRM struct {
	way Way
	tls *tls.Config
}

// serve hangs on one connection until the client is gone.
func (s winRM) serve(l *line) {
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
func (s winRM) answer(c net.Conn, l *line) {
	r := bufio.NewReader(c)
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
