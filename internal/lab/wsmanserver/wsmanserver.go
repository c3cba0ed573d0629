// Package wsmanserver serves a machine's WMI as Windows does: WS-Management over HTTPS with Basic authentication, NTLM and
// Kerberos.
// The machine is a Provider; the server knows the protocol, the query language and the faults, and nothing else.
//
//	s, err := wsmanserver.New(wsmanserver.Options{Provider: host, Authenticate: …, TLS: …, …})
//	go s.Serve(port) // until s.Close
//
// Implemented, as captured from or documented of Windows Server 2012 and later:
//   - POST /wsman, application/soap+xml in UTF-8; 401, 404, 405, 413, 415 and, for garbage, 400.
//   - Identify; Get by selectors, or of a singleton; Enumerate of a class, or with WQL on namespace/*; Pull;
//     Release; methods of classes and instances.
//   - OptimizeEnumeration: one item and a context, or all at once where there is at most one. Pull gives
//     MaxElements items (1 if it does not say), as far as MaxEnvelopeSize goes, counted in UTF-16. The context
//     changes with every Pull and dies after Options.EnumerationTimeout.
//   - WQL: SELECT * or names FROM class WHERE comparisons joined by AND: = <> != < > <= >= LIKE, IS [NOT] NULL, with
//     strings, numbers, booleans, NULL and DMTF datetimes and intervals. A projection comes as w:XmlFragment.
//   - The association dialect on namespace/*: AssociationInstances with object, class and role.
//   - OperationTimeout, MaxEnvelopeSize, mustUnderstand, the quota of concurrent operations for each user, in
//     which an enumeration counts until it is read to its end, released or dead.
//   - Faults with Windows' numbers and subcodes in two shapes and two languages.
//
// Refused in the protocol's own words: Put, Create, Delete, Subscribe and every other action; shells and all
// resource URIs but WMI's; the DMTF's URIs with __cimnamespace; fragment transfer; enumeration of endpoint
// references; other filter dialects, AssociatedInstances; OR, NOT, parentheses, ISA, ASSOCIATORS OF and comparisons with references or
// arrays in WQL; selectors that are endpoint references; options that must be complied with; expiration times of
// enumerations; UTF-16; HTTP/2; certificates; sealed messages; anonymous Identify; plain HTTP.
//
// A Server is safe for concurrent use. It starts no goroutines but those of its connections.
package wsmanserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/lab/sspi"
)

// The quotas of a stock server (MS-WSMV 2.2.4.42; 2012 R2).
const (
	DefaultMaxEnvelopeSize    = 500 << 10
	DefaultMaxOperations      = 1500
	DefaultEnumerationTimeout = 240 * time.Second
	DefaultOperationTimeout   = 60 * time.Second

	maxBatchItems = 32000
	minEnvelope   = 8192                   // DSP0226 6.2
	minTimeout    = 500 * time.Millisecond // what Windows makes of a shorter OperationTimeout
)

// Options are what a Server needs. The zero values of the optional ones are the stock quotas.
type Options struct {
	Logger   log.Logger
	Provider Provider
	// TLS needs a certificate.
	TLS *tls.Config
	// Authenticate judges a user name and a password; where it is nil Basic is off.
	Authenticate func(username, password string) bool
	// Negotiate judges tokens of NTLM and Kerberos; where it is nil both are off. Windows offers it by default, and Basic
	// not.
	Negotiate *sspi.Acceptor
	// ProductVendor and ProductVersion are the answer to Identify.
	ProductVendor, ProductVersion string

	// Authorize, if set, judges every call but Identify, Pull and Release.
	Authorize func(Call) bool
	// Record, if set, is told of every call that was authorised, before the Provider is asked. It must not block.
	Record func(Call)
	// Machine is the name in faults.
	Machine string
	// Locale is the language of the faults' texts: en-US (the default) or ja-JP.
	Locale string
	// Faults is the shape of the faults' details.
	Faults FaultShape
	// MaxEnvelopeSize bounds requests (bytes) and answers (as counted in UTF-16).
	MaxEnvelopeSize int
	// MaxOperations is the quota of concurrent operations for each user: 15 until Windows Server 2008 R2.
	MaxOperations int
	// EnumerationTimeout ends an enumeration that nobody pulls.
	EnumerationTimeout time.Duration
	// OperationTimeout holds where the client names none.
	OperationTimeout time.Duration
}

