package wsman

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Fault is a SOAP fault: the peer understood the question and says why there is no answer. Its numbers decide what
// it means; its texts are in the peer's language and for a reader only.
type Fault struct {
	// Code is WSManFault's Code or MSFT_WmiError's error_Code: a Windows error, an HRESULT or a WS-Management code.
	// 0 where the fault carries no number.
	Code uint32
	// ProviderCodes are the codes nested below: those of the WMI provider and of WMI itself, outermost first.
	ProviderCodes []uint32
	// CIMStatus is MSFT_WmiError's CIMStatusCode (DSP0200), 0 where there is none.
	CIMStatus uint32
	// Subcode is the SOAP subcode's local name, TimedOut for example.
	Subcode string
	// Message is the most specific text, in whatever language the peer speaks.
	Message string
}

// The numbers that change what we conclude: wsmerror.h and winerror.h as in microsoft/windows-rs,
// Windows/Win32/System/RemoteManagement/mod.rs; WMI's from learn.microsoft.com, "WMI Error Constants".
const (
	codeAccessDenied        = 5
	codeResourceNotFound    = 0x80338000 // class, namespace or instance does not exist
	codeInvalidURI          = 0x80338002
	codeActionNotSupported  = 0x80338013 // a method that the class does not have
	codeEndpointUnavailable = 0x80338014
	codeDialect             = 0x80338019
	codeEnumFilter          = 0x8033801A // captured: a class that does not exist
	codeEnumTimedOut        = 0x8033801C
	codeOperationTimedOut   = 0x80338029
	codeAuthentication      = 0x80338036
	codeInvalidResourceURI  = 0x8033803B
	codeInvalidSelectors    = 0x8033803D
	codeMissingSelectors    = 0x8033805A
	codeUnexpectedSelectors = 0x8033805B
	codeSelectorValue       = 0x8033805D
	codeProviderLoad        = 0x8033809A
	codeWMISingletonURI     = 0x803380FA
	codeWMIEnumURI          = 0x803380FB
	codeWMIServiceDenied    = 0x80338104
	codeWMIProviderDenied   = 0x80338105
	codeWMIConnectDenied    = 0x80338106
	codeFilter              = 0x80338122
	codeNetworkTimedOut     = 0x80338126
	codeWMINotFound         = 0x80041002
	codeWMIAccessDenied     = 0x80041003
	codeWMIProviderFailure  = 0x80041004
	codeWMIInvalidNamespace = 0x8004100E
	codeWMIInvalidClass     = 0x80041010
	codeWMIProviderNotFound = 0x80041011
	codeWMIProviderLoad     = 0x80041013
	codeWMIProviderInit     = 0x80041014
	codeWMIInvalidQuery     = 0x80041017
	codeWMITimeout          = 0x80041069

	win32HRESULT = 0x80070000 // HRESULT_FROM_WIN32 adds the Windows error to this

	win32LogonFailure     = 1326
	win32SharingPaused    = 70   // the cluster service pauses or restarts
	win32RPCUnavailable   = 1722 // no process behind the endpoint
	win32RPCBusy          = 1723
	win32RPCCallFailed    = 1726
	win32EndpointMissing  = 1753 // no endpoint registered: the cluster service is down
	win32Timeout          = 1460
	win32SemaphoreTimeout = 121
	win32ServiceDown      = 1062
	win32ClusterNodeDown  = 5050
	win32NotFound         = 1168
)

// Error shows the numbers first, then the peer's words.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString("fault")
	if f.Code != 0 {
		fmt.Fprintf(&b, " 0x%08X", f.Code)
	}
	for _, c := range f.ProviderCodes {
		if c != f.Code {
			fmt.Fprintf(&b, " (provider 0x%08X)", c)
		}
	}
	if f.Code == 0 && f.Subcode != "" {
		b.WriteString(" " + f.Subcode)
	}
	if f.Message != "" {
		b.WriteString(": " + f.Message)
	}
	return b.String()
}

