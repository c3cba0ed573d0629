package dashboards

// machine is one virtual machine: whether its SQL Servers can be used, its guest, its place in the cluster.
func machine() Dashboard {
	const of = `{cluster="$cluster", vm="$vm"}`
	const owner = ` and on (cluster, vm, node) wsfc_group_owner_info`
	return page("sql-server-vm", "SQL Server VM", "One virtual machine: its SQL Servers, its guest, its place in the cluster.", oneMachine).with(
		section{"Now", []Panel{
			stat("SQL Server", "Whether a client can log in and gets an answer, instance by instance.", "none",
				now(`mssql_up`+of, "{{sql_instance}}")).words(upDown()).none("not seen").size(4, statHeight),
			stat("It says it is", "What SQL Server says of itself, by letting the login in or by the number with which it refuses.", "none",
				now(`mssql_server_state`+of+` == 1`, "{{sql_instance}} {{state}}")).names().none("nothing").size(4, statHeight),
			stat("Running since", "Time since SQL Server was started.", "s",
				now(`time() - mssql_start_time_seconds`+of, "{{sql_instance}}")),
			stat("Owner", "The node that owns the virtual machine's group.", "none",
				now(`wsfc_group_owner_info`+of, "{{node}}")).names(),
			stat("Group", "The state of the group in the cluster.", "none",
				now(`wsfc_group_state`+of+` == 1`, "{{state}}")).names().size(2, statHeight),
			stat("Machine", "The state of the virtual machine, as its owner sees it.", "none",
				now(`hyperv_vm_state`+of+` == 1`+owner, "{{state}}")).names(),
			stat("Heartbeat", "The guest's heartbeat, as its owner sees it.", "none",
				now(`hyperv_vm_heartbeat`+of+` == 1`+owner, "{{state}}")).names(),
			stat("Latch", "Latched: nothing more is done for this virtual machine until somebody acknowledges a failure.", "none",
				now(`max(hypervigil_vm_latched`+of+`)`, "__auto")).words(words("0", "open", "green", "1", "latched", "red")).size(2, statHeight),
		}},
		section{"Availability", []Panel{
			timeline("SQL Server is up", "1 means that a client can log in and gets an answer. A gap is neither: nothing could be learnt.", upDown(),
				over(`mssql_up`+of, "{{sql_instance}}")).size(12, 6),
			timeline("Incidents begin with these", "The acting alerts of this virtual machine while they fire. hypervigilctl incidents lists what became of them.", words("1", "firing", "red"),
				over(`max by (alertname, sql_instance) (ALERTS{alertstate="firing", hypervigil="act", cluster="$cluster", vm="$vm"})`, "{{alertname}} {{sql_instance}}")).
				none("none fires").size(12, 6),
			timeline("Why probes fail", "The reason of each collector of this virtual machine that cannot see what it is there for.", words("1", "fails", "orange"),
				over(`max by (sql_instance, collector, reason) (probe_failure_reason`+of+`) == 1`, "{{sql_instance}} {{collector}} {{reason}}")).
				none("none fails").size(24, 7),
			series("Connect, phase by phase", "How long an attempt was in each phase that it reached. Where the stack ends is where a failed attempt ended.", "s",
				over(`mssql_connect_duration_seconds`+of, "{{sql_instance}} {{phase}}")).stacked().size(24, 9),
		}},
		section{"Guest", []Panel{
			timeline("Heartbeat over time", "1 while the host sees a good heartbeat. Two hosts speak during a migration; the owner's word counts.", words("1", "ok", "green", "0", "lost", "red"),
				over(`hyperv_vm_heartbeat{state="ok", cluster="$cluster", vm="$vm"}`, "{{node}}")).size(12, 6),
			timeline("The guest's services", "The state that Windows gives for SQL Server's and its Agent's service.", words("1", "so", "green"),
				over(`hyperv_guest_service_state`+of+` == 1`, "{{service}} {{state}}")).size(12, 6),
			table("How the services ended", "Windows' exit code: 0 is a clean stop, 1067 a process that died, 1077 not started since the boot.",
				append(labels("sql_instance", "service", "role"), column{from: "Value", title: "exit code"}), nil,
				rows(`max by (sql_instance, service, role) (hyperv_guest_service_exit_code`+of+`)`)).size(12, 7),
			series("Processors", "Share of its virtual processors' time that the machine uses, as its owner sees it.", "percentunit",
				over(`hyperv_vm_cpu_ratio`+of+owner, "used")).upTo(1).size(6, 7),
			series("Memory of the guest", "What the guest's operating system can use, and what of it nobody uses.", "bytes",
				over(`hyperv_guest_memory_total_bytes`+of, "total"), over(`hyperv_guest_memory_free_bytes`+of, "free")).size(6, 7),
		}},
		section{"Cluster", []Panel{
			timeline("Owner over time", "The node that owns the group. A change is a move or a failover.", words("1", "owner", "blue"),
				over(`wsfc_group_owner_info`+of, "{{node}}")).size(12, 6),
			timeline("Group over time", "The state that the cluster gives for the group.", present(),
				over(`wsfc_group_state`+of+` == 1`, "{{state}}")).size(12, 6),
			timeline("Flags of the group", "Set flags of the group's status. os_heartbeat and application_ready are good signs; locked, unmonitored and the waiting ones make the receiver hold.", words("1", "set", "blue"),
				over(`wsfc_group_status_flag`+of+` == 1`, "{{flag}}")).none("none is set").size(12, 7),
			table("Resources of the group", "The last thing the cluster did to each resource, by Windows' error code; 0 is success.",
				[]column{{from: "resource", title: "resource"}, {from: "Value", title: "last operation"}}, nil,
				rows(`max by (resource) (wsfc_resource_last_operation_status_code`+of+`)`)).size(12, 7),
			stat("Started again by the cluster", "Whether the cluster brings the group online when it starts; not, where somebody took it offline for good.", "none",
				now(`wsfc_group_persistent_state`+of, "{{group}}")).words(yesNo()).size(6, statHeight),
			stat("Failovers allowed", "Failovers that the cluster allows the group within its period; 4294967295 means one less than there are nodes.", "none",
				now(`wsfc_group_failover_threshold`+of, "{{group}}")).size(6, statHeight),
			stat("Machine running for", "Since when the virtual machine has run without a restart, as its owner sees it.", "s",
				now(`hyperv_vm_uptime_seconds`+of+owner, "{{node}}")).size(6, statHeight),
			stat("Memory assigned", "Memory that the host has given the virtual machine.", "bytes",
				now(`hyperv_vm_memory_assigned_bytes`+of+owner, "{{node}}")).size(6, statHeight),
		}},
		section{"Rescue", []Panel{
			rescueTable("Could it be rescued now", `{cluster="$cluster", vm="$vm"}`),
			refusedTable("What stands in the way", `{cluster="$cluster", vm="$vm"}`),
		}},
	)
}

// rescueTable is the rehearsal's outcome for each rung; of selects the virtual machines.
func rescueTable(title, of string) Panel {
	return table(title, "What the rehearsal on a quiet day found for each rung: whether nothing but the policy's mode stands in its way, and how long it would take from the alert to its end.",
		append(labels("cluster", "vm", "rung"),
			column{from: "Value #A", title: "rescue", words: words("1", "ready", "green", "0", "not ready", "orange")},
			column{from: "Value #B", title: "takes", unit: "s"}), nil,
		rows(`min by (cluster, vm, rung) (hypervigil_rescue_ready`+of+`)`),
		rows(`max by (cluster, vm, rung) (hypervigil_rescue_predicted_seconds`+of+`)`))
}

// refusedTable lists the guards that stood in the way at the last rehearsal.
func refusedTable(title, of string) Panel {
	return table(title, "The first guard that stood in a rung's way at the last rehearsal, and why. hypervigilctl explain says what lifts it.",
		labels("cluster", "vm", "rung", "guard", "reason"), []string{"Value"},
		rows(`max by (cluster, vm, rung, guard, reason) (hypervigil_rescue_refused`+of+`) == 1`))
}
