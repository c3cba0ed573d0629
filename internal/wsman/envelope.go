package wsman

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The actions (DSP0226; WS-Transfer; WS-Enumeration). A method's action is its resource and its name.
const (
	actionGet       = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
	actionEnumerate = nsEnumeration + "/Enumerate"
	actionPull      = nsEnumeration + "/Pull"
	actionRelease   = nsEnumeration + "/Release"
)

// wmiPrefix begins the resource URI of every WMI class (MS-WSMV 2.2.4); dialectWQL names the filter's language.
const (
	wmiPrefix  = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
	dialectWQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
)

// The OperationTimeout that a server accepts: WinRM takes nothing shorter than half a second, and MaxTimeoutms is
// 60000 where nobody has raised it.
const (
	minOperationTimeout = 500 * time.Millisecond
	maxOperationTimeout = 60 * time.Second
)

// question is one request, before it is addressed.
type question struct {
	op        string // for the operator: enumerate MSCluster_Node
	action    string // empty for Identify
	resource  string
	selectors []Selector
	body      string // XML inside Body
	// idempotent questions may be asked again on a fresh connection, or of another address.
	idempotent bool
	// at is the endpoint that holds the enumeration's context; nil for any.
	at *endpoint
	// notAfter bounds when it may be written; leftAt is when it was.
	notAfter, leftAt time.Time
}

// envelope writes the request. left is the time that the caller still has.
func (q *question) envelope(to, id string, left time.Duration) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="` + nsSOAP + `"`)
	if q.action == "" {
		b.WriteString(`><s:Header/><s:Body>` + q.body + `</s:Body></s:Envelope>`)
		return []byte(b.String())
	}
	b.WriteString(` xmlns:a="` + nsAddressing + `" xmlns:n="` + nsEnumeration + `" xmlns:w="` + nsWSMan + `"><s:Header>`)
	b.WriteString(`<a:To>` + escape(to) + `</a:To>`)
	b.WriteString(`<w:ResourceURI s:mustUnderstand="true">` + escape(q.resource) + `</w:ResourceURI>`)
	b.WriteString(`<a:ReplyTo><a:Address s:mustUnderstand="true">` + nsAddressing + `/role/anonymous</a:Address></a:ReplyTo>`)
	b.WriteString(`<a:Action s:mustUnderstand="true">` + escape(q.action) + `</a:Action>`)
	b.WriteString(`<w:MaxEnvelopeSize s:mustUnderstand="true">` + strconv.Itoa(maxEnvelopeSize) + `</w:MaxEnvelopeSize>`)
	b.WriteString(`<a:MessageID>` + id + `</a:MessageID>`)
	b.WriteString(`<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>`)
	b.WriteString(`<w:OperationTimeout>` + operationTimeout(left) + `</w:OperationTimeout>`)
	b.WriteString(selectorSet(q.selectors))
	b.WriteString(`</s:Header><s:Body>` + q.body + `</s:Body></s:Envelope>`)
	return []byte(b.String())
}

// selectorSet writes the keys of an instance; nothing where there are none.
func selectorSet(keys []Selector) string {
	if len(keys) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<w:SelectorSet>`)
	for _, s := range keys {
		b.WriteString(`<w:Selector Name="` + escape(s.Name) + `">` + escape(s.Value) + `</w:Selector>`)
	}
	b.WriteString(`</w:SelectorSet>`)
	return b.String()
}

// operationTimeout is how long the server shall try: a little less than we wait, so that a provider that hangs is
// told apart from a server that does.
func operationTimeout(left time.Duration) string {
	d := min(max(left-min(left/10, time.Second), minOperationTimeout), maxOperationTimeout)
	return fmt.Sprintf("PT%.3fS", d.Seconds())
}

// escape makes s safe inside XML text and attributes.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}

// Quote makes s a WQL string literal.
func Quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// messageID returns a new random identifier; Windows writes them in capitals.
func messageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("uuid:%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// resourceURI returns the URI of a class, or of all classes for *.
func resourceURI(namespace, class string) (string, error) {
	ns := strings.Trim(strings.ReplaceAll(namespace, `\`, "/"), "/")
	if ns == "" || class == "" || strings.ContainsAny(ns+class, " ?#\"'<>&") {
		return "", fmt.Errorf("namespace %q, class %q: want names such as root/cimv2 and Win32_Service", namespace, class)
	}
	return wmiPrefix + ns + "/" + class, nil
}

// classOf returns the class that a WQL query names, for messages.
func classOf(wql string) string {
	words := strings.Fields(wql)
	for i, w := range words {
		if strings.EqualFold(w, "from") && i+1 < len(words) {
			return words[i+1]
		}
	}
	return "by WQL"
}
