package dashboards

// chain is the watching itself, from the probe to the ledger: whether silence means that all is well.
func chain() Dashboard {
	const of = `{instance=~"$instance"}`
	d := page("chain", "The chain's own health", "Whether silence means that all is well: exporter, Prometheus' scrapes, Alertmanager, webhook, ledger, dead man's switch.", clusters)
	d.Templating.List = append(d.Templating.List,
		ask("instance", "Instance", `label_values(up{job=~"hypervigil_exporter|hypervigil_receiver"}, instance)`).any(".+"))
	return d.with(
		section{"Now", []Panel{
			stat("Exporter", "Whether Prometheus gets the exporter's own metrics.", "none",
				now(`min(up{job="hypervigil_exporter", instance=~"$instance"})`, "__auto")).words(upDown()).none("no target"),
			stat("Receiver", "Whether Prometheus gets the receiver's own metrics.", "none",
				now(`min(up{job="hypervigil_receiver", instance=~"$instance"})`, "__auto")).words(upDown()).none("no target"),
			stat("Receiver is ready", "Whether commands could be decided now: hold-off over, clusters sampled, bindings proven.", "none",
				now(`min(hypervigil_receiver_ready`+of+`)`, "__auto")).words(yesNo()),
			stat("Lost scrapes", "Targets of which Prometheus gets no answer from the exporter.", "none",
				now(`count(up{cluster=~"$cluster"} == 0) or vector(0)`, "__auto")).steps("green", 1.0, "red"),
			stat("Watchdog came", "Time since the alert that always fires came through Alertmanager to the receiver; it comes every minute.", "s",
				now(`time() - (hypervigil_receiver_watchdog_timestamp_seconds`+of+` > 0)`, "__auto")).steps("green", 120.0, "orange", 180.0, "red").none("never"),
			stat("Dead man's switch", "Engaged: Watchdog stays away, so every cluster is only observed.", "none",
				now(`max(hypervigil_receiver_dead_man_engaged`+of+`)`, "__auto")).words(words("0", "at rest", "green", "1", "engaged", "red")),
			stat("Last notification", "Time since Alertmanager last delivered anything.", "s",
				now(`time() - (hypervigil_receiver_last_notification_timestamp_seconds`+of+` > 0)`, "__auto")).steps("green", 120.0, "orange", 180.0, "red").none("never"),
			stat("Last step", "Time since the receiver last took a step; it takes none while its ledger cannot be written.", "s",
				now(`time() - hypervigil_receiver_heartbeat_timestamp_seconds`+of, "__auto")).steps("green", 15.0, "orange", 60.0, "red"),
		}},
		section{"Exporter", []Panel{
			series("Duration of probes", "95 % of the probes were quicker than this, by module.", "s",
				over(`histogram_quantile(0.95, sum by (le, module) (rate(hypervigil_exporter_probe_duration_seconds_bucket`+of+`[$__rate_interval])))`, "{{module}}")).everyMinute(),
			series("Probes that did not see everything", "Per second, by module.", "ops",
				over(`sum by (module) (rate(hypervigil_exporter_probes_total{result="failure", instance=~"$instance"}[$__rate_interval]))`, "{{module}}")),
			series("Probes under way", "By prober. What only grows is a peer that hangs.", "none",
				over(`sum by (kind) (hypervigil_exporter_probe_inflight`+of+`)`, "{{kind}}")).stacked(),
			series("Collectors that hang", "Collectors, and logins to SQL Server, that run beyond their deadline, by target; a driver or a provider does not return.", "none",
				over(`sum by (target) (hypervigil_exporter_abandoned_queries`+of+`)`, "{{target}}")).steps("transparent", 1.0, "orange").none("none hangs"),
			table("Collectors that cannot see", "The reason of each collector that cannot see what it is there for.",
				labels("cluster", "node", "vm", "sql_instance", "collector", "reason"), []string{"Value"},
				rows(`max by (cluster, node, vm, sql_instance, collector, reason) (probe_failure_reason{cluster=~"$cluster"} == 1)`)).size(16, plotHeight),
			series("Certificates' time left", "Of the certificate that ends first, by target; the alert comes 14 days before.", "s",
				over(`min by (cluster, vm, sql_instance, node) (probe_tls_earliest_cert_expiry_timestamp_seconds{cluster=~"$cluster"}) - time()`, "{{vm}}{{node}} {{sql_instance}}")).
				steps("transparent").size(8, plotHeight),
			series("Names that do not resolve", "Names of targets that are reached by the addresses which the name server gave last.", "none",
				over(`max(hypervigil_exporter_stale_names`+of+`)`, "names")).steps("transparent", 1.0, "orange"),
			series("Answers to Prometheus", "Requests per second by page and status.", "reqps",
				over(`sum by (handler, code) (rate(hypervigil_exporter_http_requests_total`+of+`[$__rate_interval]))`, "{{handler}} {{code}}")),
		}},
		section{"Prometheus", []Panel{
			timeline("Jobs that are answered", "1 while every target of the job is scraped with success.", words("1", "all", "green", "0", "some lost", "red"),
				over(`min by (job) (up{cluster=~"$cluster"})`, "{{job}}")),
			series("Duration of scrapes", "The slowest of each job.", "s",
				over(`max by (job) (scrape_duration_seconds{cluster=~"$cluster"})`, "{{job}}")).size(6, plotHeight),
			series("Samples", "That each scrape brings, by job.", "none",
				over(`sum by (job) (scrape_samples_scraped{cluster=~"$cluster"})`, "{{job}}")).stacked().size(6, plotHeight),
		}},
		section{"Alertmanager and webhook", []Panel{
			series("Notifications", "Requests to the webhook by result. Only accepted and duplicate are well.", "reqps",
				over(`sum by (result) (rate(hypervigil_receiver_notifications_total`+of+`[$__rate_interval])) > 0`, "{{result}}")).none("none came"),
			series("Alerts in them", "Per minute, repeats included, by their own status.", "cpm",
				over(`60 * sum by (status) (rate(hypervigil_receiver_notification_alerts_total`+of+`[$__rate_interval]))`, "{{status}}")),
			series("Time since Watchdog", "Watchdog travels the whole way, Prometheus, Alertmanager, webhook; after the dead man's limit every cluster is only observed.", "s",
				over(`time() - (hypervigil_receiver_watchdog_timestamp_seconds`+of+` > 0)`, "{{instance}}")).steps("transparent", 180.0, "red"),
			series("Alerts that were not kept", "Kept back by Alertmanager, or beyond their bounds, in a minute.", "cpm",
				over(`60 * sum by (reason) (rate(hypervigil_receiver_notification_alerts_dropped_total`+of+`[$__rate_interval]))`, "{{reason}}"),
				over(`60 * sum(rate(hypervigil_receiver_notification_alerts_truncated_total`+of+`[$__rate_interval]))`, "kept back")).steps("transparent", 1.0, "orange"),
			table("Alerts of the chain", "What fires about Hypervigil itself.",
				labels("alertname", "severity", "cluster", "vm", "node", "job"), []string{"Value"},
				rows(`max by (alertname, severity, cluster, vm, node, job) (ALERTS{alertstate="firing", hypervigil="tell", alertname=~"Hypervigil.*"})`)).size(16, plotHeight),
		}},
		section{"Receiver and ledger", []Panel{
			series("Commits", "Per second, by result. Anything but ok is a ledger in trouble.", "ops",
				over(`sum by (result) (rate(hypervigil_ledger_commits_total`+of+`[$__rate_interval])) > 0`, "{{result}}")).none("none"),
			series("Commits that failed", "While the ledger cannot be written nothing is decided.", "none",
				over(`sum(increase(hypervigil_receiver_ledger_errors_total`+of+`[$__rate_interval]))`, "failed")).steps("transparent", 1.0, "red"),
			series("Duration of a commit", "95 % were quicker than this, sync included.", "s",
				over(`histogram_quantile(0.95, sum by (le) (rate(hypervigil_ledger_commit_duration_seconds_bucket`+of+`[$__rate_interval])))`, "95 %")),
			timeline("Configuration was taken", "1 where the configuration file was taken the last time it was read.", words("1", "taken", "green", "0", "refused", "red"),
				over(`min by (instance) (hypervigil_exporter_config_last_reload_successful`+of+`)`, "exporter {{instance}}"),
				over(`min by (instance) (hypervigil_receiver_config_last_reload_successful`+of+`)`, "receiver {{instance}}")).size(12, plotHeight),
			table("Versions", "What runs where.", labels("job", "instance", "version", "revision"), []string{"Value"},
				rows(`max by (job, instance, version, revision) (hypervigil_exporter_build_info`+of+` or hypervigil_receiver_build_info`+of+`)`)),
		}},
	)
}