// Has reports whether the fault carries a code, at any level.
func (f *Fault) Has(code uint32) bool {
	return normal(f.Code) == normal(code) || slices.ContainsFunc(f.ProviderCodes, func(c uint32) bool {
		return normal(c) == normal(code)
	})
}

// normal makes HRESULT_FROM_WIN32 of an error the error itself.
func normal(code uint32) uint32 {
	if code&0xFFFF0000 == win32HRESULT {
		return code & 0xFFFF
	}
	return code
}

// NotFound reports whether the instance that was named does not exist. WS-Management has one code for a missing
// instance, class and namespace; a fault that names the latter two is not one of these.
func (f *Fault) NotFound() bool {
	if f.Has(codeWMIInvalidClass) || f.Has(codeWMIInvalidNamespace) {
		return false
	}
	return f.Has(codeWMINotFound) || f.Has(codeResourceNotFound) || f.Has(win32NotFound)
}

// InvalidClass reports whether the class that was asked for does not exist there. A class that does not exist was
// captured as a filter that cannot be processed, which a property that does not exist is too: this is for questions
// whose properties every version of the class has.
func (f *Fault) InvalidClass() bool {
	const cimInvalidClass = 5 // CIM_ERR_INVALID_CLASS (DSP0200, 5.2.6)
	return f.Has(codeWMIInvalidClass) || f.Has(codeEnumFilter) || f.CIMStatus == cimInvalidClass
}

// FilterRefused reports whether the peer does not take the filter: it does not know the dialect, or could not process what
// it says. A class that does not exist is told in the same words.
func (f *Fault) FilterRefused() bool {
	if f.Has(codeDialect) || f.Has(codeEnumFilter) || f.Has(codeFilter) {
		return true
	}
	return f.Code == 0 && (f.Subcode == "CannotProcessFilter" || f.Subcode == "FilterDialectRequestedUnavailable")
}

// Reason is what the fault means for whoever asked. The innermost code that is known decides: the provider knows
// more than the service in front of it.
func (f *Fault) Reason() dial.Reason {
	for _, c := range slices.Backward(f.ProviderCodes) {
		if r := codeReason(c); r != dial.Other {
			return r
		}
	}
	if r := codeReason(f.Code); r != dial.Other || f.Code != 0 {
		return r
	}
	if r := cimReason(f.CIMStatus); r != dial.Other {
		return r
	}
	return subcodeReason(f.Subcode)
}

// codeReason classifies a number.
func codeReason(code uint32) dial.Reason {
	switch normal(code) {
	case codeAccessDenied, codeWMIAccessDenied, codeWMIServiceDenied, codeWMIProviderDenied, codeWMIConnectDenied:
		return dial.Permission
	case codeAuthentication, win32LogonFailure:
		return dial.Auth
	case codeResourceNotFound, codeInvalidURI, codeActionNotSupported, codeDialect, codeEnumFilter, codeInvalidResourceURI,
		codeInvalidSelectors, codeMissingSelectors, codeUnexpectedSelectors, codeSelectorValue, codeWMISingletonURI, codeWMIEnumURI, codeFilter, codeWMINotFound, codeWMIInvalidNamespace, codeWMIInvalidClass,
		codeWMIProviderNotFound, codeWMIInvalidQuery:
		return dial.Namespace
	case codeEndpointUnavailable, codeProviderLoad, codeOperationTimedOut, codeEnumTimedOut, codeNetworkTimedOut, codeWMITimeout,
		codeWMIProviderFailure, codeWMIProviderLoad, codeWMIProviderInit,
		win32SharingPaused, win32RPCUnavailable, win32RPCBusy, win32RPCCallFailed, win32EndpointMissing,
		win32Timeout, win32SemaphoreTimeout, win32ServiceDown, win32ClusterNodeDown:
		// The host answers; what stands behind the question does not.
		return dial.ProviderHung
	}
	return dial.Other
}

// cimReason classifies a CIM status code (DSP0200, 5.2.6).
func cimReason(status uint32) dial.Reason {
	switch status {
	case 2: // CIM_ERR_ACCESS_DENIED
		return dial.Permission
	case 3, 5, 6, 14, 15: // invalid namespace, invalid class, not found, unknown query language, invalid query
		return dial.Namespace
	}
	return dial.Other
}