// validate refuses what would bite later and fills the defaults in.
func (o *Options) validate() error {
	switch {
	case o.Logger == nil:
		return errors.New("wsmanserver: no logger")
	case o.Provider == nil:
		return errors.New("wsmanserver: no provider")
	case o.Authenticate == nil && o.Negotiate == nil:
		return errors.New("wsmanserver: nobody judges passwords")
	case o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil:
		return errors.New("wsmanserver: no certificate")
	case o.ProductVendor == "":
		return errors.New("wsmanserver: no product vendor: a lab must say who it is")
	case o.Locale != "" && o.Locale != "en-US" && o.Locale != "ja-JP":
		return fmt.Errorf("wsmanserver: locale %q, want en-US or ja-JP", o.Locale)
	case o.MaxEnvelopeSize < 0 || o.MaxOperations < 0 || o.EnumerationTimeout < 0 || o.OperationTimeout < 0:
		return errors.New("wsmanserver: a quota is negative")
	case o.MaxEnvelopeSize != 0 && o.MaxEnvelopeSize < minEnvelope:
		return fmt.Errorf("wsmanserver: envelope size %d, want at least %d", o.MaxEnvelopeSize, minEnvelope)
	}
	setDefault(&o.Locale, "en-US")
	setDefault(&o.MaxEnvelopeSize, DefaultMaxEnvelopeSize)
	setDefault(&o.MaxOperations, DefaultMaxOperations)
	setDefault(&o.EnumerationTimeout, DefaultEnumerationTimeout)
	setDefault(&o.OperationTimeout, DefaultOperationTimeout)
	return nil
}

// setDefault fills in what was left at zero.
func setDefault[T comparable](v *T, with T) {
	var zero T
	if *v == zero {
		*v = with
	}
}

// Call is a request as the server understood it.
type Call struct {
	At        time.Time
	User      string
	Operation Operation
	Namespace string // lower case
	Class     string
	Query     string // WQL, for an Enumerate with one
	Selectors Selectors
	Method    string
	Params    Parameters
}

// Operation is what a request asks for.
type Operation int

// The operations that are authorised and recorded.
const (
	OperationGet Operation = iota
	OperationEnumerate
	OperationInvoke
)

// String returns the operation's name.
func (o Operation) String() string {
	switch o {
	case OperationGet:
		return "Get"
	case OperationEnumerate:
		return "Enumerate"
	case OperationInvoke:
		return "Invoke"
	}
	return fmt.Sprintf("operation(%d)", int(o))
}

// Server is the WS-Management service of one machine.
type Server struct {
	opts     Options
	http     *http.Server
	end      context.CancelFunc
	handlers sync.RWMutex // held for reading by every handler: Close waits for them
	sessions sessions
}

// New makes a Server. It listens to nothing until Serve.
func New(opts Options) (*Server, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Server{opts: opts, end: end}
	s.sessions.init(opts.MaxOperations, opts.EnumerationTimeout)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:     http.HandlerFunc(s.handle),
		TLSConfig:   opts.TLS.Clone(),
		Protocols:   protocols,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: s.connected,
		// A client that is slow to say what it wants holds nothing but its own connection; Windows waits 120 s too.
		ReadHeaderTimeout: 120 * time.Second,
		IdleTimeout:       120 * time.Second,
		ErrorLog:          stdlog.New(log.NewStdlibAdapter(level.Debug(opts.Logger)), "", 0),
	}
	return s, nil
}

// Serve answers on a listener until Close, after which it returns nil. A server can serve several listeners.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("wsmanserver: serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Close closes the listeners and all connections, ends what the Provider was asked and waits for it.
func (s *Server) Close() error {
	s.end()
	err := s.http.Close()
	s.handlers.Lock() // nobody comes after the last: all connections are closed
	defer s.handlers.Unlock()
	return err
}

