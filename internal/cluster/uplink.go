package cluster

import (
	"context"
	"fmt"
	"strings"
)

// nsNetwork is the namespace of Windows' network adapters.
const nsNetwork = "root/StandardCimv2"

// MediaState is MSFT_NetAdapter.MediaConnectState (learn.microsoft.com, "MSFT_NetAdapter class").
type MediaState uint32

// The media states.
const (
	MediaUnknown      MediaState = 0
	MediaConnected    MediaState = 1
	MediaDisconnected MediaState = 2
)

// Uplink is a physical network adapter of a host.
type Uplink struct {
	Name  string
	Media MediaState
	// Bound says whether virtual switches may use it (Msvm_ExternalEthernetPort.IsBound); nil where Hyper-V has no port of
	// its permanent address.
	Bound *bool
}

// Uplinks reads the host's physical network adapters, and whether Hyper-V uses them. Hyper-V's own classes do not tell
// that a cable is out: their OperationalStatus and HealthState are documented as constants. Both sides are joined by the
// address that is burnt into the adapter.
func (h *Host) Uplinks(ctx context.Context) ([]Uplink, error) {
	type adapter struct {
		Uplink
		address  string
		physical bool
	}
	type port struct {
		address string
		bound   *bool
	}
	var adapters []adapter
	var ports []port
	err := together(
		ctx,
		into(&adapters, func(ctx context.Context) ([]adapter, error) {
			return all(ctx, &h.machine, nsNetwork, "SELECT Name, PermanentAddress, MediaConnectState, HardwareInterface FROM MSFT_NetAdapter", func(f *fields) adapter {
				return adapter{Uplink{Name: f.mustText("Name"), Media: MediaState(f.mustUint32("MediaConnectState"))}, address(f.text("PermanentAddress")), f.bool("HardwareInterface")}
			})
		}),
		into(&ports, func(ctx context.Context) ([]port, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT PermanentAddress, IsBound FROM Msvm_ExternalEthernetPort", func(f *fields) port {
				return port{address(f.text("PermanentAddress")), optional(f.object.Bool, "IsBound")}
			})
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("read the network adapters of %s: %w", h.name, err)
	}
	bound := map[string]*bool{}
	for _, p := range ports {
		bound[p.address] = p.bound
	}
	var out []Uplink
	for _, a := range adapters {
		if !a.physical {
			continue
		}
		if a.address != "" {
			a.Bound = bound[a.address]
		}
		out = append(out, a.Uplink)
	}
	return out, nil
}

// address is a hardware address to compare: its digits in capitals, whatever stands between them.
func address(s string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", ":", "").Replace(s))
}
