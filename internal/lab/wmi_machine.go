package lab

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// hostTables are the classes of root/cimv2 on one node.
func hostTables(node string) map[string]table {
	return map[string]table{
		"win32_operatingsystem": func(m *model.Model) []wsmanserver.Instance {
			n := m.Node(node)
			return []wsmanserver.Instance{operatingSystem(m, node, n.Booted, model.HostCapacity>>10, freeMemory(m, node)>>10)}
		},
		"win32_computersystem": func(*model.Model) []wsmanserver.Instance { return []wsmanserver.Instance{computer(node)} },
		"win32_computersystemproduct": func(*model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{product("FFFFFFFF-0000-0000-0000-" + fmt.Sprintf("%012X", sum(node)))}
		},
		"win32_service": func(m *model.Model) []wsmanserver.Instance {
			var list []wsmanserver.Instance
			for n, name := range []string{"vmms", "vmcompute", "ClusSvc", "WinRM", "Winmgmt"} {
				s := &model.Service{Name: name, Display: name, Image: name + ".exe", State: cluster.ServiceRunning, StartMode: "Auto", PID: uint32(400 + 4*n)}
				if name == "ClusSvc" && !m.Node(node).Clustering {
					s.State, s.PID = cluster.ServiceStopped, 0
				}
				list = append(list, serviceObject(s))
			}
			return list
		},
		"win32_process": func(*model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{processObject(400, "vmms.exe", time.Time{})}
		},
		"win32_ntlogevent":       func(m *model.Model) []wsmanserver.Instance { return eventObjects(node, m.Node(node).Events) },
		"win32_dependentservice": func(*model.Model) []wsmanserver.Instance { return nil },

		"win32_perfrawdata_balancerstats_hypervdynamicmemorybalancer": func(m *model.Model) []wsmanserver.Instance { return memoryBalancer(m.Node(node)) },
		"win32_perfrawdata_hvstats_hypervhypervisorlogicalprocessor": func(m *model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{processorTime(m, m.Node(node))}
		},
		"win32_perfrawdata_hvstats_hypervhypervisor":                 hypervisor,
		"win32_perfrawdata_counters_hypervvirtualstoragedevice":      running(node, storageDevice),
		"win32_perfrawdata_nvspnicstats_hypervvirtualnetworkadapter": running(node, adapterCounters),
		"win32_perfrawdata_netftperfprovider_clusternetftheartbeats": func(m *model.Model) []wsmanserver.Instance { return heartbeats(m, node) },
		"win32_perfrawdata_csvfsperfprovider_clustercsvfs": func(*model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{instance("Win32_PerfRawData_CsvFsPerfProvider_ClusterCSVFS", byName, "Name", "Volume1", "VolumeState", uint32(0),
				"VolumePauseCountDisk", uint64(0), "VolumePauseCountNetwork", uint64(0), "VolumePauseCountOther", uint64(0), "VolumePauseCountTotal", uint64(0))}
		},
		"win32_perfrawdata_clussvcperfprovider_clusterresources": func(*model.Model) []wsmanserver.Instance {
			return []wsmanserver.Instance{instance("Win32_PerfRawData_ClussvcPerfProvider_ClusterResources", byName, "Name", "_Total",
				"ResourceFailure", uint64(0), "ResourceFailureAccessViolation", uint64(0), "ResourceFailureDeadlock", uint64(0))}
		},
		"win32_perfrawdata_clussvcperfprovider_clusternetworkreconnections": func(m *model.Model) []wsmanserver.Instance { return reconnections(m, node) },
	}
}

// guestTables are the classes of root/cimv2 inside a guest.
func guestTables(vm string) map[string]table {
	one := func(make func(*model.Model, *model.VM) wsmanserver.Instance) table {
		return func(m *model.Model) []wsmanserver.Instance { return []wsmanserver.Instance{make(m, m.VM(vm))} }
	}
	return map[string]table{
		"win32_operatingsystem": one(func(m *model.Model, v *model.VM) wsmanserver.Instance {
			free := uint64(3 << 20)
			if v.Starved.On {
				free = 40 << 10
			}
			return operatingSystem(m, v.Name, v.Booted, 8<<20, free)
		}),
		"win32_computersystem":        one(func(_ *model.Model, v *model.VM) wsmanserver.Instance { return computer(v.Name) }),
		"win32_computersystemproduct": one(func(_ *model.Model, v *model.VM) wsmanserver.Instance { return product(v.ProductUUID) }),
		"win32_service": func(m *model.Model) []wsmanserver.Instance {
			var list []wsmanserver.Instance
			for _, s := range m.VM(vm).Services {
				list = append(list, serviceObject(s))
			}
			return list
		},
		"win32_process":          func(m *model.Model) []wsmanserver.Instance { return processObjects(m.VM(vm)) },
		"win32_ntlogevent":       func(m *model.Model) []wsmanserver.Instance { return eventObjects(vm, m.VM(vm).Events) },
		"win32_dependentservice": func(m *model.Model) []wsmanserver.Instance { return dependencies(m.VM(vm)) },

		"win32_perfrawdata_perfos_processor": func(m *model.Model) []wsmanserver.Instance { return guestProcessors(m, m.VM(vm)) },
		"win32_perfrawdata_perfos_system": one(func(m *model.Model, v *model.VM) wsmanserver.Instance {
			queue := uint32(0)
			if m.Suffers(v) {
				queue = 60
			}
			return instance("Win32_PerfRawData_PerfOS_System", byName, "Name", "", "ProcessorQueueLength", queue)
		}),
	}
}

