package wsmanserver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxDepth bounds the nesting of a request: the deepest real one, an embedded instance in an endpoint reference
// in a method's input, needs a dozen levels.
const maxDepth = 64

// maxParameters bounds the names in a method's input, and in each embedded instance there.
const maxParameters = 512

// element is a piece of a request.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	chars    []byte // its own character data
	children []*element
}

// errMalformed says that a request is no XML that the service reads: HTTP 400.
var errMalformed = errors.New("malformed XML")

// parseXML reads one document. A document type is refused, as Windows does: no entity is ever expanded.
func parseXML(body []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *element
	var open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errMalformed
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name, attrs: t.Attr}
			switch {
			case len(open) == maxDepth, len(open) == 0 && root != nil:
				return nil, errMalformed
			case len(open) == 0:
				root = e
			default:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				e := open[len(open)-1]
				e.chars = append(e.chars, t...)
			} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\uFEFF")))) > 0 {
				return nil, errMalformed
			}
		case xml.Directive:
			return nil, errMalformed
		case xml.ProcInst, xml.Comment:
		}
	}
	if root == nil || len(open) > 0 {
		return nil, errMalformed
	}
	return root, nil
}

// is reports whether the element has that name.
func (e *element) is(space, local string) bool {
	return e.name.Space == space && e.name.Local == local
}

// child returns the first child of that name, or nil.
func (e *element) child(space, local string) *element {
	for _, c := range e.children {
		if c.is(space, local) {
			return c
		}
	}
	return nil
}

// attr returns an attribute's value.
func (e *element) attr(space, local string) (string, bool) {
	for _, a := range e.attrs {
		if a.Name.Space == space && a.Name.Local == local {
			return a.Value, true
		}
	}
	return "", false
}

// flag reports whether a boolean attribute is true.
func (e *element) flag(space, local string) bool {
	v, _ := e.attr(space, local)
	return v == "true" || v == "1"
}

// text returns the character data.
func (e *element) text() string { return string(e.chars) }

// trimmed returns the character data without white space around it.
func (e *element) trimmed() string { return strings.TrimSpace(e.text()) }

// request is a SOAP envelope, its headers read.
type request struct {
	identify    bool
	action      string
	messageID   string
	resource    resource
	selectors   Selectors
	maxEnvelope int           // 0: not said
	timeout     time.Duration // 0: not said
	body        *element      // the first element of the body, or nil
}

// parseRequest reads an envelope. errMalformed means that there is nothing to answer but HTTP 400; a *Fault comes
// with as much of the request as was understood, for the answer must name the message.
func parseRequest(body []byte) (*request, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, err
	}
	r := &request{}
	switch {
	case root.is(nsSOAP11, "Envelope"):
		return r, faultVersionMismatch()
	case !root.is(nsSOAP, "Envelope"):
		return nil, errMalformed
	}
	header, soapBody := root.child(nsSOAP, "Header"), root.child(nsSOAP, "Body")
	if header == nil {
		header = &element{}
	}
	if id := header.child(nsAddressing, "MessageID"); id != nil {
		r.messageID = id.trimmed()
	}
	if soapBody == nil {
		return r, faultInvalidBody()
	}
	if len(soapBody.children) > 0 {
		r.body = soapBody.children[0]
	}
	// Identify needs no header at all (DSP0226 11).
	if r.body != nil && r.body.is(nsIdentity, "Identify") {
		r.identify = true
		return r, nil
	}
	if f := r.readHeaders(header); f != nil {
		return r, f
	}
	return r, nil
}

