package wsman

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// releaseTimeout bounds the cleaning up of an abandoned enumeration on the server.
const releaseTimeout = time.Second

// maxObjects bounds one enumeration: a server that never says the end must not fill our memory.
const maxObjects = 1 << 20

// maxEmptyPages bounds the pages in a row that bring nothing.
const maxEmptyPages = 1000

// Identify asks who the service is. It needs a valid credential, but no right to anything.
func (c *Client) Identify(ctx context.Context) (Identity, error) {
	m, e, err := c.ask(ctx, &question{
		op: "identify", idempotent: true,
		body: `<wsmid:Identify xmlns:wsmid="` + nsIdentity + `"/>`,
	})
	if err != nil {
		return Identity{}, err
	}
	if m.identity == nil {
		return Identity{}, protocol("identify", e, "no IdentifyResponse in the answer")
	}
	return *m.identity, nil
}

// protocol makes the Error for an answer that is well-formed and still not one.
func protocol(op string, e *endpoint, format string, args ...any) error {
	return &Error{
		Op: op, Address: e.address, Cause: dial.Protocol, Sent: true,
		Err: fmt.Errorf("%w: %s", errAnswer, fmt.Sprintf(format, args...)),
	}
}

// Get returns one instance. An instance that does not exist is an Error whose Fault says NotFound.
func (c *Client) Get(ctx context.Context, namespace, class string, keys ...Selector) (*Object, error) {
	uri, err := resourceURI(namespace, class)
	if err != nil {
		return nil, err
	}
	q := &question{op: "get " + class, action: actionGet, resource: uri, selectors: keys, idempotent: true}
	m, e, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if m.body == nil {
		return nil, protocol(q.op, e, "no instance in the answer")
	}
	return m.body, nil
}

// Enumerate yields what a WQL query selects, page by page. An error ends it. A loop that is left early, or whose
// context ends, has the server told to forget the enumeration, in the background and for a second at most.
func (c *Client) Enumerate(ctx context.Context, namespace, wql string) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		c.enumerate(ctx, namespace, classOf(wql), `<w:Filter Dialect="`+dialectWQL+`">`+escape(wql)+`</w:Filter>`, yield)
	}
}

// enumerate yields what a filter selects of a namespace; class is for messages.
func (c *Client) enumerate(ctx context.Context, namespace, class, filter string, yield func(*Object, error) bool) {
	uri, err := resourceURI(namespace, "*")
	if err != nil {
		yield(nil, err)
		return
	}
	en := &enumeration{client: c, op: "enumerate " + class, uri: uri}
	if err := en.run(ctx, filter, yield); err != nil {
		yield(nil, err)
	}
}

