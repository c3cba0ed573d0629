package lab

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// jobRunning is CIM_ConcreteJob.JobState of a job that runs.
const jobRunning = uint16(4)

// those makes an instance for each virtual machine of a node that is meant.
func those(m *model.Model, node string, which func(*model.VM) bool, of func(*model.VM) wsmanserver.Instance) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs {
		if v.Owner == node && which(v) {
			list = append(list, of(v))
		}
	}
	return list
}

func foreignJobID(v *model.VM) string { return "F0" + v.ID[2:] }

// foreignJobs are Hyper-V's jobs that somebody else began.
func foreignJobs(m *model.Model, node string) []wsmanserver.Instance {
	return those(m, node, func(v *model.VM) bool { return v.At.Job }, func(v *model.VM) wsmanserver.Instance {
		return instance("Msvm_ConcreteJob", []string{"InstanceID"}, "InstanceID", foreignJobID(v), "JobState", jobRunning, "ErrorCode", uint16(0),
			"ErrorDescription", nil, "JobStatus", "Job is running", "StartTime", m.Now(), "Cancellable", true, "Caption", "Auftrag", "Name", "Msvm_ConcreteJob")
	})
}

// affected joins jobs, those of our commands too, with the virtual machines that they name.
func affected(m *model.Model, node string) []wsmanserver.Instance {
	list := those(m, node, func(v *model.VM) bool { return v.At.Job }, func(v *model.VM) wsmanserver.Instance { return affects(foreignJobID(v), v) })
	for _, j := range m.Jobs {
		if j.Node == node {
			list = append(list, affects(j.ID, m.VM(j.VM)))
		}
	}
	return list
}

func affects(job string, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_AffectedJobElement", []string{"AffectedElement", "AffectingElement"},
		"AffectedElement", wsmanserver.Reference{Class: "Msvm_ComputerSystem", Keys: wsmanserver.Selectors{{Name: "CreationClassName", Value: "Msvm_ComputerSystem"}, {Name: "Name", Value: v.ID}}},
		"AffectingElement", wsmanserver.Reference{Class: "Msvm_ConcreteJob", Keys: wsmanserver.Selectors{{Name: "InstanceID", Value: job}}},
		"ElementEffects", []uint16{1})
}

// migrations are those of storage that are under way (learn.microsoft.com, "Msvm_MigrationJob class").
func migrations(m *model.Model, node string) []wsmanserver.Instance {
	return those(m, node, func(v *model.VM) bool { return v.At.Migration }, func(v *model.VM) wsmanserver.Instance {
		return instance("Msvm_MigrationJob", []string{"InstanceID"}, "InstanceID", "F1"+v.ID[2:], "JobState", jobRunning, "VirtualSystemName", v.ID,
			"DestinationHost", node, "ErrorCode", uint16(0), "PercentComplete", uint16(40), "Caption", "Auftrag")
	})
}

// replicas are the relationships of those that are replicated.
func replicas(m *model.Model, node string) []wsmanserver.Instance {
	return those(m, node, func(v *model.VM) bool { return v.At.Replica != 0 }, func(v *model.VM) wsmanserver.Instance {
		return instance("Msvm_ReplicationRelationship", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID+`\HVR\0`, "ReplicationState", v.At.Replica,
			"ReplicationHealth", uint16(1), "LastReplicationTime", m.Now())
	})
}

// checkpoints are the settings of the checkpoints that somebody made (learn.microsoft.com, Msvm_VirtualSystemSettingData,
// VirtualSystemType).
func checkpoints(m *model.Model, node string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, v := range m.VMs {
		for n := range v.Checkpoints {
			if m.Host(v) != node {
				continue
			}
			id := fmt.Sprintf("%08X-0000-4000-F000-%s", n+1, v.ID[len(v.ID)-12:])
			list = append(list, instance("Msvm_VirtualSystemSettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+id, "VirtualSystemIdentifier", v.ID,
				"ElementName", v.Name+" - checkpoint", "VirtualSystemType", "Microsoft:Hyper-V:Snapshot:Realized", "VirtualSystemSubType", "Microsoft:Hyper-V:SubType:2",
				"BIOSGUID", v.BIOSGUID, "BIOSSerialNumber", "0000-0000-0000-0000-0000-0000-00", "AutomaticStartupAction", uint16(2),
				"AutomaticCriticalErrorAction", uint16(1), "ConfigurationDataRoot", `C:\ClusterStorage\Volume1\`+v.Name, "Version", "10.0"))
		}
	}
	return list
}