// readHeaders reads every header of a request that is not Identify.
func (r *request) readHeaders(header *element) *Fault {
	var uri, to *element
	var options *element
	for _, h := range header.children {
		switch h.name {
		case xml.Name{Space: nsAddressing, Local: "Action"}:
			r.action = h.trimmed()
		case xml.Name{Space: nsAddressing, Local: "To"}:
			to = h
		case xml.Name{Space: nsAddressing, Local: "MessageID"}:
		case xml.Name{Space: nsAddressing, Local: "ReplyTo"}:
			if a := h.child(nsAddressing, "Address"); a == nil || a.trimmed() != anonymous {
				return faultInvalidHeader() // the answer goes back on the same connection, nowhere else
			}
		case xml.Name{Space: nsAddressing, Local: "From"}, xml.Name{Space: nsAddressing, Local: "FaultTo"},
			xml.Name{Space: nsAddressing, Local: "RelatesTo"}:
		case xml.Name{Space: nsWSMan, Local: "ResourceURI"}:
			uri = h
		case xml.Name{Space: nsWSMan, Local: "SelectorSet"}:
			if f := r.readSelectors(h); f != nil {
				return f
			}
		case xml.Name{Space: nsWSMan, Local: "OptionSet"}:
			options = h
		case xml.Name{Space: nsWSMan, Local: "MaxEnvelopeSize"}:
			n, err := strconv.ParseUint(h.trimmed(), 10, 32)
			if err != nil {
				return faultSchema()
			}
			if n < minEnvelope {
				return faultEnvelopeTooSmall()
			}
			r.maxEnvelope = int(n)
		case xml.Name{Space: nsWSMan, Local: "OperationTimeout"}:
			d, ok := parseDuration(h.trimmed())
			if !ok {
				return faultInvalidTimeout()
			}
			r.timeout = max(d, minTimeout)
		case xml.Name{Space: nsWSMan, Local: "Locale"}, xml.Name{Space: nsMicrosoft, Local: "DataLocale"}:
			if h.flag(nsSOAP, "mustUnderstand") {
				return faultFeature(CodeLocaleUnsupported, "Locale", Text{
					"The service cannot guarantee that all data is returned in the requested locale.",
					"すべてのデータが要求されたロケールで返されることを保証できません。",
				})
			}
		case xml.Name{Space: nsWSMan, Local: "FragmentTransfer"}:
			return faultFeature(CodeFragmentUnsupported, "FragmentLevelAccess", Text{
				"The service does not support fragment transfer.", "フラグメント転送はサポートされていません。",
			})
		case xml.Name{Space: nsMicrosoft, Local: "SessionId"}, xml.Name{Space: nsMicrosoft, Local: "OperationID"},
			xml.Name{Space: nsMicrosoft, Local: "SequenceId"}, xml.Name{Space: nsMicrosoft, Local: "ActivityId"}:
		default:
			if h.flag(nsSOAP, "mustUnderstand") {
				return faultMustUnderstand("{" + h.name.Space + "}" + h.name.Local)
			}
		}
	}
	if r.action == "" || r.messageID == "" || to == nil {
		return faultMissingHeader()
	}
	if options != nil {
		for _, o := range options.children {
			if o.is(nsWSMan, "Option") && o.flag("", "MustComply") {
				return faultOptions()
			}
		}
	}
	if uri == nil {
		return faultUnknownResource()
	}
	var ok bool
	if r.resource, ok = parseResource(uri.trimmed()); !ok {
		return faultUnknownResource()
	}
	return nil
}

// readSelectors reads the keys. A key that is itself an endpoint reference is refused.
func (r *request) readSelectors(set *element) *Fault {
	for _, s := range set.children {
		name, ok := s.attr("", "Name")
		if !s.is(nsWSMan, "Selector") || !ok || name == "" {
			return faultSchema()
		}
		if len(s.children) > 0 {
			return faultSelectors(CodeInvalidSelectorValue, "InvalidValue")
		}
		if _, twice := r.selectors.Value(name); twice {
			return faultSelectors(CodeDuplicateSelectors, "DuplicateSelectors")
		}
		r.selectors = append(r.selectors, Selector{Name: name, Value: s.text()})
	}
	return nil
}

