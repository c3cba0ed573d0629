package lab

import (
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// hypervTables are the classes of root/virtualization/v2 on one node: the virtual machines that it owns.
func hypervTables(node string) map[string]table {
	own := func(make func(*model.Model, *model.VM) wsmanserver.Instance) table {
		return func(m *model.Model) []wsmanserver.Instance {
			var list []wsmanserver.Instance
			for _, v := range m.VMs {
				if m.Host(v) == node {
					list = append(list, make(m, v))
				}
			}
			return list
		}
	}
	systems := own(computerSystem)
	return map[string]table{
		"msvm_computersystem": func(m *model.Model) []wsmanserver.Instance {
			return append([]wsmanserver.Instance{hostSystem(m, node)}, systems(m)...)
		},
		"msvm_summaryinformation": own(summary),
		"msvm_virtualsystemsettingdata": func(m *model.Model) []wsmanserver.Instance {
			return append(own(settings)(m), checkpoints(m, node)...)
		},
		"msvm_virtualsystemmanagementservice": func(*model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{instance("Msvm_VirtualSystemManagementService", []string{"CreationClassName", "Name"},
				"Name", "vmms", "CreationClassName", "Msvm_VirtualSystemManagementService", "SystemName", node, "Started", true, "Status", "OK")}
		},
		"msvm_shutdowncomponent": own(shutdownComponent),
		"msvm_concretejob": func(m *model.Model) []wsmanserver.Instance {
			return append(jobs(m, node), foreignJobs(m, node)...)
		},
		"msvm_externalethernetport":             func(m *model.Model) []wsmanserver.Instance { return externalPorts(m, node) },
		"msvm_syntheticethernetportsettingdata": own(adapter),
		"msvm_memorysettingdata":                own(memorySetting),
		"msvm_storageallocationsettingdata":     own(diskSetting),
		"msvm_resourceallocationsettingdata":    own(diskDrive),
		"msvm_syntheticfcportsettingdata":       func(*model.Model) []wsmanserver.Instance { return nil },
		"msvm_replicationrelationship":          func(m *model.Model) []wsmanserver.Instance { return replicas(m, node) },
		"msvm_affectedjobelement":               func(m *model.Model) []wsmanserver.Instance { return affected(m, node) },
		"msvm_migrationjob":                     func(m *model.Model) []wsmanserver.Instance { return migrations(m, node) },
	}
}

// adapter is a virtual machine's one network adapter. It is monitored where the lab has Protected Network.
func adapter(m *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_SyntheticEthernetPortSettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID+`\`+adapterID(v),
		"ElementName", "Network Adapter", "Caption", "Netzwerkkarte", "Address", "00155D010001", "ResourceSubType", "Microsoft:Hyper-V:Synthetic Ethernet Port",
		"StaticMacAddress", false, "ClusterMonitored", m.Spec.ProtectedNetwork)
}

// adapterID is the device's part of the adapter's InstanceID.
func adapterID(v *model.VM) string {
	return fmt.Sprintf("%08X-0000-4000-D000-%012X", sum(v.Name), sum(v.ID))
}

// systemObject has every property of Msvm_ComputerSystem that the lab knows; the captions are a German host's, so that
// nobody tells a host from a VM by them.
func systemObject(class string, pairs ...any) wsmanserver.Instance {
	return instance(class, []string{"CreationClassName", "Name"}, append(pairs, "CreationClassName", "Msvm_ComputerSystem", "Status", "OK",
		"StatusDescriptions", []string{"Normaler Betrieb"}, "EnabledDefault", 2, "CommunicationStatus", nil, "OperatingStatus", nil, "ReplicationState", 0,
		"ReplicationHealth", 0, "ReplicationMode", 0, "NumberOfNumaNodes", 1)...)
}

func hostSystem(m *model.Model, node string) wsmanserver.Instance {
	return systemObject("Msvm_ComputerSystem", "Name", node, "ElementName", node, "Caption", "Hostcomputersystem", "Description", "Microsoft-Hostcomputersystem",
		"EnabledState", 2, "RequestedState", 12, "HealthState", 5, "OperationalStatus", []uint16{2}, "OnTimeInMilliseconds", nil,
		"TimeOfLastStateChange", nil, "TimeOfLastConfigurationChange", nil, "ProcessID", nil, "InstallDate", nil)
}

func computerSystem(m *model.Model, v *model.VM) wsmanserver.Instance {
	on := uint64(0)
	var process any
	if v.State == cluster.VMRunning {
		on, process = milliseconds(m.Now().Sub(v.Started)), uint32(4242)
	}
	return systemObject("Msvm_ComputerSystem", "Name", v.ID, "ElementName", v.Name, "Caption", "Virtueller Computer", "Description", "Microsoft Virtual Machine",
		"EnabledState", uint16(v.State), "RequestedState", uint16(v.State), "HealthState", v.HealthState(), "OperationalStatus", v.OperationalStatus(), "OnTimeInMilliseconds", on,
		"TimeOfLastStateChange", v.Changed, "TimeOfLastConfigurationChange", v.Changed, "ProcessID", process, "InstallDate", v.Changed)
}

func summary(m *model.Model, v *model.VM) wsmanserver.Instance {
	load, memory, up, spare := uint16(0), uint64(0), uint64(0), int32(40)
	if v.Starved.On {
		spare = -10 // percent: it wants more than it has
	}
	var heartbeat any
	if v.State == cluster.VMRunning {
		memory, up, heartbeat = v.Memory>>20, milliseconds(m.Now().Sub(v.Started)), uint16(v.Heartbeat)
		if v.Guest == model.GuestRunning || v.Guest == model.GuestBooting {
			load = uint16(100 * v.Uses())
		}
	}
	return instance("Msvm_SummaryInformation", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID, "Name", v.ID, "ElementName", v.Name, "EnabledState", uint16(v.State),
		"HealthState", v.HealthState(), "OperationalStatus", v.OperationalStatus(), "Heartbeat", heartbeat, "ApplicationHealth", uint16(2), "IntegrationServicesVersionState", uint16(0),
		"MemoryUsage", memory, "MemoryAvailable", spare, "AvailableMemoryBuffer", int32(100), "ProcessorLoad", load, "UpTime", up, "SwapFilesInUse", false,
		"GuestOperatingSystem", "Windows Server 2022 Datacenter", "HostComputerSystemName", v.Owner, "NumberOfProcessors", uint16(model.VMProcessors), "ReplicationState", uint16(0),
		"ReplicationHealth", uint16(0), "ReplicationMode", uint16(0), "Version", "10.0", "Notes", "", "CreationTime", v.Changed)
}

func settings(m *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_VirtualSystemSettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID, "VirtualSystemIdentifier", v.ID, "ElementName", v.Name,
		"VirtualSystemType", "Microsoft:Hyper-V:System:Realized", "VirtualSystemSubType", "Microsoft:Hyper-V:SubType:2", "BIOSGUID", v.BIOSGUID,
		"BIOSSerialNumber", "0000-0000-0000-0000-0000-0000-00", "AutomaticStartupAction", uint16(2), "AutomaticCriticalErrorAction", uint16(1),
		"ConfigurationDataRoot", `C:\ClusterStorage\Volume1\`+v.Name, "Version", "10.0")
}

// memorySetting is a virtual machine's memory: all of it from its start.
func memorySetting(_ *model.Model, v *model.VM) wsmanserver.Instance {
	const device = "4764334D-E001-4176-82EE-5594EC9B530E" // the same for every virtual machine
	return instance("Msvm_MemorySettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID+`\`+device, "ElementName", "Arbeitsspeicher",
		"ResourceType", uint16(4), "ResourceSubType", "Microsoft:Hyper-V:Memory", "AllocationUnits", "byte * 2^20", "VirtualQuantity", v.Memory>>20,
		"Reservation", v.Memory>>20, "Limit", v.Memory>>20, "DynamicMemoryEnabled", false, "SwapFilesInUse", false)
}

// diskSetting is a virtual machine's one disk, as it is set (learn.microsoft.com, "Msvm_StorageAllocationSettingData class").
func diskSetting(_ *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_StorageAllocationSettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID+`\`+diskController+`\0\0\L`, "ElementName", "Festplattenimage",
		"ResourceType", uint16(31), "ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk", "HostResource", []string{diskFile(v)})
}

// diskDrive is the drive that the disk is in.
func diskDrive(_ *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_ResourceAllocationSettingData", []string{"InstanceID"}, "InstanceID", "Microsoft:"+v.ID+`\`+diskController+`\0\0\D`, "ElementName", "Festplatte",
		"ResourceType", uint16(17), "ResourceSubType", "Microsoft:Hyper-V:Synthetic Disk Drive")
}

// diskController is a part of the disks' InstanceID, the same for every virtual machine.
const diskController = "F8B3781A-1E82-4818-A1C3-63D806EC15BB"

// shutdownComponent is the shutdown integration service of a virtual machine that runs (learn.microsoft.com,
// Msvm_ShutdownComponent).
func shutdownComponent(_ *model.Model, v *model.VM) wsmanserver.Instance {
	return instance("Msvm_ShutdownComponent", []string{"CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"},
		"CreationClassName", "Msvm_ShutdownComponent", "DeviceID", shutdownID(v), "SystemCreationClassName", "Msvm_ComputerSystem", "SystemName", v.ID,
		"ElementName", "Herunterfahren", "Caption", "Herunterfahren", "EnabledState", uint16(2), "OperationalStatus", []uint16{2}, "Status", "OK")
}

func shutdownID(v *model.VM) string {
	return fmt.Sprintf(`Microsoft:%s\%08X-BE49-4C79-8EE3-%012X`, v.ID, sum(v.Name), sum(v.ID))
}

// jobs are what a node's Hyper-V was told to do and has not forgotten.
func jobs(m *model.Model, node string) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, j := range m.Jobs {
		if j.Node != node {
			continue
		}
		status, description := "Job is running", any(nil)
		switch j.State {
		case cluster.JobCompleted:
			status = "Job is completed"
		case cluster.JobException:
			status, description = "Job is in exception", "Fehler beim Vorgang."
		case cluster.JobNew, cluster.JobStarting, cluster.JobRunning, cluster.JobSuspended, cluster.JobShuttingDown, cluster.JobTerminated, cluster.JobKilled:
		}
		list = append(list, instance("Msvm_ConcreteJob", []string{"InstanceID"}, "InstanceID", j.ID, "JobState", uint16(j.State), "ErrorCode", j.ErrorCode,
			"ErrorDescription", description, "JobStatus", status, "StartTime", j.Started, "Cancellable", false, "Caption", "Auftrag", "Name", "Msvm_ConcreteJob"))
	}
	return list
}

// hypervMethods are what may be done to a virtual machine of one node: by its id, where it is owned.
func hypervMethods(node string) map[string]map[string]method {
	const stateReset = 11
	// on finds the virtual machine of this node, counts the method, and answers with what do says.
	on := func(key, name string, do func(*model.Model, *model.VM, wsmanserver.Parameters) (uint32, *model.Job, error)) method {
		return func(m *model.Model, keys wsmanserver.Selectors, params wsmanserver.Parameters) (wsmanserver.Output, error) {
			id, _ := keys.Value(key)
			for _, v := range m.VMs {
				if !strings.EqualFold(v.ID, id) || v.Owner != node {
					continue
				}
				m.Received(v, name, "")
				code, job, err := do(m, v, params)
				out := wsmanserver.Output{ReturnValue: code}
				if job != nil {
					out.Properties = append(out.Properties, wsmanserver.Property{Name: "Job", Value: wsmanserver.Reference{
						Class: "Msvm_ConcreteJob", Keys: wsmanserver.Selectors{{Name: "InstanceID", Value: job.ID}},
					}})
				}
				return out, err
			}
			return wsmanserver.Output{}, wsmanserver.ErrUnknownInstance
		}
	}
	return map[string]map[string]method{
		"msvm_computersystem": {
			"requeststatechange": on("Name", "Msvm_ComputerSystem.RequestStateChange", func(m *model.Model, v *model.VM, params wsmanserver.Parameters) (uint32, *model.Job, error) {
				want, _, err := params.Uint("RequestedState", 16)
				if err != nil {
					return 0, nil, err
				}
				if want != stateReset {
					return 32775, nil, nil // invalid state for this operation: nothing else is implemented
				}
				code, job := m.Reset(v)
				return code, job, nil
			}),
			"injectnonmaskableinterrupt": on("Name", "Msvm_ComputerSystem.InjectNonMaskableInterrupt", func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) (uint32, *model.Job, error) {
				code, job := m.InjectNMI(v)
				return code, job, nil
			}),
		},
		"msvm_shutdowncomponent": {
			"initiatereboot": on("SystemName", "Msvm_ShutdownComponent.InitiateReboot", func(m *model.Model, v *model.VM, _ wsmanserver.Parameters) (uint32, *model.Job, error) {
				return m.Reboot(v), nil, nil
			}),
		},
	}
}
