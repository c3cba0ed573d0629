package wsman

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hypervigil/hypervigil/internal/dial"
)

func TestFaultsByNumber(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer string
		want   Fault
		reason dial.Reason
	}{
		"class does not exist": {
			fixtureClassFault,
			Fault{Code: 2150858778, ProviderCodes: []uint32{2150858778}, Subcode: "CannotProcessFilter", Message: "The specified class does not exist."},
			dial.Namespace,
		},
		"WMI error without a WSManFault": {
			fixtureWMIError,
			Fault{Code: 0x80041003, CIMStatus: 2, Subcode: "AccessDenied", Message: "Zugriff verweigert, genauer"},
			dial.Permission,
		},
		"access denied":           {wsmanFault("AccessDenied", "5"), Fault{Code: 5, Subcode: "AccessDenied", Message: "said"}, dial.Permission},
		"access denied, HRESULT":  {wsmanFault("AccessDenied", "2147942405"), Fault{Code: 0x80070005, Subcode: "AccessDenied", Message: "said"}, dial.Permission},
		"signed HRESULT":          {wsmanFault("InternalError", "-2147024891"), Fault{Code: 0x80070005, Subcode: "InternalError", Message: "said"}, dial.Permission},
		"WMI denies":              {wsmanFault("AccessDenied", "2150859012"), Fault{Code: 0x80338104, Subcode: "AccessDenied", Message: "said"}, dial.Permission},
		"no such method":          {wsmanFault("ActionNotSupported", "2150858771"), Fault{Code: 0x80338013, Subcode: "ActionNotSupported", Message: "said"}, dial.Namespace},
		"operation timed out":     {wsmanFault("TimedOut", "2150858793"), Fault{Code: 0x80338029, Subcode: "TimedOut", Message: "said"}, dial.ProviderHung},
		"cluster service down":    {wsmanFault("InternalError", "2147944153"), Fault{Code: 0x800706D9, Subcode: "InternalError", Message: "said"}, dial.ProviderHung},
		"cluster service pausing": {wsmanFault("InternalError", "2147942470"), Fault{Code: 0x80070046, Subcode: "InternalError", Message: "said"}, dial.ProviderHung},
		"invalid namespace":       {wsmanFault("InternalError", "2147749902"), Fault{Code: 0x8004100E, Subcode: "InternalError", Message: "said"}, dial.Namespace},
		"too many operations":     {wsmanFault("QuotaLimit", "2150859174"), Fault{Code: 2150859174, Subcode: "QuotaLimit", Message: "said"}, dial.Other},
		// A number that says otherwise than the subcode decides.
		"number before subcode": {wsmanFault("AccessDenied", "2150858793"), Fault{Code: 0x80338029, Subcode: "AccessDenied", Message: "said"}, dial.ProviderHung},
		"no number":             {strings.Replace(wsmanFault("AccessDenied", "x"), ` Code="x"`, "", 1), Fault{Subcode: "AccessDenied", Message: "said"}, dial.Permission},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mustDecode(t, tc.answer).fault
			if f == nil {
				t.Fatal("no fault")
			}
			if d := cmp.Diff(&tc.want, f, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("fault (-want +got):\n%s", d)
			}
			if got := f.Reason(); got != tc.reason {
				t.Errorf("Reason = %q, want %q", got, tc.reason)
			}
		})
	}
}

func TestFaultProviderKnowsMoreThanTheService(t *testing.T) {
	t.Parallel()
	f := &Fault{Code: codeResourceNotFound, ProviderCodes: []uint32{codeResourceNotFound, codeWMIAccessDenied}}
	if got := f.Reason(); got != dial.Permission {
		t.Errorf("Reason = %q, want %q", got, dial.Permission)
	}
	unknown := &Fault{Code: codeOperationTimedOut, ProviderCodes: []uint32{0x80041099}}
	if got := unknown.Reason(); got != dial.ProviderHung {
		t.Errorf("Reason with an unknown provider code = %q, want %q", got, dial.ProviderHung)
	}
}

func TestFaultNotFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault Fault
		want  bool
	}{
		"instance":  {Fault{Code: codeResourceNotFound}, true},
		"WMI's own": {Fault{Code: codeWMINotFound}, true},
		"class":     {Fault{Code: codeResourceNotFound, ProviderCodes: []uint32{codeWMIInvalidClass}}, false},
		"namespace": {Fault{Code: codeResourceNotFound, ProviderCodes: []uint32{codeWMIInvalidNamespace}}, false},
		"access":    {Fault{Code: codeAccessDenied}, false},
	} {
		if got := tc.fault.NotFound(); got != tc.want {
			t.Errorf("NotFound of %s = %v, want %v", name, got, tc.want)
		}
	}
}
