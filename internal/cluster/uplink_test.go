package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

func TestUplinks(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	adapter := func(name, address string, media any, hardware bool) wsmanserver.Instance {
		return row("MSFT_NetAdapter", "DeviceID", "DeviceID", name, "Name", name, "PermanentAddress", address, "MediaConnectState", media, "HardwareInterface", hardware)
	}
	port := func(address string, bound bool) wsmanserver.Instance {
		return row("Msvm_ExternalEthernetPort", "DeviceID", "DeviceID", address, "PermanentAddress", address, "IsBound", bound)
	}
	p.set(nsNetwork, "MSFT_NetAdapter",
		adapter("Ethernet 1", "00-15-5d-00-00-01", uint32(1), true), adapter("Ethernet 2", "00155D000002", uint32(2), true),
		adapter("no address", "", uint32(0), true), adapter("vEthernet", "00155D000002", uint32(1), false))
	p.set(nsHyperV, "Msvm_ExternalEthernetPort", port("00155D000001", false), port("00155D000002", true), port("", true))
	h := p.host(t)
	got, err := h.Uplinks(t.Context())
	want := []Uplink{{"Ethernet 1", MediaConnected, is(false)}, {"Ethernet 2", MediaDisconnected, is(true)}, {"no address", MediaUnknown, nil}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("Uplinks, %v (-want +got):\n%s", err, d)
	}
	p.set(nsNetwork, "MSFT_NetAdapter", adapter("Ethernet 1", "00155D000001", nil, true))
	if got, err := h.Uplinks(t.Context()); Reason(err) != dial.Protocol {
		t.Errorf("Uplinks with a NULL state = %+v, %v; want an error", got, err)
	}
}
