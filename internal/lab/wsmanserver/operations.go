package wsmanserver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log/level"
)

// serve does what a request asks. The error is a *Fault, or context.Canceled where nobody waits any more.
func (s *Server) serve(ctx context.Context, user string, r *request) (response, error) {
	if r.identify {
		return s.identify(), nil
	}
	timeout := s.opts.OperationTimeout
	if r.timeout > 0 {
		timeout = r.timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch r.action {
	case actionPull:
		return s.pull(user, r)
	case actionRelease:
		return s.release(user, r)
	}
	if !s.sessions.enter(user) {
		return response{}, faultTooManyOperations(s.opts.MaxOperations)
	}
	kept := false
	defer func() {
		if !kept {
			s.sessions.leave(user)
		}
	}()
	var out response
	var err error
	switch {
	case r.action == actionGet:
		out, err = s.get(ctx, user, r)
	case r.action == actionEnumerate:
		out, kept, err = s.enumerate(ctx, user, r)
	case len(r.action) > len(r.resource.uri)+1 && strings.EqualFold(r.action[:len(r.resource.uri)+1], r.resource.uri+"/"):
		out, err = s.invoke(ctx, user, r, r.action[len(r.resource.uri)+1:])
	default:
		err = faultUnknownAction()
	}
	return out, err
}

// identify says who the server is. The answer has no headers, and no request needs any.
func (s *Server) identify() response {
	b := []byte(`<wsmid:IdentifyResponse xmlns:wsmid="` + nsIdentity + `"><wsmid:ProtocolVersion>` + nsWSMan +
		`</wsmid:ProtocolVersion><wsmid:ProductVendor>`)
	b = appendText(b, s.opts.ProductVendor)
	b = append(b, `</wsmid:ProductVendor><wsmid:ProductVersion>`...)
	b = appendText(b, s.opts.ProductVersion)
	return response{body: append(b, `</wsmid:ProductVersion></wsmid:IdentifyResponse>`...)}
}

// permit asks whether the call is allowed, and records it.
func (s *Server) permit(c Call) error {
	c.At = time.Now()
	if s.opts.Authorize != nil && !s.opts.Authorize(c) {
		return faultAccessDenied()
	}
	if s.opts.Record != nil {
		s.opts.Record(c)
	}
	return nil
}

// instances asks the Provider.
func (s *Server) instances(ctx context.Context, namespace, class, query string) ([]Instance, error) {
	all, err := s.opts.Provider.Instances(ctx, namespace, class)
	if err == nil {
		// A Provider that answers after the deadline answers nobody.
		err = ctx.Err()
	}
	if err != nil {
		return nil, s.failed(err, query)
	}
	return all, nil
}

// failed turns a Provider's error into a fault, and logs the words that the client does not get.
func (s *Server) failed(err error, query string) error {
	f := providerFault(err, query)
	if f == nil {
		return context.Canceled
	}
	level.Debug(s.opts.Logger).Log("msg", "provider refused", "code", uint32(f.Code), "err", err)
	return f
}

// get answers with one instance.
func (s *Server) get(ctx context.Context, user string, r *request) (response, error) {
	if r.resource.class == "*" {
		return response{}, faultUnknownResource()
	}
	err := s.permit(Call{
		User: user, Operation: OperationGet, Namespace: r.resource.namespace, Class: r.resource.class, Selectors: r.selectors,
	})
	if err != nil {
		return response{}, err
	}
	i, err := s.find(ctx, r)
	if err != nil {
		return response{}, err
	}
	body, err := appendInstance(nil, r.resource.written, i, nil)
	if err != nil {
		return response{}, s.failed(err, "")
	}
	out := response{action: actionGet + "Response", relatesTo: r.messageID, body: body}
	return out, s.fits(r, out)
}

// find returns the instance that the selectors name.
func (s *Server) find(ctx context.Context, r *request) (Instance, error) {
	all, err := s.instances(ctx, r.resource.namespace, r.resource.class, "")
	if err != nil {
		return Instance{}, err
	}
	keys, f := keysOnly(r)
	if f != nil {
		return Instance{}, f
	}
	if len(all) == 0 {
		return Instance{}, faultNotFound()
	}
	// All instances of a class have the same keys, a subclass's too.
	names := all[0].Keys
	for _, k := range keys {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, k.Name) }) {
			return Instance{}, faultSelectors(CodeUnexpectedSelectors, "UnexpectedSelectors")
		}
	}
	switch {
	case len(keys) == 0 && len(names) > 0:
		return Instance{}, faultNotSingleton()
	case len(keys) < len(names):
		return Instance{}, faultSelectors(CodeMissingSelectors, "InsufficientSelectors")
	}
	for _, i := range all {
		if i.has(keys) {
			return i, nil
		}
	}
	return Instance{}, faultNotFound()
}