// All returns everything that a WQL query selects.
func (c *Client) All(ctx context.Context, namespace, wql string) ([]*Object, error) {
	var out []*Object
	for o, err := range c.Enumerate(ctx, namespace, wql) {
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// enumeration is one Enumerate with its Pulls.
type enumeration struct {
	client  *Client
	op      string
	uri     string
	at      *endpoint
	context string // what the server knows the enumeration by; empty where it has forgotten it
}

// run yields every object that the filter, in XML, selects. The error it returns was not yet yielded.
func (en *enumeration) run(ctx context.Context, filter string, yield func(*Object, error) bool) error {
	q := &question{
		op: en.op, action: actionEnumerate, resource: en.uri, idempotent: true,
		body: `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>` + strconv.Itoa(maxElements) + `</w:MaxElements>` + filter +
			`</n:Enumerate>`,
	}
	m, at, err := en.client.ask(ctx, q)
	if err != nil {
		return err
	}
	en.at = at
	count, empty := 0, 0
	for {
		if !m.enumeration {
			en.release()
			return protocol(en.op, at, "no enumeration in the answer")
		}
		en.context = m.context
		if m.end {
			en.context = "" // the server has closed it
		}
		for i := range m.items {
			if count++; count > maxObjects {
				en.release()
				return protocol(en.op, at, "more than %d instances", maxObjects)
			}
			if !yield(&m.items[i], nil) {
				en.release()
				return nil
			}
		}
		if m.end {
			return nil
		}
		if en.context == "" {
			return protocol(en.op, at, "neither a context nor the end of the sequence")
		}
		if empty++; len(m.items) > 0 {
			empty = 0
		}
		if empty > maxEmptyPages {
			en.release()
			return protocol(en.op, at, "%d pages without an instance", maxEmptyPages)
		}
		// A Pull takes items away on the server: it is not asked twice.
		m, _, err = en.client.ask(ctx, &question{
			op: en.op, action: actionPull, resource: en.uri, at: at,
			body: `<n:Pull><n:EnumerationContext>` + escape(en.context) + `</n:EnumerationContext>` +
				`<n:MaxElements>` + strconv.Itoa(maxElements) + `</n:MaxElements></n:Pull>`,
		})
		if err != nil {
			var e *Error
			if errors.As(err, &e) && e.Fault == nil {
				en.release()
			}
			return err
		}
	}
}

// release tells the server to forget the enumeration, in the background: the caller's time may be over. Where four
// are under way already the server is left to its own time-out (EnumerationTimeoutms, 240 s).
func (en *enumeration) release() {
	c := en.client
	if en.context == "" || en.at == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	select {
	case c.releasing <- struct{}{}:
	default:
		return
	}
	q := &question{
		op: "release " + en.op, action: actionRelease, resource: en.uri, at: en.at,
		body: `<n:Release><n:EnumerationContext>` + escape(en.context) + `</n:EnumerationContext></n:Release>`,
	}
	c.releases.Go(func() {
		defer func() { <-c.releasing }()
		ctx, cancel := context.WithTimeout(c.running, releaseTimeout)
		defer cancel()
		// Nobody waits for the answer; ask logs a failure at debug.
		_, _, _ = c.ask(ctx, q)
	})
}

// Argument is one in-parameter of a method, as text; an array is several of the same name.
type Argument struct{ Name, Value string }

// Call is one method call.
type Call struct {
	Namespace string // root/cimv2
	Class     string // Win32_Service
	Keys      []Selector
	Method    string // StartService
	Arguments []Argument
	// NotAfter is when the call may leave at the latest; zero sets no bound. It is compared right before the request is
	// written, after whatever a new connection needed: what the call rests on may have grown too old meanwhile. A call
	// that is too late fails with ErrStale, and nothing has left.
	NotAfter time.Time
}

// Result is what a method answered.
type Result struct {
	// ReturnValue is the method's own code; HasReturnValue is false for a method that returns nothing.
	ReturnValue    uint32
	HasReturnValue bool
	// Output holds the out-parameters; it is never nil.
	Output *Object
	// LeftAt is when the request was written.
	LeftAt time.Time
}

// ErrStale says that a call did not leave because its moment had passed.
var ErrStale = errors.New("it was too late to send it")

// Invoke calls a method, once: it is never sent a second time, not even where the connection was dead. The error is
// an *Error wherever the machine was involved; its Sent is false only where certainly nothing left, and otherwise,
// without a Fault, the outcome is unknown.
func (c *Client) Invoke(ctx context.Context, call Call) (Result, error) {
	uri, err := resourceURI(call.Namespace, call.Class)
	if err != nil {
		return Result{}, err
	}
	for _, name := range append([]string{call.Method}, argumentNames(call.Arguments)...) {
		if !identifier(name) {
			return Result{}, fmt.Errorf("invoke %s: %q is not a name of a method or parameter", call.Class, name)
		}
	}
	body := `<p:` + call.Method + `_INPUT xmlns:p="` + escape(uri) + `">`
	for _, a := range call.Arguments {
		body += `<p:` + a.Name + `>` + escape(a.Value) + `</p:` + a.Name + `>`
	}
	body += `</p:` + call.Method + `_INPUT>`
	q := &question{
		op: "invoke " + call.Class + "." + call.Method, action: uri + "/" + call.Method, resource: uri,
		selectors: call.Keys, body: body, notAfter: call.NotAfter,
	}
	m, e, err := c.ask(ctx, q)
	if err != nil {
		return Result{}, err
	}
	if m.body == nil {
		m.body = &Object{}
	} else if want := call.Method + "_OUTPUT"; m.body.Class != want {
		return Result{}, protocol(q.op, e, "%.64s instead of %s", m.body.Class, want)
	}
	r := Result{Output: m.body, LeftAt: q.leftAt}
	r.ReturnValue, r.HasReturnValue, err = m.body.Uint32("ReturnValue")
	if err != nil {
		return Result{}, protocol(q.op, e, "%v", err)
	}
	return r, nil
}

// argumentNames returns the names of the arguments.
func argumentNames(args []Argument) []string {
	names := make([]string, 0, len(args))
	for _, a := range args {
		names = append(names, a.Name)
	}
	return names
}

// identifier reports whether s may name a CIM method or parameter.
func identifier(s string) bool {
	for i := range len(s) {
		b := s[i]
		if b != '_' && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (i == 0 || b < '0' || b > '9') {
			return false
		}
	}
	return s != ""
}
