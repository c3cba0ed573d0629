package cluster

import (
	"encoding/hex"
	"testing"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// TestPropertyList holds the buffer to the layout of learn.microsoft.com, "Property Lists", byte by byte.
func TestPropertyList(t *testing.T) {
	t.Parallel()
	const want = "01000000" + // one property
		"03000400" + "06000000" + "56004d000000" + "0000" + // name: syntax, length in bytes with its end, VM, padding
		"02000100" + "04000000" + "04000000" + // value: syntax, length, 4
		"00000000" // end mark
	if got := hex.EncodeToString(propertyList(uint32(VMLiveMigration), "VM")); got != want {
		t.Errorf("propertyList = %s, want %s", got, want)
	}
}

// TestGroupCode: only the cluster's own errors are its word; an error of the way to it leaves the outcome unknown.
func TestGroupCode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault *wsman.Fault
		want  GroupCode
		ok    bool
	}{
		"accepted":                       {&wsman.Fault{Code: 0x800703E5}, GroupIOPending, true},
		"of the provider, below another": {&wsman.Fault{Code: 0x80338000, ProviderCodes: []uint32{0x80041001, 0x80071398}}, GroupHostNotOwner, true},
		"no fault":                       {nil, 0, false},
		"RPC server is unavailable":      {&wsman.Fault{Code: 0x800706BA, ProviderCodes: []uint32{0x800706BA}}, 0, false},
		"the operation returned because the time-out expired": {&wsman.Fault{Code: 0x800705B4}, 0, false},
		"WMI's generic failure":                               {&wsman.Fault{Code: 0x80041001}, 0, false},
	}
	for name, tt := range tests {
		if got, ok := groupCode(tt.fault); got != tt.want || ok != tt.ok {
			t.Errorf("%s: groupCode = %d, %v; want %d, %v", name, got, ok, tt.want, tt.ok)
		}
	}
}
