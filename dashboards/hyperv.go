package dashboards

// hyperV is the hosts and the virtual machines on them, as Hyper-V tells.
func hyperV() Dashboard {
	const of = `{cluster=~"$cluster"}`
	const by = `sum by (cluster, node) (rate(`
	const owner = ` and on (cluster, vm, node) wsfc_group_owner_info`
	return page("hyperv", "Hyper-V hosts and VMs", "Hosts and virtual machines as Hyper-V tells: states, load, memory, storage, networks.", clusters).with(
		section{"Now", []Panel{
			stat("Hosts that answer", "Hosts whose operating system answered the last question.", "none",
				now(`sum(hyperv_up`+of+`) or vector(0)`, "__auto")).steps("green").size(4, statHeight),
			stat("Hosts that do not", "Hosts that were asked and whose operating system did not answer.", "none",
				now(`count(probe_collector_success{collector="host", cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red").size(4, statHeight),
			stat("Virtual machines", "On all hosts that answer, in any state, watched or not.", "none",
				now(`sum(hyperv_host_vms`+of+`)`, "__auto")).size(4, statHeight),
			stat("Services that do not run", "Services of hosts. Where vmms does not run, what the host says of virtual machines is not to be trusted.", "none",
				now(`count(hyperv_service_running`+of+` == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red").size(4, statHeight),
			stat("WMI namespaces that hang", "Namespaces of hosts that did not answer a cheap question in time.", "none",
				now(`count(hyperv_wmi_namespace_up`+of+` == 0) or vector(0)`, "__auto")).steps("green", 1.0, "orange").size(4, statHeight),
			stat("Uplinks that are down", "Physical adapters under virtual switches without a connection.", "none",
				now(`count((hyperv_host_adapter_media_state{state="disconnected", cluster=~"$cluster"} == 1) and on (cluster, node, adapter) (hyperv_host_adapter_bound == 1)) or vector(0)`, "__auto")).
				steps("green", 1.0, "orange").size(4, statHeight),
		}},
		section{"Virtual machines", []Panel{
			table("Watched virtual machines", "A line for each, as its owner tells: state, heartbeat, load, memory, and what keeps it busy. Demand over 100 % is a starved machine.",
				append(labels("cluster", "vm"),
					column{from: "node", title: "host"},
					column{from: "Value #A", title: "state", words: codes(map[int]string{2: "running", 3: "off", 4: "stopping", 6: "saved", 9: "paused", 10: "starting", 11: "reset"}, 2)},
					column{from: "Value #B", title: "heartbeat", words: codes(map[int]string{0: "absent", 2: "ok", 6: "error", 12: "no contact", 13: "lost communication"}, 2)},
					column{from: "Value #C", title: "processors", unit: "percentunit"}, column{from: "Value #D", title: "memory", unit: "bytes"},
					column{from: "Value #E", title: "demand", unit: "percentunit"}, column{from: "Value #F", title: "checkpoints"},
					column{from: "Value #G", title: "merging", words: words("1", "yes", "orange", "0", "no", "green")},
					column{from: "Value #H", title: "running for", unit: "s"}), nil,
				rows(own(`hyperv_vm_state_code`)), rows(own(`hyperv_vm_heartbeat_code`)), rows(own(`hyperv_vm_cpu_ratio`)),
				rows(own(`hyperv_vm_memory_assigned_bytes`)), rows(own(`hyperv_vm_memory_demand_ratio`)), rows(own(`hyperv_vm_checkpoints`)),
				rows(own(`hyperv_vm_merge_running`)), rows(own(`hyperv_vm_uptime_seconds`))).leads(toMachine("__data.fields")).size(24, 9),
			timeline("State over time", "The state that the owner gives for each machine.", present(),
				over(`max by (cluster, vm, state) (hyperv_vm_state`+of+` == 1`+owner+`)`, "{{vm}} {{state}}")),
			timeline("Heartbeats", "1 while the owner sees a good heartbeat of the guest.", words("1", "ok", "green", "0", "lost", "red"),
				over(`max by (cluster, vm) (hyperv_vm_heartbeat{state="ok", cluster=~"$cluster"}`+owner+`)`, "{{vm}}")),
			series("Processors by machine", "Share of its virtual processors' time that each machine uses.", "percentunit",
				over(`max by (cluster, vm) (hyperv_vm_cpu_ratio`+of+owner+`)`, "{{vm}}")).upTo(1).steps("transparent", 0.9, "orange"),
			series("Memory demand by machine", "What each machine with dynamic memory wants, of what it was given.", "percentunit",
				over(`max by (cluster, vm) (hyperv_vm_memory_demand_ratio`+of+owner+`)`, "{{vm}}")).steps("transparent", 1.0, "red"),
			table("Replication", "The state of each machine's replication.",
				append(labels("vm", "node", "relationship"), column{from: "state", title: "health"}), []string{"Value"},
				rows(`max by (vm, node, relationship, state) (hyperv_vm_replication_health`+of+`) == 1`)).size(8, plotHeight),
		}},
		section{"Hosts", []Panel{
			timeline("Host answers", "1 while the host's operating system answers; a gap: nothing could be learnt.", upDown(),
				over(`max by (cluster, node) (hyperv_up`+of+`)`, "{{cluster}}/{{node}}")).size(8, plotHeight),
			series("Processors by host", "Share of the logical processors' time in which guests, and in which the hypervisor, ran.", "percentunit",
				over(by+`hyperv_host_processor_time_total{mode=~"guest|hypervisor", cluster=~"$cluster"}[$__rate_interval])) / `+
					by+`hyperv_host_processor_time_base_total{mode="all", cluster=~"$cluster"}[$__rate_interval]))`, "{{cluster}}/{{node}}")).
				upTo(1).steps("transparent", 0.9, "orange").everyMinute(),
			series("Memory of hosts", "What nobody uses, and what the host can still give to machines with dynamic memory.", "bytes",
				over(`max by (cluster, node) (hyperv_host_memory_free_bytes`+of+`)`, "{{cluster}}/{{node}} free"),
				over(`max by (cluster, node) (hyperv_host_available_memory_bytes`+of+`)`, "{{cluster}}/{{node}} to give")).everyMinute(),
			series("Memory pressure", "What the host's machines with dynamic memory want, of what they have; over 100 % the host cannot give it.", "percentunit",
				over(`max by (cluster, node) (hyperv_host_memory_pressure_ratio`+of+`)`, "{{cluster}}/{{node}}")).steps("transparent", 1.0, "red").everyMinute(),
			series("WMI's answers", "How long each namespace took for a cheap question. A provider that hangs shows here before anything fails.", "s",
				over(`max by (cluster, node, namespace) (hyperv_wmi_namespace_duration_seconds`+of+`)`, "{{node}} {{namespace}}")),
			timeline("Services of hosts", "1 while the service runs.", words("1", "runs", "green", "0", "stopped", "red"),
				over(`min by (cluster, node, service) (hyperv_service_running`+of+`)`, "{{node}} {{service}}")).size(8, plotHeight),
		}},
		section{"Storage and networks", []Panel{
			series("Requests that wait for virtual disks", "By disk.", "none",
				over(`max by (cluster, node, device) (hyperv_vm_storage_queue_length`+of+`)`, "{{node}} {{device}}")).everyMinute(),
			series("Errors of virtual disks", "By disk, in a second.", "ops",
				over(`sum by (cluster, node, device) (rate(hyperv_vm_storage_errors_total`+of+`[$__rate_interval])) > 0`, "{{node}} {{device}}")).
				none("none").steps("transparent", 0.001, "red").everyMinute(),
			series("Dropped packets", "Of virtual network adapters, in a second, by host.", "pps",
				over(`sum by (cluster, node, direction) (rate(hyperv_vm_nic_dropped_total`+of+`[$__rate_interval]))`, "{{node}} {{direction}}")).everyMinute(),
			timeline("Uplinks", "1 while the physical adapter has a connection.", upDown(),
				over(`min by (cluster, node, adapter) (hyperv_host_adapter_media_state{state="connected", cluster=~"$cluster"})`, "{{node}} {{adapter}}")),
			series("Cluster events in the hosts' logs", "Events a minute, by number: 1069 a resource failed, 1135 a node was removed, 1177 quorum was lost, 1205 a group did not come online.", "cpm",
				over(`60 * sum by (cluster, event) (rate(hyperv_host_cluster_events_total`+of+`[$__rate_interval])) > 0`, "{{cluster}} {{event}}")).
				none("no event").size(12, plotHeight).everyMinute(),
		}},
	)
}

// own is a metric of each watched virtual machine, as its owner tells it. Those that are not inventoried have no vm, and
// would all be owned by whoever owns one of them.
func own(metric string) string {
	return `max by (cluster, vm, node) (` + metric + `{vm!="", cluster=~"$cluster"} and on (cluster, vm, node) wsfc_group_owner_info)`
}