// keysOnly returns the selectors without __cimnamespace, which must repeat the URI's.
func keysOnly(r *request) (Selectors, *Fault) {
	var out Selectors
	for _, s := range r.selectors {
		if !strings.EqualFold(s.Name, "__cimnamespace") {
			out = append(out, s)
			continue
		}
		if !strings.EqualFold(strings.ReplaceAll(s.Value, `\`, "/"), r.resource.namespace) {
			return nil, faultSelectors(CodeInvalidSelectorValue, "InvalidValue")
		}
	}
	return out, nil
}

// has reports whether the instance has these keys. WMI compares them without regard to case.
func (i Instance) has(keys Selectors) bool {
	for _, k := range keys {
		v, ok := i.Property(k.Name)
		if !ok || isNull(v) || !strings.EqualFold(keyText(v), k.Value) {
			return false
		}
	}
	return true
}

// limit is the size that an answer may have, as counted in UTF-16.
func (s *Server) limit(r *request) int {
	if r.maxEnvelope > 0 {
		return min(r.maxEnvelope, s.opts.MaxEnvelopeSize)
	}
	return s.opts.MaxEnvelopeSize
}

// fits refuses an answer that is larger than the client takes.
func (s *Server) fits(r *request, out response) error {
	if utf16Bytes(s.envelope(out)) > s.limit(r) {
		return faultEnvelopeExceeded()
	}
	return nil
}

// enumerate runs a query, or lists a class. kept says that an enumeration goes on.
func (s *Server) enumerate(ctx context.Context, user string, r *request) (out response, kept bool, err error) {
	spec, f := parseEnumerate(r)
	if f != nil {
		return response{}, false, f
	}
	class := r.resource.class
	if spec.query != nil {
		class = spec.query.class
	}
	if spec.referral != nil {
		class = spec.referral.class
	}
	err = s.permit(Call{
		User: user, Operation: OperationEnumerate, Namespace: r.resource.namespace, Class: class, Query: spec.text,
	})
	if err != nil {
		return response{}, false, err
	}
	var rows []Instance
	if spec.referral != nil {
		rows, err = s.references(ctx, r.resource.namespace, spec.referral, spec.text)
	} else {
		rows, err = s.instances(ctx, r.resource.namespace, class, spec.text)
	}
	if err != nil {
		return response{}, false, err
	}
	e := &enumeration{user: user, namespace: r.resource.written, rows: rows}
	if spec.query != nil {
		if e.rows, err = spec.query.run(rows); err != nil {
			return response{}, false, faultCannotProcessFilter().fromProvider(Text{English: err.Error()}, "ExecQuery", spec.text)
		}
		e.columns = spec.query.columns
	}
	out = response{action: actionEnumerate + "Response", relatesTo: r.messageID}
	var items []byte
	if spec.optimize {
		// Windows gives one item here whenever there are more, whatever MaxElements says (captured, 2008 and 2012).
		if items, f = s.page(r, e, 1, out); f != nil {
			return response{}, false, f
		}
	}
	b := []byte(`<n:EnumerateResponse><n:EnumerationContext>`)
	if !spec.optimize || len(e.rows) > 0 {
		kept = true
		b = append(b, s.sessions.keep(e)...)
	}
	b = append(b, `</n:EnumerationContext>`...)
	if spec.optimize {
		b = append(append(append(b, `<w:Items>`...), items...), `</w:Items>`...)
		if !kept {
			b = append(b, `<w:EndOfSequence/>`...)
		}
	}
	out.body = append(b, `</n:EnumerateResponse>`...)
	return out, kept, nil
}

// enumerateSpec is the body of Enumerate.
type enumerateSpec struct {
	optimize bool
	text     string // WQL
	query    *query
	referral *referral
}

// parseEnumerate reads the body of Enumerate. MaxElements is in the namespace w here, n in Pull.
func parseEnumerate(r *request) (enumerateSpec, *Fault) {
	var spec enumerateSpec
	if r.body == nil || !r.body.is(nsEnumeration, "Enumerate") {
		return spec, faultInvalidBody()
	}
	var filter *element
	for _, e := range r.body.children {
		switch {
		case e.is(nsWSMan, "OptimizeEnumeration"):
			spec.optimize = true
		case e.is(nsWSMan, "MaxElements"):
			if _, ok := count(e); !ok {
				return spec, faultSchema()
			}
		case e.is(nsWSMan, "Filter"), e.is(nsEnumeration, "Filter"):
			filter = e
		case e.is(nsWSMan, "EnumerationMode"):
			return spec, faultFeature(CodeEnumerationMode, "EnumerationMode", Text{
				"The service does not support the specified enumeration mode.", "指定された列挙モードはサポートされていません。",
			})
		case e.is(nsEnumeration, "Expires"):
			return spec, faultFeature(CodeExpirationUnsupported, "ExpirationTime", Text{
				"The data source does not support expiration time.", "有効期限はサポートされていません。",
			})
		default:
			return spec, faultSchema()
		}
	}
	keys, f := keysOnly(r)
	switch {
	case f != nil:
		return spec, f
	case filter == nil && len(keys) > 0:
		return spec, faultEnumerateWithKeys()
	case filter == nil && r.resource.class == "*":
		return spec, faultCannotProcessFilter()
	case filter == nil:
		return spec, nil
	}
	dialect, _ := filter.attr("", "Dialect")
	if dialect != dialectWQL && dialect != dialectAssociation {
		return spec, faultDialect()
	}
	if r.resource.class != "*" || len(keys) > 0 {
		return spec, faultQueryNeedsStar()
	}
	if dialect == dialectAssociation {
		if spec.referral, f = parseReferral(filter); f == nil {
			spec.text = spec.referral.text()
		}
		return spec, f
	}
	spec.text = filter.trimmed()
	q, err := parseWQL(spec.text)
	if err != nil || len(filter.children) > 0 {
		message := Text{English: "invalid query"}
		if err != nil {
			message.English = err.Error()
		}
		return spec, faultCannotProcessFilter().fromProvider(message, "ExecQuery", spec.text)
	}
	spec.query = q
	return spec, nil
}

// count reads a positive number of items.
func count(e *element) (int, bool) {
	n, err := strconv.ParseUint(e.trimmed(), 10, 31)
	return min(int(n), maxBatchItems), err == nil && n > 0
}

// pull gives the next page.
func (s *Server) pull(user string, r *request) (response, error) {
	id, items, f := parsePull(r)
	if f != nil {
		return response{}, f
	}
	e, ok := s.sessions.take(user, id)
	if !ok {
		return response{}, faultInvalidContext()
	}
	out := response{action: actionPull + "Response", relatesTo: r.messageID}
	page, f := s.page(r, e, items, out)
	if f != nil {
		// A failed Pull ends its enumeration (wsmerror.h, ERROR_WSMAN_ENUMERATION_INVALID).
		s.sessions.leave(user)
		return response{}, f
	}
	b := []byte(`<n:PullResponse>`)
	more := len(e.rows) > 0
	if more {
		b = append(append(append(b, `<n:EnumerationContext>`...), s.sessions.keep(e)...), `</n:EnumerationContext>`...)
	} else {
		s.sessions.leave(user)
	}
	b = append(append(append(b, `<n:Items>`...), page...), `</n:Items>`...)
	if !more {
		b = append(b, `<n:EndOfSequence/>`...)
	}
	out.body = append(b, `</n:PullResponse>`...)
	return out, nil
}

// parsePull reads the body of Pull: context, MaxTime, MaxElements, MaxCharacters, in this order (WS-Enumeration 3.2).
func parsePull(r *request) (id string, items int, f *Fault) {
	items = 1 // Windows gives one where the client does not say (captured)
	if r.body == nil || !r.body.is(nsEnumeration, "Pull") {
		return "", 0, faultInvalidBody()
	}
	order := []string{"EnumerationContext", "MaxTime", "MaxElements", "MaxCharacters"}
	for _, e := range r.body.children {
		at := slices.Index(order, e.name.Local)
		if e.name.Space != nsEnumeration || at < 0 {
			return "", 0, faultSchema()
		}
		order = order[at+1:]
		switch e.name.Local {
		case "EnumerationContext":
			id = e.trimmed()
		case "MaxTime":
			if _, ok := parseDuration(e.trimmed()); !ok {
				return "", 0, faultSchema()
			}
		case "MaxElements":
			var ok bool
			if items, ok = count(e); !ok {
				return "", 0, faultSchema()
			}
		case "MaxCharacters":
			return "", 0, faultFeature(CodeEnvelopeExceeded, "MaxCharacters", Text{
				"The service does not count characters; use MaxEnvelopeSize.",
				"MaxCharacters はサポートされていません。",
			})
		}
	}
	if id == "" {
		return "", 0, faultInvalidContext()
	}
	return id, items, nil
}

// pageOverhead is more than what stands around the items of a page: context, Items, EndOfSequence, in UTF-16.
const pageOverhead = 2 * 256

// page writes up to n items and takes them from the enumeration: as many as the envelope holds, but one at least.
func (s *Server) page(r *request, e *enumeration, n int, out response) ([]byte, *Fault) {
	room := s.limit(r) - utf16Bytes(s.envelope(out)) - pageOverhead
	var b []byte
	taken := 0
	for ; taken < min(n, len(e.rows)); taken++ {
		before := len(b)
		longer, err := appendInstance(b, e.namespace, e.rows[taken], e.columns)
		if err != nil {
			level.Error(s.opts.Logger).Log("msg", "provider gave a value that CIM does not know", "err", err)
			return nil, providerFault(err, "")
		}
		b = longer
		if room -= utf16Bytes(b[before:]); room < 0 {
			if taken == 0 {
				return nil, faultEnvelopeExceeded()
			}
			b = b[:before]
			break
		}
	}
	e.rows = e.rows[taken:]
	return b, nil
}

// release ends an enumeration.
func (s *Server) release(user string, r *request) (response, error) {
	if r.body == nil || !r.body.is(nsEnumeration, "Release") {
		return response{}, faultInvalidBody()
	}
	id := r.body.child(nsEnumeration, "EnumerationContext")
	if id == nil {
		return response{}, faultInvalidContext()
	}
	if _, ok := s.sessions.take(user, id.trimmed()); !ok {
		return response{}, faultInvalidContext()
	}
	s.sessions.leave(user)
	return response{action: actionRelease + "Response", relatesTo: r.messageID}, nil
}

// invoke runs a method.
func (s *Server) invoke(ctx context.Context, user string, r *request, method string) (response, error) {
	if r.resource.class == "*" || strings.ContainsAny(method, "/ <>&\"'") {
		return response{}, faultUnknownAction()
	}
	if r.body == nil || !strings.EqualFold(r.body.name.Local, method+"_INPUT") {
		return response{}, faultInvalidBody()
	}
	if !strings.EqualFold(r.body.name.Space, r.resource.uri) {
		return response{}, faultParameterNamespace()
	}
	params, f := parseParameters(r.body)
	if f != nil {
		return response{}, f
	}
	keys, f := keysOnly(r)
	if f != nil {
		return response{}, f
	}
	err := s.permit(Call{
		User: user, Operation: OperationInvoke, Namespace: r.resource.namespace, Class: r.resource.class,
		Selectors: keys, Method: method, Params: params,
	})
	if err != nil {
		return response{}, err
	}
	if len(keys) > 0 {
		if _, err := s.find(ctx, r); err != nil {
			return response{}, err
		}
	}
	result, err := s.opts.Provider.Invoke(ctx, r.resource.namespace, r.resource.class, keys, method, params)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return response{}, s.failed(err, "")
	}
	b := []byte(`<p:` + method + `_OUTPUT xmlns:xsi="` + nsXSI + `" xmlns:p="`)
	b = appendText(b, r.resource.uri)
	b = append(b, `" xmlns:cim="`+nsCIM+`">`...)
	b, err = appendProperties(b, r.resource.written, shapeClass, "p:", result.Properties)
	if err == nil && result.ReturnValue != nil {
		b, err = appendProperty(b, r.resource.written, shapeClass, "p:", Property{"ReturnValue", result.ReturnValue})
	}
	if err != nil {
		return response{}, s.failed(fmt.Errorf("method %s: %w", method, err), "")
	}
	b = append(b, `</p:`+method+`_OUTPUT>`...)
	out := response{action: r.action + "Response", relatesTo: r.messageID, body: b}
	if s.fits(r, out) != nil {
		return response{}, faultUnreportable()
	}
	return out, nil
}
