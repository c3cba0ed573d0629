package dashboards

// incidents is what the receiver does and does not do, and why.
func incidents() Dashboard {
	const of = `{cluster=~"$cluster"}`
	return page("incidents", "Incidents and guards", "What the receiver did, what it refused and why, and whether it could help if something broke now.", clusters).with(
		section{"Now", []Panel{
			receiverReady(),
			stat("Open incidents", "Incidents that are not over, whatever their state.", "none",
				now(`sum(hypervigil_incidents_open)`, "__auto")).steps("green", 1.0, "orange"),
			stat("Wait for approval", "Incidents whose plan is ready and waits for a person's word.", "none",
				now(`sum(hypervigil_incidents_open{state="proposed"})`, "__auto")).steps("green", 1.0, "orange"),
			stat("Escalated", "Incidents that the receiver has given up and a person has to see to.", "none",
				now(`sum(hypervigil_incidents_open{state="escalated"})`, "__auto")).steps("green", 1.0, "red"),
			stat("Latched", "Virtual machines for which nothing more is done until somebody acknowledges a failure.", "none",
				now(`sum(hypervigil_vm_latched`+of+`)`, "__auto")).steps("green", 1.0, "red"),
			stat("Storm brake", "Engaged: every command of the cluster is held, because too much is sick at once.", "none",
				now(`max by (cluster) (hypervigil_storm_brake_engaged`+of+`)`, "{{cluster}}")).words(words("0", "at rest", "green", "1", "engaged", "red")),
			stat("Pauses", "Pauses in force; hypervigilctl lists and lifts them.", "none",
				now(`sum(hypervigil_pauses)`, "__auto")).steps("green", 1.0, "orange"),
			stat("Approvals denied", "Approvals in the time shown that came without the proof of an approver.", "none",
				now(`sum(increase(hypervigil_approvals_denied_total[$__range]))`, "__auto")).steps("green", 1.0, "orange"),
		}},
		section{"Incidents", []Panel{
			openByState(),
			table("How they ended", "Incidents of the time shown, by fault, what became of them, and who healed them.",
				append(labels("fault", "state", "healed_by"), column{from: "Value", title: "incidents"}), nil,
				rows(rose("hypervigil_incidents_closed_total", "fault, state, healed_by", "$__range"))).size(8, plotHeight),
			timeline("Acting alerts", "What incidents begin with, while it fires.", words("1", "firing", "red"),
				over(`max by (alertname, cluster, vm) (ALERTS{alertstate="firing", hypervigil="act", cluster=~"$cluster"})`, "{{vm}} {{alertname}}")).
				none("none fires").size(8, plotHeight),
		}},
		section{"Guards", []Panel{
			table("What was refused, and why", "Verdicts of the time shown that were not a pass, by guard. docs/guards.md says what each asks and what lifts it.",
				append(labels("guard", "outcome", "reason"), column{from: "Value", title: "times"}), nil,
				rows(rose("hypervigil_guard_refused_total", "guard, outcome, reason", "$__range"))),
			refusals().size(12, plotHeight),
		}},
		section{"Rescue readiness", []Panel{
			stat("Machines that could be rescued", "Virtual machines of which every rung is ready, of all that are rehearsed.", "percentunit",
				now(`avg(min by (cluster, vm) (hypervigil_rescue_ready`+of+`))`, "__auto")).steps("red", 0.9, "orange", 1.0, "green").size(6, plotHeight),
			rescueTable("Rungs", of).leads(toMachine("__data.fields")).size(9, plotHeight),
			refusedTable("What stands in a rung's way", of).leads(toMachine("__data.fields")).size(9, plotHeight),
			series("Time since the last rehearsal", "A machine with an open incident is not rehearsed; the others are once a minute.", "s",
				over(`time() - max by (cluster, vm) (hypervigil_rescue_timestamp_seconds`+of+`)`, "{{cluster}}/{{vm}}")).steps("transparent", 300.0, "orange").size(12, plotHeight),
			timeline("Readiness over time", "1 while every rung of the machine is ready.", words("1", "ready", "green", "0", "not ready", "orange"),
				over(`min by (cluster, vm) (hypervigil_rescue_ready`+of+`)`, "{{cluster}}/{{vm}}")),
		}},
		section{"Commands and how long it takes", []Panel{
			commands(),
			table("Commands by method and result", "Of the time shown. Unknown: it was sent and no answer came; nobody repeats it.",
				append(labels("method", "result"), column{from: "Value", title: "commands"}), nil,
				rows(rose("hypervigil_commands_issued_total", "method, result", "$__range"))).size(8, plotHeight),
			series("From incident to first command", "Half, and 95 %, of the incidents of the time shown that led to a command had their first one sooner than this.", "s",
				over(quantile("0.5", "hypervigil_incident_first_command_seconds"), "median"),
				over(quantile("0.95", "hypervigil_incident_first_command_seconds"), "95 %")).none("no command was sent"),
			series("Age of the last look before a command", "The window in which the cluster could have moved; nothing is sent after 0.5 s.", "s",
				over(quantile("0.99", "hypervigil_revalidation_window_seconds"), "99 %")).upTo(0.6).steps("transparent", 0.5, "red").none("no command was sent"),
			series("Stages", "95 % of the incidents of the time shown went through each stage, from the alert to a verified command, sooner than this.", "s",
				over(`histogram_quantile(0.95, sum by (le, stage) (`+born("hypervigil_incident_stage_seconds_bucket", "$__range")+`))`, "{{stage}}")).none("no command was sent"),
			series("Notifications: time to answer", "From a request's header to the answer, the write to the ledger included.", "s",
				over(quantile("0.5", "hypervigil_receiver_notification_duration_seconds"), "median"),
				over(quantile("0.95", "hypervigil_receiver_notification_duration_seconds"), "95 %")),
			series("Ledger: time to commit", "What every intent waits for before anything is done, sync included.", "s",
				over(quantile("0.5", "hypervigil_ledger_commit_duration_seconds"), "median"),
				over(quantile("0.95", "hypervigil_ledger_commit_duration_seconds"), "95 %")),
		}},
	)
}

// quantile is that of a histogram over the time shown: incidents are too rare for anything shorter.
func quantile(share, metric string) string {
	return `histogram_quantile(` + share + `, sum by (le) (increase(` + metric + `_bucket[$__range])))`
}
