package wsfc

import (
	"context"
	"fmt"

	"github.com/go-kit/log"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// networkSource tells the cluster's networks.
type networkSource interface {
	Networks(ctx context.Context) ([]cluster.Network, error)
	NetworkInterfaces(ctx context.Context) ([]cluster.NetworkInterface, error)
}

// The states and roles of networks as labels.
var (
	networkStates   = []string{"up", "partitioned", "down", "unavailable", "unknown", probe.Other}
	networkRoles    = []string{"none", "cluster", "client", "cluster_and_client", probe.Other}
	interfaceStates = []string{"up", "unreachable", "failed", "unavailable", "unknown", probe.Other}
)

func networkState(s cluster.NetworkState) string {
	switch s {
	case cluster.NetworkUp:
		return "up"
	case cluster.NetworkPartitioned:
		return "partitioned"
	case cluster.NetworkDown:
		return "down"
	case cluster.NetworkUnavailable:
		return "unavailable"
	case cluster.NetworkUnknown:
		return "unknown"
	}
	return probe.Other
}

func networkRole(r cluster.NetworkRole) string {
	switch r {
	case cluster.NetworkRoleNone:
		return "none"
	case cluster.NetworkRoleCluster:
		return "cluster"
	case cluster.NetworkRoleClient:
		return "client"
	case cluster.NetworkRoleBoth:
		return "cluster_and_client"
	}
	return probe.Other
}

func interfaceState(s cluster.InterfaceState) string {
	switch s {
	case cluster.InterfaceUp:
		return "up"
	case cluster.InterfaceUnreachable:
		return "unreachable"
	case cluster.InterfaceFailed:
		return "failed"
	case cluster.InterfaceUnavailable:
		return "unavailable"
	case cluster.InterfaceUnknown:
		return "unknown"
	}
	return probe.Other
}

type networkDescs struct{ state, stateCode, role, interfaceState, interfaceStateCode probe.Desc }

func newNetworkDescs(d probe.Descs) networkDescs {
	of := []string{"node", "network", "interface"}
	return networkDescs{
		state:              d.New("wsfc_network_state", "1 for the state that the cluster's network is in.", "network", "state"),
		stateCode:          d.New("wsfc_network_state_code", "The cluster's number for the network's state: -1 unknown, 0 unavailable, 1 down, 2 partitioned, 3 up.", "network"),
		role:               d.New("wsfc_network_role", "1 for what the cluster uses the network for.", "network", "role"),
		interfaceState:     d.New("wsfc_network_interface_state", "1 for the state of the node's interface in the network, as the cluster sees it.", append(of, "state")...),
		interfaceStateCode: d.New("wsfc_network_interface_state_code", "The cluster's number for the interface's state: -1 unknown, 0 unavailable, 1 failed, 2 unreachable, 3 up.", of...),
	}
}

// networking is what one node says of the networks.
type networking struct {
	networks   []cluster.Network
	interfaces []cluster.NetworkInterface
}

// networksCollector tells the cluster's networks and each node's interfaces in them.
func (p *Prober) networksCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "networks", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a, err := hedged(ctx, l, r, p.order(), func(ctx context.Context, s Source) (n networking, err error) {
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() (err error) { n.networks, err = s.Networks(ctx); return err })
			g.Go(func() (err error) { n.interfaces, err = s.NetworkInterfaces(ctx); return err })
			return n, g.Wait()
		})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the cluster's networks: %w", err)}
		}
		var s probe.Set
		p.networkMetrics(&s, a.value)
		return probe.Result{Metrics: s}
	}}
}

func (p *Prober) networkMetrics(s *probe.Set, n networking) {
	d := p.descs.networks
	for _, w := range n.networks {
		s.States(d.state, networkStates, networkState(w.State), w.Name)
		s.Gauge(d.stateCode, float64(w.State), w.Name)
		s.States(d.role, networkRoles, networkRole(w.Role), w.Name)
	}
	for _, i := range n.interfaces {
		labels := []string{p.names.node(i.Node), i.Network, i.Name}
		s.States(d.interfaceState, interfaceStates, interfaceState(i.State), labels...)
		s.Gauge(d.interfaceStateCode, float64(i.State), labels...)
	}
}