// handle answers one HTTP request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.handlers.RLock()
	defer s.handlers.RUnlock()
	// http.sys compares the path without regard to case and passes the query string by.
	if !strings.EqualFold(r.URL.Path, "/wsman") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	user, ok := s.authenticated(w, r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized) // no SOAP body (captured)
		return
	}
	if r.ContentLength == 0 && strings.HasPrefix(r.Header.Get("Authorization"), negotiate) {
		return // a client that proves itself before it says anything: 200, empty (pywinrm opens its sessions so)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/soap+xml" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.opts.MaxEnvelopeSize)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge) // ERROR_WSMAN_HTTP_REQUEST_TOO_LARGE_STATUS
		return
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, answer := s.reply(r.Context(), user, params["charset"], body)
	switch {
	case status == 0:
		panic(http.ErrAbortHandler) // the client is gone, or the server closes
	case answer == nil:
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	// An error here is a client that hung up: there is nobody to tell.
	_, _ = w.Write(answer)
}

// reply reads the envelope and has it served. A nil answer goes with an HTTP status that needs none; status 0 means
// that nobody waits for an answer.
func (s *Server) reply(ctx context.Context, user, charset string, body []byte) (status int, answer []byte) {
	req := &request{}
	var out response
	var err error
	if charset != "" && !strings.EqualFold(charset, "utf-8") {
		err = faultCharacterSet()
	} else {
		req, err = parseRequest(body)
	}
	if err == nil {
		out, err = s.serve(ctx, user, req)
	}
	var f *Fault
	switch {
	case err == nil:
		return http.StatusOK, s.envelope(out)
	case errors.Is(err, errMalformed):
		return http.StatusBadRequest, nil
	case !errors.As(err, &f):
		return 0, nil
	}
	level.Debug(s.opts.Logger).Log("msg", "request refused", "user", user, "action", req.action,
		"resource", req.resource.uri, "code", uint32(f.Code), "err", f)
	return http.StatusInternalServerError, s.envelope(response{action: f.action(), relatesTo: req.messageID, fault: f})
}

// response is an answer before it has an envelope.
type response struct {
	action    string // empty for Identify, which has no headers
	relatesTo string
	body      []byte
	fault     *Fault
}

// envelope writes the whole answer.
func (s *Server) envelope(r response) []byte {
	b := make([]byte, 0, len(r.body)+1024)
	b = s.openEnvelope(b, r)
	if r.fault != nil {
		b = r.fault.appendBody(b, s.opts.Faults, s.opts.Machine, s.opts.Locale)
	}
	b = append(b, r.body...)
	return append(b, envelopeEnd...)
}

// envelopeEnd closes what openEnvelope opened.
const envelopeEnd = `</s:Body></s:Envelope>`

// openEnvelope writes everything before the body's content.
func (s *Server) openEnvelope(b []byte, r response) []byte {
	b = append(b, `<s:Envelope xml:lang="`+s.opts.Locale+`" xmlns:s="`+nsSOAP+`" xmlns:a="`+nsAddressing+`" xmlns:x="`+
		nsTransfer+`" xmlns:n="`+nsEnumeration+`" xmlns:w="`+nsWSMan+`" xmlns:p="`+nsMicrosoft+`"><s:Header>`...)
	if r.action != "" {
		b = append(b, `<a:Action>`...)
		b = appendText(b, r.action)
		b = append(b, `</a:Action><a:MessageID>`+newID()+`</a:MessageID><a:To>`+anonymous+`</a:To>`...)
	}
	if r.relatesTo != "" {
		b = append(b, `<a:RelatesTo>`...)
		b = appendText(b, r.relatesTo)
		b = append(b, `</a:RelatesTo>`...)
	}
	if r.fault != nil && r.fault.notUnderstood != "" {
		space, local, _ := strings.Cut(r.fault.notUnderstood[1:], "}")
		prefix := ""
		if space != "" {
			prefix = "u:"
		}
		b = append(b, `<s:NotUnderstood qname="`+prefix...)
		b = appendText(b, local)
		b = append(b, '"')
		if space != "" {
			b = append(b, ` xmlns:u="`...)
			b = append(appendText(b, space), '"')
		}
		b = append(b, `/>`...)
	}
	return append(b, `</s:Header><s:Body>`...)
}
