package lab

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// nsNetwork is the namespace of network adapters, as a Provider gets it.
const nsNetwork = "root/standardcimv2"

// board is a physical adapter of a host: the first carries the cluster, the second the virtual machines.
type board struct {
	name, address string
	bound, up     bool
}

func boards(m *model.Model, node string) []board {
	n := m.Node(node)
	return []board{
		{"Ethernet 1", fmt.Sprintf("00155D00%02X01", n.ID), false, true},
		{"Ethernet 2", fmt.Sprintf("00155D00%02X02", n.ID), true, n.Board},
	}
}

// networkTables are the classes of root/StandardCimv2 on one node.
func networkTables(node string) map[string]table {
	return map[string]table{"msft_netadapter": func(m *model.Model) []wsmanserver.Instance {
		var list []wsmanserver.Instance
		for _, b := range boards(m, node) {
			media, status := cluster.MediaConnected, 1
			if !b.up {
				media, status = cluster.MediaDisconnected, 2
			}
			list = append(list, instance("MSFT_NetAdapter", []string{"CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"},
				"CreationClassName", "MSFT_NetAdapter", "DeviceID", fmt.Sprintf("{%08X-0000-4000-E000-%s}", sum(node), b.address), "SystemCreationClassName", "CIM_NetworkPort", "SystemName", node,
				"Name", b.name, "InterfaceDescription", "Simulated adapter", "PermanentAddress", b.address, "MediaConnectState", uint32(media),
				"InterfaceOperationalStatus", uint32(status), "HardwareInterface", true, "Virtual", false))
		}
		return list
	}}
}

// externalPorts are the same adapters as Hyper-V shows them: nothing of them tells that a cable is out.
func externalPorts(m *model.Model, node string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, b := range boards(m, node) {
		list = append(list, instance("Msvm_ExternalEthernetPort", []string{"CreationClassName", "DeviceID"}, "CreationClassName", "Msvm_ExternalEthernetPort", "DeviceID", "Microsoft:"+b.address,
			"ElementName", b.name, "PermanentAddress", b.address, "IsBound", b.bound, "EnabledState", uint16(5), "HealthState", uint16(5), "OperationalStatus", []uint16{2}))
	}
	return list
}
