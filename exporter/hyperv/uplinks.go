package hyperv

import (
	"context"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// uplinkSource tells the host's physical network adapters.
type uplinkSource interface {
	Uplinks(ctx context.Context) ([]cluster.Uplink, error)
}

// mediaStates are the states of hyperv_host_adapter_media_state.
var mediaStates = []string{"connected", "disconnected", "unknown", probe.Other}

func mediaState(s cluster.MediaState) string {
	switch s {
	case cluster.MediaConnected:
		return "connected"
	case cluster.MediaDisconnected:
		return "disconnected"
	case cluster.MediaUnknown:
		return "unknown"
	}
	return probe.Other
}

// uplinksCollector reads whether the cables of the host are in. docs/uplink.md says what is documented of it and what
// is not proven.
func uplinksCollector(o Options, d probe.Descs) probe.Collector {
	media := d.New("hyperv_host_adapter_media_state", "1 for the state of the physical network adapter's connection; disconnected is a cable that is out or a switch without power.", "adapter", "state")
	bound := d.New("hyperv_host_adapter_bound", "1 means that virtual switches may use the physical network adapter: it is an uplink. Absent where Hyper-V does not know the adapter.", "adapter")
	return probe.Collector{Name: "uplinks", Collect: func(ctx context.Context, _ log.Logger) probe.Result {
		uplinks, err := o.Source.Uplinks(ctx)
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the host's network adapters: %w", err)}
		}
		var s probe.Set
		for _, u := range uplinks {
			s.States(media, mediaStates, mediaState(u.Media), u.Name)
			if u.Bound != nil {
				s.Bool(bound, *u.Bound, u.Name)
			}
		}
		return probe.Result{Metrics: s}
	}}
}
