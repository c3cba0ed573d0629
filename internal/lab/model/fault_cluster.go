package model

import (
	"errors"
	"fmt"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The faults of the cluster.
const (
	WitnessLost        = "witness-lost"
	QuorumLost         = "quorum-lost"
	Partition          = "partition"
	ClusterServiceStop = "cluster-service-stop"
	Quarantine         = "quarantine"
	Drain              = "drain"
	LiveMigration      = "live-migration"
	Balancing          = "balancing"
	VolumeRedirected   = "volume-redirected"
	VolumeLost         = "volume-lost"
)

func clusterFaults() []Fault {
	return []Fault{
		{
			Name: Partition, Of: OfNode, inject: cutNode,
			About: "the networks between a host and all others are cut; monitors and clients reach both sides",
		},
		{Name: QuorumLost, Of: OfCluster, inject: loseQuorum, About: "every host is cut off from every other and from the witness: the cluster ends everywhere"},
		{Name: ClusterServiceStop, Of: OfNode, inject: stopClustering, About: "somebody stops a host's cluster service; its groups go to the others"},
		{Name: Quarantine, Of: OfNode, inject: quarantine, About: "a host has left the cluster three times in an hour: it is shut out, and its groups go to the others"},
		{Name: VolumeLost, Of: OfCluster, inject: loseVolume, About: "no host reaches the shared volume: virtual machines are paused, critical, and wait for it"},
		{Name: WitnessLost, Of: OfCluster, Condition: true, inject: loseWitness, About: "the witness' resource fails: one failure from losing quorum"},
		{Name: VolumeRedirected, Of: OfCluster, Condition: true, inject: redirectVolume, About: "the shared volume is reached through another host only"},
		{Name: Drain, Of: OfNode, Condition: true, inject: drainNode, About: "a person pauses a host and drains it"},
		{Name: LiveMigration, Of: OfVM, Condition: true, inject: migrating(""), About: "a live migration of the virtual machine is under way, by a person, for half a minute"},
		{Name: Balancing, Of: OfVM, Condition: true, inject: migrating(balancing), About: "the cluster migrates the virtual machine by itself, to balance its load, for half a minute"},
	}
}

func loseWitness(m *Model, _ *target) (func(), error) {
	m.Witness = cluster.ResourceFailed
	if up := m.up(); len(up) > 0 {
		m.clusterLog(up[0], EventResourceFailed, "File Share Witness", "Cluster Group", "File Share Witness")
	}
	return func() { m.Witness = cluster.ResourceOnline }, nil
}

func redirectVolume(m *Model, _ *target) (func(), error) {
	m.Volume = cluster.VolumeFaultRedirected
	return func() { m.Volume = cluster.VolumeFaultNone }, nil
}

func cutNode(m *Model, t *target) (func(), error) {
	n := t.node
	if !n.Powered || n.Cut || n.State != cluster.NodeUp && n.State != cluster.NodePaused {
		return nil, fmt.Errorf("node %s is no member of the cluster that could be cut off", n.Name)
	}
	m.cut(n)
	return func() { m.mend(n) }, nil
}

func loseQuorum(m *Model, _ *target) (func(), error) {
	for _, n := range m.Nodes {
		if n.Cut {
			return nil, fmt.Errorf("node %s is cut off already", n.Name)
		}
	}
	m.loseQuorum()
	return m.regainQuorum, nil
}

func stopClustering(m *Model, t *target) (func(), error) {
	n := t.node
	if !n.Powered || !n.Clustering || n.Cut {
		return nil, fmt.Errorf("the cluster service of node %s does not run, or is cut off", n.Name)
	}
	m.stopClustering(n)
	return func() {
		if n.Powered && !n.Clustering {
			m.startClustering(n)
		}
	}, nil
}

func quarantine(m *Model, t *target) (func(), error) {
	n := t.node
	if m.Spec.Era.Quarantine == 0 {
		return nil, errors.New("no era was chosen that quarantines nodes; use " + EraToday)
	}
	if !n.Powered || n.Cut || n.State != cluster.NodeUp {
		return nil, fmt.Errorf("node %s is not up", n.Name)
	}
	for range m.Spec.Era.Quarantine {
		n.left = append(n.left, m.now)
	}
	if !m.quarantines(n) {
		n.left = nil
		return nil, errors.New("as many nodes are quarantined as the cluster allows")
	}
	n.life++
	m.shutOut(n)
	n.Clustering = false
	m.handOver(n, "quarantine")
	return func() { m.clearQuarantine(n) }, nil
}

func drainNode(m *Model, t *target) (func(), error) {
	n := t.node
	if !n.Powered || n.State != cluster.NodeUp {
		return nil, fmt.Errorf("node %s is not up", n.Name)
	}
	m.drain(n)
	return func() { m.resumeNode(n) }, nil
}

// migrating begins a live migration that takes its time, to where the cluster would place the group; with a reason the
// cluster wants it, without one a person.
func migrating(why string) func(*Model, *target) (func(), error) {
	return func(m *Model, t *target) (func(), error) {
		v := t.vm
		to := m.target(v)
		if to == nil || v.moving != nil || v.GroupState != cluster.GroupOnline || v.State != cluster.VMRunning {
			return nil, fmt.Errorf("%s is not online, moves already, or has nowhere to go", v.Name)
		}
		v.moving = &moving{to: to.Name, how: cluster.VMLiveMigration, why: why, took: longMigration}
		v.GroupState = cluster.GroupPending
		m.migrate(v, to.Name)
		w := v.moving
		return func() {
			if v.moving == w {
				m.CancelMove(v)
			}
		}, nil
	}
}

// loseVolume takes the shared volume away from every host. A virtual machine of today waits for its disk, paused, and is
// turned off in the end; one of before stops with it, and its resource cannot be brought online anywhere.
func loseVolume(m *Model, _ *target) (func(), error) {
	if m.Volume == cluster.VolumeFaultNoAccess {
		return nil, errors.New("the volume is lost already")
	}
	before := m.Volume
	m.Volume = cluster.VolumeFaultNoAccess
	if up := m.up(); len(up) > 0 {
		m.clusterLog(up[0], EventVolumeLost, volumePath, sharedVolume, "ERROR_TIMEOUT(1460)")
	}
	for _, v := range m.VMs {
		m.loseDisk(v)
	}
	return func() {
		m.Volume = before
		for _, v := range m.VMs {
			m.regainDisk(v)
		}
	}, nil
}
