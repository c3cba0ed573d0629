package dashboards

// failoverCluster is the failover clusters as their nodes tell.
func failoverCluster() Dashboard {
	const of = `{cluster=~"$cluster"}`
	return page("cluster", "Failover cluster", "Failover clusters as their nodes tell: quorum, nodes, groups, volumes, networks, heartbeats.", clusters).with(
		section{"Now", []Panel{
			stat("Votes to spare", "Votes above the majority that is needed: 0 means that the next loss takes the cluster down.", "none",
				now(`min by (cluster) (wsfc_quorum_votes_current`+of+` - wsfc_quorum_votes_needed`+of+`)`, "{{cluster}}")).steps("red", 1.0, "green").size(4, statHeight),
			stat("Witness", "Whether the witness' resource is online.", "none",
				now(`min by (cluster) (wsfc_witness_online`+of+`)`, "{{cluster}}")).words(words("1", "online", "green", "0", "lost", "red")).none("no witness").size(4, statHeight),
			stat("Nodes that are not up", "Nodes that the cluster calls down, paused or joining.", "none",
				now(`count(wsfc_node_state{state="up", cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red").size(4, statHeight),
			stat("Groups that are not online", "Groups of watched virtual machines.", "none",
				now(`count(wsfc_group_state{state="online", cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red").size(4, statHeight),
			stat("Volumes in trouble", "Cluster shared volumes that are redirected, without access or in maintenance.", "none",
				now(`count(wsfc_csv_fault_state{state="none", cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "orange").size(4, statHeight),
			stat("Nodes that told their view", "Share of the inventory's nodes that told what they see; with less than a majority nothing is decided.", "percentunit",
				now(`min by (cluster) (wsfc_views_read`+of+` / wsfc_views_asked`+of+`)`, "{{cluster}}")).steps("red", 0.5, "orange", 1.0, "green").size(4, statHeight),
		}},
		section{"Quorum and nodes", []Panel{
			nodesUp().size(8, plotHeight),
			votes(),
			timeline("Who has a vote", "1 while the node's vote counts; the cluster takes votes away and gives them back by itself.", words("1", "vote", "green", "0", "none", "blue"),
				over(`max by (cluster, node) (wsfc_node_dynamic_vote`+of+`)`, "{{cluster}}/{{node}}"),
				over(`max by (cluster) (wsfc_witness_dynamic_vote`+of+`)`, "{{cluster}} witness")).size(8, plotHeight),
			timeline("Flags of nodes", "Drains, isolation and quarantine while they last.", words("1", "set", "orange"),
				over(`max by (cluster, node, flag) (wsfc_node_status_flag`+of+`) == 1`, "{{node}} {{flag}}")).none("none is set").size(8, plotHeight),
			timeline("Do the nodes agree", "1 while every node that told its view says the same about the subject.", words("1", "agree", "green", "0", "differ", "red"),
				over(`min by (cluster, subject) (wsfc_views_agree`+of+`)`, "{{cluster}} {{subject}}")).size(8, plotHeight),
			series("Nodes that call a node down", "How many others call each node down. One that only some call down is cut off from some.", "none",
				over(`max by (cluster, node) (wsfc_node_views_down`+of+`)`, "{{cluster}}/{{node}}")).steps("transparent", 1.0, "orange"),
		}},
		section{"Groups", []Panel{
			table("Watched groups", "A line for each virtual machine's group: state, owner, how many may own it, its priority, and the failovers that it is allowed.",
				append(labels("cluster", "vm"), column{from: "node", title: "owner"},
					column{from: "Value #B", title: "state", words: codes(map[int]string{-1: "unknown", 0: "online", 1: "offline", 2: "failed", 3: "partly online", 4: "pending"}, 0)},
					column{from: "Value #C", title: "possible owners"}, column{from: "Value #D", title: "priority"},
					column{from: "Value #E", title: "failovers allowed"}, column{from: "Value #F", title: "within", unit: "s"}), []string{"Value #A"},
				rows(`max by (cluster, vm, node) (wsfc_group_owner_info{vm!="", cluster=~"$cluster"})`),
				rows(`max by (cluster, vm) (wsfc_group_state_code`+of+`)`),
				rows(`max by (cluster, vm) (wsfc_group_possible_owners`+of+`)`),
				rows(`max by (cluster, vm) (wsfc_group_priority`+of+`)`),
				rows(`max by (cluster, vm) (wsfc_group_failover_threshold`+of+`)`),
				rows(`max by (cluster, vm) (wsfc_group_failover_period_seconds`+of+`)`)).leads(toMachine("__data.fields")).size(24, plotHeight),
			timeline("Owners over time", "The node that owns each machine's group. A change is a move or a failover.", words("1", "owner", "blue"),
				over(`max by (cluster, vm, node) (wsfc_group_owner_info{vm!="", cluster=~"$cluster"})`, "{{vm}} on {{node}}")),
			timeline("Groups over time", "The state that the cluster gives for each group.", present(),
				over(`max by (cluster, vm, state) (wsfc_group_state`+of+`) == 1`, "{{vm}} {{state}}")),
			series("Failures of resources", "How often resources failed, and how often because they hung, by node, in a minute.", "cpm",
				over(`60 * sum by (cluster, node) (rate(wsfc_resource_failures_total`+of+`[$__rate_interval]))`, "{{node}} failed"),
				over(`60 * sum by (cluster, node) (rate(wsfc_resource_deadlocks_total`+of+`[$__rate_interval]))`, "{{node}} hung")).size(12, plotHeight).everyMinute(),
			series("Other resources", "How many of the resources that belong to no watched machine are in which state.", "none",
				over(`sum by (cluster, state) (wsfc_other_resources`+of+`) > 0`, "{{cluster}} {{state}}")).stacked().size(12, plotHeight),
		}},
		section{"Volumes", []Panel{
			timeline("Cluster shared volumes", "What is wrong with each volume; redirected access goes through another node.", words("1", "so", "blue"),
				over(`max by (cluster, volume, state) (wsfc_csv_fault_state`+of+`) == 1`, "{{state}}: {{volume}}")).size(8, plotHeight),
			series("Volumes: used", "Share of each volume in use.", "percentunit",
				over(`1 - min by (cluster, volume) (wsfc_volume_free_bytes`+of+` / wsfc_volume_size_bytes`+of+`)`, "{{volume}}")).upTo(1).steps("transparent", 0.8, "orange", 0.9, "red"),
			series("Volumes that stood still", "Pauses of each volume in a minute, by node and by what for.", "cpm",
				over(`60 * sum by (cluster, node, volume, reason) (rate(wsfc_csv_pauses_total`+of+`[$__rate_interval]))`, "{{node}} {{volume}} {{reason}}")).
				steps("transparent", 1.0, "orange").everyMinute(),
		}},
		section{"Networks", []Panel{
			timeline("Networks", "1 while the cluster calls the network up.", upDown(),
				over(`max by (cluster, network) (wsfc_network_state{state="up", cluster=~"$cluster"})`, "{{network}}")).size(8, plotHeight),
			timeline("Interfaces", "1 while the cluster calls the node's interface up.", upDown(),
				over(`max by (cluster, node, network) (wsfc_network_interface_state{state="up", cluster=~"$cluster"})`, "{{node}} {{network}}")).size(8, plotHeight),
			series("Missing heartbeats", "Share of the heartbeats one after the other after which a node is called lost: the earliest sign of one that goes away.", "percentunit",
				over(`max by (cluster, node, route) (wsfc_heartbeat_missing`+of+` / wsfc_heartbeat_missing_limit`+of+`)`, "{{route}}")).upTo(1).steps("transparent", 0.5, "red").everyMinute(),
		}},
	)
}