// subcodeReason classifies a fault without numbers by its subcode, an identifier of DSP0226 and WS-Addressing.
func subcodeReason(subcode string) dial.Reason {
	switch subcode {
	case "AccessDenied":
		return dial.Permission
	case "TimedOut":
		return dial.ProviderHung
	case "CannotProcessFilter", "FilterDialectRequestedUnavailable", "DestinationUnreachable", "InvalidSelectors",
		"ActionNotSupported":
		return dial.Namespace
	}
	return dial.Other
}

// fault reads a SOAP fault.
func (d *decoder) fault() (*Fault, error) {
	f := &Fault{}
	reason, detail := "", ""
	var codes []uint32
	_, err := d.each(func() error {
		switch {
		case d.is(nsSOAP, "Code"):
			_, err := d.each(func() error { return d.faultCode(f) })
			return err
		case d.is(nsSOAP, "Reason"):
			_, err := d.each(func() error { return d.into(&reason) })
			return err
		case d.is(nsSOAP, "Detail"):
			_, err := d.each(func() error { return d.faultDetail(f, &codes, &detail) })
			return err
		}
		return d.discard()
	})
	if len(codes) > 0 && f.Code == 0 {
		f.Code, codes = codes[0], codes[1:]
	}
	f.ProviderCodes = codes
	f.Message = reason
	if detail != "" {
		f.Message = detail
	}
	f.Message = strings.Join(strings.Fields(f.Message), " ")
	return f, err
}

// faultCode reads the children of Code: the subcode's value, whatever its prefix.
func (d *decoder) faultCode(f *Fault) error {
	if !d.is(nsSOAP, "Subcode") {
		return d.discard()
	}
	_, err := d.each(func() error {
		if !d.is(nsSOAP, "Value") {
			return d.discard()
		}
		s, err := d.content()
		_, f.Subcode = split(s)
		return err
	})
	return err
}

// faultDetail reads one element below Detail, at any depth. The last message is the innermost, the most specific.
func (d *decoder) faultDetail(f *Fault, codes *[]uint32, message *string) error {
	switch {
	case d.is(nsFault, "WSManFault"):
		if s, ok := d.attr("", "Code"); ok {
			if c, ok := parseCode(s); ok {
				*codes = append(*codes, c)
			}
		}
	case d.is(nsWSMan, "FaultDetail"):
		return d.discard()
	case d.local == "MSFT_WmiError", d.local == "__ExtendedStatus":
		o := &Object{}
		if err := d.object(o); err != nil {
			return err
		}
		f.extended(o, codes, message)
		return nil
	}
	s, err := d.each(func() error { return d.faultDetail(f, codes, message) })
	if s = strings.TrimSpace(s); s != "" && *message == "" {
		*message = s // children are read before their parent ends: the first to end is the innermost
	}
	return err
}

// extended takes the numbers out of WMI's own error object.
func (f *Fault) extended(o *Object, codes *[]uint32, message *string) {
	for _, name := range [...]string{"error_Code", "StatusCode"} {
		if s, ok, err := o.Text(name); err == nil && ok {
			if c, ok := parseCode(s); ok && c != 0 {
				*codes = append(*codes, c)
			}
		}
	}
	if n, ok, err := o.Uint32("CIMStatusCode"); err == nil && ok {
		f.CIMStatus = n
	}
	for _, name := range [...]string{"Message", "Description"} {
		if s, ok, err := o.Text(name); err == nil && ok && *message == "" {
			*message = strings.TrimSpace(s)
		}
	}
}

// parseCode reads a code written as an unsigned, a signed or a hexadecimal number.
func parseCode(s string) (uint32, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 0, 32); err == nil {
		return uint32(n), true
	}
	if n, err := strconv.ParseInt(s, 0, 32); err == nil {
		return uint32(n), true // an HRESULT is negative as a signed number
	}
	return 0, false
}