func operatingSystem(m *model.Model, name string, booted any, total, free uint64) wsmanserver.Instance {
	return instance("Win32_OperatingSystem", nil, "CSName", name, "Caption", "Microsoft Windows Server 2022 Datacenter", "Version", "10.0.20348", "BuildNumber", "20348",
		"LastBootUpTime", booted, "LocalDateTime", m.Now(), "TotalVisibleMemorySize", total, "FreePhysicalMemory", free,
		"TotalVirtualMemorySize", total+total/4, "FreeVirtualMemory", free+total/4, "Name", "Windows", "Status", "OK")
}

func computer(name string) wsmanserver.Instance {
	return instance("Win32_ComputerSystem", byName, "Name", name, "DNSHostName", name, "Domain", "lab.example", "Caption", name, "Description", "AT/AT COMPATIBLE",
		"Manufacturer", "Microsoft Corporation", "Model", "Virtual Machine", "NumberOfLogicalProcessors", 4, "TotalPhysicalMemory", uint64(8)<<30, "Status", "OK")
}

func product(uuid string) wsmanserver.Instance {
	return instance("Win32_ComputerSystemProduct", []string{"IdentifyingNumber", "Name", "Version"}, "IdentifyingNumber", "0000-0000", "Name", "Virtual Machine", "Version", "Hyper-V UEFI Release v4.1",
		"UUID", uuid, "Vendor", "Microsoft Corporation", "Caption", "Computersystemprodukt", "Description", "Computersystemprodukt")
}

func serviceObject(s *model.Service) wsmanserver.Instance {
	return instance("Win32_Service", byName, "Name", s.Name, "DisplayName", s.Display, "Caption", s.Display, "Description", "", "State", string(s.State), "StartMode", s.StartMode, "Status", "OK",
		"ProcessId", s.PID, "ExitCode", s.ExitCode, "ServiceSpecificExitCode", uint32(0), "Started", s.State == cluster.ServiceRunning, "AcceptStop", s.State == cluster.ServiceRunning,
		"AcceptPause", false, "PathName", s.Image, "StartName", "LocalSystem", "ServiceType", "Own Process", "CreationClassName", "Win32_Service", "SystemName", "")
}

func processObject(pid uint32, name string, created time.Time) wsmanserver.Instance {
	return instance("Win32_Process", []string{"Handle"}, "Handle", strconv.FormatUint(uint64(pid), 10), "ProcessId", pid, "Name", name, "Caption", name, "CreationDate", created,
		"ParentProcessId", uint32(700), "CommandLine", nil, "ExecutablePath", nil)
}

func processObjects(v *model.VM) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, s := range v.Services {
		if s.PID != 0 {
			list = append(list, processObject(s.PID, s.Image, s.Created))
		}
	}
	if v.At.Servicing {
		list = append(list, processObject(9880, "TiWorker.exe", v.Booted))
	}
	if !v.At.Dump.IsZero() {
		list = append(list, processObject(9876, "SqlDumper.exe", v.At.Dump))
	}
	return list
}

func eventObjects(machine string, events []model.Event) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, e := range events {
		list = append(list, instance("Win32_NTLogEvent", []string{"Logfile", "RecordNumber"}, "Logfile", e.Log, "RecordNumber", e.Number, "EventCode", uint16(e.ID),
			"EventIdentifier", 0x40000000|e.ID, "EventType", uint8(1), "SourceName", e.Source, "TimeGenerated", e.At, "TimeWritten", e.At, "InsertionStrings", e.Strings,
			"Data", e.Data, "Message", nil, "ComputerName", machine, "Type", nil, "User", nil, "Category", uint16(0)))
	}
	return list
}

func dependencies(v *model.VM) []wsmanserver.Instance {
	var list []wsmanserver.Instance
	for _, s := range v.Services {
		if s.DependsOn != "" {
			list = append(list, instance("Win32_DependentService", []string{"Antecedent", "Dependent"},
				"Antecedent", reference("Win32_Service", s.DependsOn), "Dependent", reference("Win32_Service", s.Name), "TypeOfDependency", nil))
		}
	}
	return list
}

// guestMethods are the methods of services and processes inside a guest.
func guestMethods(vm string) map[string]map[string]method {
	service := func(name string, do func(*model.Model, *model.VM, *model.Service) uint32) method {
		return func(m *model.Model, keys wsmanserver.Selectors, _ wsmanserver.Parameters) (wsmanserver.Output, error) {
			v := m.VM(vm)
			key, _ := keys.Value("Name")
			s := v.Service(key)
			if s == nil {
				return wsmanserver.Output{}, wsmanserver.ErrUnknownInstance
			}
			m.Received(v, "Win32_Service."+name, s.Name)
			return wsmanserver.Output{ReturnValue: do(m, v, s)}, nil
		}
	}
	return map[string]map[string]method{
		"win32_service": {
			"startservice": service("StartService", (*model.Model).StartService),
			"stopservice":  service("StopService", (*model.Model).StopService),
		},
		"win32_process": {
			"terminate": func(m *model.Model, keys wsmanserver.Selectors, _ wsmanserver.Parameters) (wsmanserver.Output, error) {
				v := m.VM(vm)
				handle, _ := keys.Value("Handle")
				pid, err := strconv.ParseUint(handle, 10, 32)
				if err != nil {
					return wsmanserver.Output{}, wsmanserver.ErrUnknownInstance
				}
				m.Received(v, "Win32_Process.Terminate", handle)
				return wsmanserver.Output{ReturnValue: m.Terminate(v, uint32(pid))}, nil
			},
		},
	}
}
