package exporter

import (
	"context"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// What a peer of the tests says beside its view: a cluster of one network, one volume and a witness.

func (p *peer) Networks(context.Context) ([]cluster.Network, error) {
	return []cluster.Network{{Name: "Management", Role: cluster.NetworkRoleBoth, State: cluster.NetworkUp}}, nil
}

func (p *peer) NetworkInterfaces(context.Context) ([]cluster.NetworkInterface, error) {
	return []cluster.NetworkInterface{{Name: "HV1 - Management", Node: "HV1", Network: "Management", State: cluster.InterfaceUp}}, nil
}

func (p *peer) SharedVolumes(context.Context) ([]cluster.SharedVolume, error) {
	return []cluster.SharedVolume{{Name: `C:\ClusterStorage\Volume1`}}, nil
}

func (p *peer) Partitions(context.Context) ([]cluster.Partition, error) {
	return []cluster.Partition{{Path: `C:\ClusterStorage\Volume1`, Size: 2 << 30, Free: 1 << 30}}, nil
}

func (p *peer) Witness(context.Context) (cluster.Resource, error) {
	return cluster.Resource{Name: "File Share Witness", Type: "File Share Witness", State: cluster.ResourceOnline}, nil
}

func (p *peer) PossibleOwnersOf(context.Context, []string) (map[string][]string, error) {
	return nil, nil
}

func (p *peer) PossibleOwners(context.Context) (map[string][]string, error) {
	return map[string][]string{"Virtual Machine SQL01": {"HV1", "HV2"}}, nil
}

func (p *peer) PreferredOwners(context.Context) (map[string][]string, error) {
	return map[string][]string{}, nil
}

func (p *peer) VMResources(context.Context) ([]cluster.Resource, error) {
	return []cluster.Resource{{Name: "Virtual Machine SQL01", Group: "SQL01"}}, nil
}

// What a peer of the tests says as a host.

func (p *peer) Namespace(context.Context, string) error { return nil }

func (p *peer) Settings(context.Context) ([]cluster.VMSettings, error) { return nil, nil }

func (p *peer) Replications(context.Context) ([]cluster.Replication, error) { return nil, nil }

func (p *peer) Uplinks(context.Context) ([]cluster.Uplink, error) { return nil, nil }

func (p *peer) MemoryBalance(context.Context) (cluster.MemoryBalance, error) {
	return cluster.MemoryBalance{}, nil
}

func (p *peer) LogicalProcessors(context.Context) (uint64, error) { return 0, nil }

func (p *peer) ProcessorTime(context.Context) (cluster.ProcessorTime, error) {
	return cluster.ProcessorTime{}, nil
}

func (p *peer) StorageDevices(context.Context) ([]cluster.StorageDevice, error) { return nil, nil }

func (p *peer) NetworkAdapters(context.Context) ([]cluster.NetworkAdapter, error) { return nil, nil }

func (p *peer) Heartbeats(context.Context) ([]cluster.Heartbeats, error) { return nil, nil }

func (p *peer) VolumePauses(context.Context) ([]cluster.VolumePauses, error) { return nil, nil }

func (p *peer) ResourceFailures(context.Context) (cluster.ResourceFailures, error) {
	return cluster.ResourceFailures{}, nil
}

func (p *peer) Reconnects(context.Context) (uint64, error) { return 0, nil }

func (p *peer) Events(context.Context, cluster.EventQuery) ([]cluster.Event, error) { return nil, nil }

func (p *peer) Load(context.Context) (cluster.GuestLoad, error) {
	return cluster.GuestLoad{Processors: 4}, nil
}