// parseParameters reads the input of a method.
func parseParameters(input *element) (Parameters, *Fault) {
	var out Parameters
	for _, e := range input.children {
		v, f := parseParameter(e)
		if f != nil {
			return nil, f
		}
		at := -1
		for k := range out {
			if strings.EqualFold(out[k].Name, e.name.Local) {
				at = k
			}
		}
		if at < 0 {
			if len(out) == maxParameters {
				return nil, faultSchema()
			}
			out = append(out, Parameter{Name: e.name.Local, Value: v})
			continue
		}
		// An array is an element repeated.
		switch have := out[at].Value.(type) {
		case string:
			s, ok := v.(string)
			if !ok {
				return nil, faultSchema()
			}
			out[at].Value = []string{have, s}
		case []string:
			s, ok := v.(string)
			if !ok {
				return nil, faultSchema()
			}
			out[at].Value = append(have, s)
		case Instance:
			i, ok := v.(Instance)
			if !ok {
				return nil, faultSchema()
			}
			out[at].Value = []Instance{have, i}
		case []Instance:
			i, ok := v.(Instance)
			if !ok {
				return nil, faultSchema()
			}
			out[at].Value = append(have, i)
		default:
			return nil, faultSchema()
		}
	}
	return out, nil
}

// parseParameter reads one value.
func parseParameter(e *element) (any, *Fault) {
	switch {
	case e.flag(nsXSI, "nil"):
		return nil, nil
	case len(e.children) == 0:
		return e.text(), nil
	}
	if len(e.children) == 1 {
		c := e.children[0]
		switch c.name.Local {
		case "Datetime", "Interval", "Date", "Time", "CIM_DateTime":
			if len(c.children) == 0 {
				return c.trimmed(), nil
			}
		case "EndpointReference":
			return parseReference(c)
		}
	}
	if e.child(nsAddressing, "ReferenceParameters") != nil {
		return parseReference(e)
	}
	return parseEmbedded(e)
}

// parseReference reads an endpoint reference.
func parseReference(e *element) (any, *Fault) {
	params := e.child(nsAddressing, "ReferenceParameters")
	if params == nil {
		return nil, faultSchema()
	}
	uri := params.child(nsWSMan, "ResourceURI")
	if uri == nil {
		return nil, faultUnknownResource()
	}
	res, ok := parseResource(uri.trimmed())
	if !ok {
		return nil, faultUnknownResource()
	}
	holder := request{}
	if set := params.child(nsWSMan, "SelectorSet"); set != nil {
		if f := holder.readSelectors(set); f != nil {
			return nil, f
		}
	}
	return Reference{Namespace: res.namespace, Class: res.class, Keys: holder.selectors}, nil
}

// parseEmbedded reads an embedded instance; its class is the last part of its elements' namespace.
func parseEmbedded(e *element) (any, *Fault) {
	space := e.children[0].name.Space
	i := Instance{Class: space[strings.LastIndexByte(space, '/')+1:]}
	params, f := parseParameters(e)
	if f != nil {
		return nil, f
	}
	for _, p := range params {
		i.Properties = append(i.Properties, Property(p))
	}
	return i, nil
}

// parseDuration reads an xs:duration of days and less, which is what clients send: PT60.000S, P0DT0H1M0S.
func parseDuration(s string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return 0, false
	}
	var total time.Duration
	date, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" {
		return 0, false
	}
	for _, part := range []struct {
		text  string
		units string
	}{{date, "D"}, {clock, "HMS"}} {
		text, units := part.text, part.units
		for text != "" {
			cut := strings.IndexAny(text, "DHMS")
			if cut <= 0 {
				return 0, false
			}
			at := strings.IndexByte(units, text[cut])
			n, err := strconv.ParseFloat(text[:cut], 64)
			if at < 0 || err != nil || n < 0 || n > 1e6 || strings.ContainsAny(text[:cut], "eExXpPnN+-_") {
				return 0, false
			}
			total += time.Duration(n * float64(unitOf(text[cut])))
			units = units[at+1:]
			text = text[cut+1:]
		}
	}
	return total, true
}

// unitOf returns the length of a part of a duration.
func unitOf(c byte) time.Duration {
	switch c {
	case 'D':
		return 24 * time.Hour
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	}
	return time.Second
}
