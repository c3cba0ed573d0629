package dashboards

import "strings"

// overview is the fleet, for the wall: what is up, what fires, what the receiver is at.
func overview() Dashboard {
	return page("overview", "Overview", "The fleet: which SQL Server is up, what fires, what the receiver is at.", clusters).with(
		section{"Now", []Panel{
			stat("Up", "Instances of SQL Server into which a client can log in and get an answer.", "none",
				now(`sum(mssql_up{cluster=~"$cluster"}) or vector(0)`, "__auto")).steps("green").size(2, statHeight),
			stat("Down", "Instances that were asked and cannot be used. What could not be asked at all is not counted here.", "none",
				now(`count(mssql_up{cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red").size(2, statHeight),
			stat("Not seen", "Instances about which nothing could be learnt: silence on the network, or a name, certificate, password or permission of ours.", "none",
				now(`count(probe_collector_success{collector="availability", cluster=~"$cluster"} == 0 unless on (cluster, vm, sql_instance) mssql_up) or vector(0)`, "__auto")).
				steps("green", 1.0, "orange").size(2, statHeight),
			stat("Acting alerts", "Firing alerts that the receiver takes up.", "none",
				now(`count(ALERTS{alertstate="firing", hypervigil="act", cluster=~"$cluster"}) or vector(0)`, "__auto")).steps("green", 1.0, "red"),
			stat("Open incidents", "Incidents of every receiver that are not over, whatever their state.", "none",
				now(`sum(hypervigil_incidents_open)`, "__auto")).steps("green", 1.0, "orange"),
			stat("Need a person", "Incidents that are escalated or proposed.", "none",
				now(`sum(hypervigil_incidents_open{state=~"escalated|proposed"})`, "__auto")).steps("green", 1.0, "red"),
			stat("Latched", "Virtual machines for which nothing more is done until somebody acknowledges a failure.", "none",
				now(`sum(hypervigil_vm_latched{cluster=~"$cluster"})`, "__auto")).steps("green", 1.0, "red"),
			receiverReady(),
			stat("Storm brake", "Time since the receiver last saw a storm. The brake is on for five minutes after it.", "s",
				now(`time() - max by (cluster) (hypervigil_storm_brake_timestamp_seconds{cluster=~"$cluster"} > 0)`, "{{cluster}}")).
				steps("red", 300.0, "green").none("never"),
		}},
		section{"Every virtual machine", []Panel{
			machines().size(24, 9),
		}},
		section{"SQL Server", []Panel{
			timeline("Which SQL Server is up", "1 means that a client can log in and gets an answer. A gap is neither: nothing could be learnt, see why probes fail.", upDown(),
				over(`max by (cluster, vm, sql_instance) (mssql_up{cluster=~"$cluster"})`, "{{cluster}}/{{vm}}/{{sql_instance}}")).
				leads(toMachine("__field.labels")).size(24, 8),
			table("Why probes fail now", "The reason of each collector that cannot see what it is there for.",
				labels("cluster", "node", "vm", "sql_instance", "collector", "reason"), []string{"Value"},
				rows(`max by (cluster, node, vm, sql_instance, collector, reason) (probe_failure_reason{cluster=~"$cluster"} == 1)`)),
			table("Firing alerts", "Every alert of Hypervigil that fires, Watchdog left out.",
				labels("alertname", "severity", "fault", "cluster", "vm", "sql_instance"), []string{"Value"},
				rows(`max by (alertname, severity, fault, cluster, vm, sql_instance) (ALERTS{alertstate="firing", hypervigil=~"act|tell"})`)),
		}},
		section{"What the receiver does", []Panel{
			openByState(), refusals(), commands(),
		}},
		section{"Clusters", []Panel{
			nodesUp(),
			timeline("Do the nodes agree", "1 while every node that told its view says the same about the subject.", words("1", "agree", "green", "0", "differ", "red"),
				over(`min by (cluster, subject) (wsfc_views_agree{cluster=~"$cluster"})`, "{{cluster}} {{subject}}")),
			votes().size(12, plotHeight),
			series("Watched virtual machines by owner", "How many of the inventory's virtual machines each node owns.", "none",
				over(`count by (cluster, node) (wsfc_group_owner_info{vm!="", cluster=~"$cluster"})`, "{{cluster}}/{{node}}")).stacked().size(12, plotHeight),
		}},
	)
}

// machines is the table with a line for each virtual machine. A SQL Server of which nothing is known counts as -1, so
// that the line says so even where another instance is up.
func machines() Panel {
	return table("Virtual machines", "A line for each: the worst of its SQL Servers, its guest and owner as the owner sees them, whether the receiver could rescue it now and how long that would take, and when the last acting alert of the last seven days began.",
		[]column{
			{from: "cluster", title: "cluster"},
			{from: "vm", title: "vm"},
			{from: "Value #A", title: "SQL Server", words: words("1", "up", "green", "0", "down", "red", "-1", "not seen", "orange")},
			{from: "Value #B", title: "guest", words: words("1", "heartbeat", "green", "0", "no heartbeat", "red")},
			{from: "node", title: "owner"},
			{from: "Value #D", title: "rescue", words: words("1", "ready", "green", "0", "not ready", "orange")},
			{from: "Value #E", title: "rescue takes", unit: "s"},
			{from: "Value #F", title: "latch", words: words("0", "open", "green", "1", "latched", "red")},
			{from: "Value #G", title: "last incident", unit: "dateTimeFromNow"},
		},
		[]string{"Value #C"},
		rows(`min by (cluster, vm) (mssql_up{cluster=~"$cluster"} or on (cluster, vm, sql_instance) (probe_collector_success{collector="availability", cluster=~"$cluster"} == 0) - 1)`),
		rows(`max by (cluster, vm) (hyperv_vm_heartbeat{state="ok", cluster=~"$cluster"} and on (cluster, vm, node) wsfc_group_owner_info)`),
		rows(`max by (cluster, vm, node) (wsfc_group_owner_info{vm!="", cluster=~"$cluster"})`),
		rows(`min by (cluster, vm) (hypervigil_rescue_ready{cluster=~"$cluster"})`),
		rows(`max by (cluster, vm) (hypervigil_rescue_predicted_seconds{cluster=~"$cluster"})`),
		rows(`max by (cluster, vm) (hypervigil_vm_latched{cluster=~"$cluster"})`),
		// Prometheus keeps in ALERTS_FOR_STATE since when an alert has been active, in seconds since 1970
		// (rules/alerting.go, forStateSample); Grafana's dates are milliseconds.
		rows(`1000 * max by (cluster, vm) (max_over_time(ALERTS_FOR_STATE{hypervigil="act", cluster=~"$cluster"}[7d]))`),
	).leads(toMachine("__data.fields"))
}

// rose is by how much a counter has risen in a window, where it has. A series that began in the window began with its
// first event already counted, which increase cannot see; and the first refusal of a kind is the one to be shown.
func rose(counter, by, window string) string {
	return `round(sum by (` + by + `) (` + born(counter, window) + `)) > 0`
}

// born is the increase of each series of a counter, or all of what began in the window.
func born(counter, window string) string {
	const form = `(increase(COUNTER[WINDOW]) and (COUNTER offset WINDOW)) or (COUNTER unless (COUNTER offset WINDOW))`
	return strings.NewReplacer("COUNTER", counter, "WINDOW", window).Replace(form)
}

// What more than one page shows.

func receiverReady() Panel {
	return stat("Receiver", "Whether commands could be decided now: hold-off over, clusters sampled, bindings proven.", "none",
		now(`min(hypervigil_receiver_ready)`, "__auto")).words(words("1", "ready", "green", "0", "not ready", "red"))
}

func openByState() Panel {
	return series("Open incidents by state", "How many incidents are in which state. Escalated and proposed ones wait for a person.", "none",
		over(`sum by (state) (hypervigil_incidents_open) > 0`, "{{state}}")).stacked().none("no incident is open")
}

func refusals() Panel {
	return series("Guards that stood against a command", "Verdicts other than pass, counted once when they begin.", "none",
		over(rose("hypervigil_guard_refused_total", "guard, outcome, reason", "$__rate_interval"), "{{guard}} {{outcome}} {{reason}}")).
		stacked().none("no guard stood against anything")
}

func commands() Panel {
	return series("Commands", "Method calls that were handed over to be sent, by what came of them.", "none",
		over(rose("hypervigil_commands_issued_total", "method, result", "$__rate_interval"), "{{method}} {{result}}")).
		stacked().none("no command was sent")
}

func nodesUp() Panel {
	return timeline("Nodes", "1 while the cluster calls the node up. A gap: no node told its view.", upDown(),
		over(`max by (cluster, node) (wsfc_node_state{state="up", cluster=~"$cluster"})`, "{{cluster}}/{{node}}"))
}

func votes() Panel {
	return series("Votes", "Votes that are there, and the majority that is needed. Where they meet, the next loss takes the cluster down.", "none",
		over(`max by (cluster) (wsfc_quorum_votes_current{cluster=~"$cluster"})`, "{{cluster}} present"),
		over(`max by (cluster) (wsfc_quorum_votes_needed{cluster=~"$cluster"})`, "{{cluster}} needed"))
}
