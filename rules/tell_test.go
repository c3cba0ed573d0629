package rules

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// The telling alerts. Each is asked about in every story, so that one which fires beside the point is noticed.
var telling = []string{
	"SQLServerUnreachable", "HypervigilCollectorBlind", "HypervigilCredentialRefused",
	"HypervigilCertificateRefused", "HypervigilCertificateExpires", "HypervigilClusterBlind", "HypervigilTargetsMissing", "HypervigilProbesLost",
	"HypervigilExporterDown",
	"HypervigilReceiverDown", "HypervigilReceiverNotReady", "HypervigilRescueNotReady", "HypervigilConfigReloadFailed", "HypervigilNotificationsMissing",
	"HypervigilNotificationsRefused", "HypervigilLedgerNotWritten", "HypervigilIncidentEscalated", "HypervigilIncidentProposed",
	"HypervigilVMLatched", "HypervigilStormBrake", "Watchdog",
}

// The programs' own scrape jobs, and the addresses that their series carry as instance.
const (
	exporterJob, exporterAt = "hypervigil_exporter", "127.0.0.1:9877"
	receiverJob, receiverAt = "hypervigil_receiver", "127.0.0.1:9878"
)

// tells is a telling alert as people get it, word for word.
func tells(name, severity, summary, description string, from, until time.Duration, labels ...string) alert {
	a := alert{
		name: name, from: from, until: until,
		labels: map[string]string{"alertname": name, "severity": severity, "hypervigil": "tell"},
		annotations: map[string]string{
			"summary": summary, "description": description, "runbook_url": Runbooks + "/" + name + ".md",
		},
	}
	for i := 0; i < len(labels); i += 2 {
		a.labels[labels[i]] = labels[i+1]
	}
	return a
}

// inRange is the alert that ends when the last sample leaves a range.
func (a alert) inRange() alert {
	a.ranged = true
	return a
}

// watchdog fires from the first evaluation on, for ever.
func watchdog() alert {
	a := tells("Watchdog", "none", "The way from Prometheus through Alertmanager works.",
		"This alert always fires. Whoever expects it and no longer gets it knows that alerts do not arrive.", 0, 0)
	a.labels["hypervigil"] = "watchdog"
	return a
}

// own are the metrics of our own programs that the rules read, by series; the value is a function of time, NaN while
// there is no such series.
type own map[string]func(t time.Duration) float64

func (o own) scrape(t time.Duration) scrape {
	s := scrape{}
	for name, value := range o {
		if v := value(t); !math.IsNaN(v) {
			s[name] = v
		}
	}
	return s
}

func is(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

// between is v from begin until end, and usual before and after.
func between(begin, end time.Duration, v, usual float64) func(time.Duration) float64 {
	return func(t time.Duration) float64 {
		if t >= begin && t < end {
			return v
		}
		return usual
	}
}

// receiver is a receiver that is well: it is told something at every scrape and has nothing to do.
func receiver(change own) own {
	o := own{
		"hypervigil_receiver_ready{}":                                          is(1),
		"hypervigil_receiver_config_last_reload_successful{}":                  is(1),
		"hypervigil_receiver_last_notification_timestamp_seconds{}":            time.Duration.Seconds,
		`hypervigil_receiver_notifications_total{result="accepted"}`:           time.Duration.Seconds,
		`hypervigil_receiver_notifications_total{result="duplicate"}`:          time.Duration.Seconds,
		`hypervigil_receiver_notifications_total{result="unauthorized"}`:       is(7),
		`hypervigil_receiver_notifications_total{result="unavailable"}`:        is(7),
		"hypervigil_receiver_ledger_errors_total{}":                            is(7),
		`hypervigil_incidents_open{state="acting"}`:                            is(1),
		`hypervigil_incidents_open{state="escalated"}`:                         is(0),
		`hypervigil_incidents_open{state="proposed"}`:                          is(0),
		`hypervigil_vm_latched{cluster="hv-cl1",vm="SQL01"}`:                   is(0),
		`hypervigil_storm_brake_timestamp_seconds{cluster="hv-cl1"}`:           is(0),
		`hypervigil_storm_brake_timestamp_seconds{cluster="hv-cl2"}`:           is(0),
		`hypervigil_guard_refused_total{guard="G17",outcome="hold",reason=""}`: is(1),
	}
	maps.Copy(o, change)
	return o
}

// programs adds our own programs to a world.
func (w *world) programs(exporter, receiver func(t time.Duration) scrape) *world {
	w.own = map[string]func(time.Duration) scrape{
		exporterJob + " " + exporterAt: exporter,
		receiverJob + " " + receiverAt: receiver,
	}
	return w
}

// exporter is an exporter that is well.
func exporter(change own) own {
	o := own{"hypervigil_exporter_config_last_reload_successful{}": is(1)}
	maps.Copy(o, change)
	return o
}

// gone is a program that cannot be scraped from begin until end.
func gone(o own, begin, end time.Duration) func(time.Duration) scrape {
	return func(t time.Duration) scrape {
		if t >= begin && t < end {
			return nil
		}
		return o.scrape(t)
	}
}

// quiet is a world of our own programs and one SQL Server that is well: enough for what the programs say of
// themselves.
func quiet() *world {
	return &world{sql: map[string]at{"SQL02/MSSQLSERVER": always("")}}
}

// tellScenarios tells the stories of the alerts that act on nothing.
func tellScenarios(timing Timing) []scenario {
	var (
		fault  = faultAt(timing)
		mended = func(d time.Duration) time.Duration { return fault + d }
		well   = exporter(nil)
	)
	story := func(name string, w *world, end time.Duration, fires ...alert) scenario {
		if w.own == nil {
			w.programs(well.scrape, receiver(nil).scrape)
		}
		return scenario{name: name, world: w, end: end, fires: append(fires, watchdog()), watch: telling}
	}
	// said is a story of the receiver's own metrics, from the fault until mended.
	said := func(name string, lasts, end time.Duration, change own, fires ...alert) scenario {
		return story(name, quiet().programs(well.scrape, receiver(change).scrape), mended(lasts)+end, fires...)
	}
	const minute = time.Minute
	unreachable := func(from, until time.Duration) alert {
		return tells("SQLServerUnreachable", "warning",
			"SQL Server PAYROLL on SQL01 (hv-cl1) cannot be used, and nothing says why.",
			"For a minute no probe has come through, and what host and cluster say fits no fault that Hypervigil acts on. Nothing will be done about it by itself.",
			from, until, "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL")
	}
	blind := func(where, collector, job string, from, until time.Duration, labels ...string) alert {
		return tells("HypervigilCollectorBlind", "warning",
			"Hypervigil cannot see hv-cl1 "+where+": collector "+collector+" of job "+job+".",
			"The collector gets no answer that it can use, and no fault that is known explains it: a name or permission of ours, a firewall, a listener that is missing, or a provider that hangs. A fault of this target would not be seen.",
			from, until, append([]string{"cluster", "hv-cl1", "collector", collector, "job", job}, labels...)...)
	}
	reloadFailed := func(job, instance string, from, until time.Duration) alert {
		return tells("HypervigilConfigReloadFailed", "warning",
			instance+" refused its new configuration and still runs on the old one.",
			"The last reload of hypervigil.yml changed nothing because the file is not valid. hypervigilctl config check names the line.",
			from, until, "job", job, "instance", instance)
	}
	down := func(name, what, description string, from, until time.Duration, labels ...string) alert {
		return tells(name, "critical", what, description, from, until, labels...)
	}
	const (
		exporterGone = "Prometheus cannot scrape it, so what it watches is not watched. Acting alerts stay silent: absence of an answer is no bad answer."
		receiverGone = "Alerts are sent to nobody who acts on them. Treat every SQLServer alert as a page of your own until it is back."
	)
	// A counter that rises at the fault is seen to rise as long as a sample from before it is in the five minutes.
	risen := func(to float64) func(time.Duration) float64 { return between(fault, fault+time.Hour, 7+to, 7) }
	seenUntil := fault - timing.Self + 5*minute
	// ends has a certificate that has less than 14 days from the fault on, until it is replaced.
	ends := func(replaced time.Duration) *world {
		return with(healthy(), func(w *world) {
			w.expiry = map[string]at{
				"SQL01/PAYROLL": func(t time.Duration) string {
					if t >= mended(replaced) {
						return fmt.Sprint((1000 * 24 * time.Hour).Seconds())
					}
					return fmt.Sprint((14*24*time.Hour + fault - timing.TellEvaluation).Seconds()) // 14 days and nothing less at the fault
				},
				"SQL01/MSSQLSERVER": always(fmt.Sprint((14*24*time.Hour + time.Hour).Seconds())),
			}
		})
	}
	// Its text is another one at each evaluation.
	var ending []alert
	for t := mended(5 * minute); t < mended(7*minute); t += timing.TellEvaluation {
		ending = append(ending, tells("HypervigilCertificateExpires", "warning",
			"A certificate of hv-cl1 SQL01 PAYROLL ends in "+left(14*24*time.Hour+fault-timing.TellEvaluation-t)+".",
			"From then on Hypervigil sees nothing of it and does nothing for it: certificates are always verified. SQL Server reads a new one when it starts, WinRM when its listener is given the new thumbprint.",
			t, t+timing.TellEvaluation, "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL"))
	}
	// undiscovered has no target that is a SQL Server, as long as that lasts.
	undiscovered := func(lasts time.Duration) *world {
		return with(quiet(), func(w *world) {
			w.forgotten = func(t time.Duration) bool { return t >= fault && t < mended(lasts) }
		})
	}
	// notified has a receiver to which nothing came for so long.
	notified := func(after time.Duration) own {
		return own{"hypervigil_receiver_last_notification_timestamp_seconds{}": func(t time.Duration) float64 {
			if t >= fault && t < mended(after) {
				return fault.Seconds()
			}
			return t.Seconds()
		}}
	}
	moment := timing.TellEvaluation // before an alert's time
	return []scenario{
		story("all is well, and an incident is being acted on", healthy(), mended(3*minute)),

		story("one instance of two that is silent for a minute is told about", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(2*minute), string(dial.TCPTimeout), "")
		}), mended(3*minute), unreachable(fault+minute, mended(2*minute))),
		story("silence for less than a minute is not", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(minute-timing.TellEvaluation), string(dial.TCPTimeout), "")
		}), mended(2*minute)),
		story("what is acted on is not told about a second time", with(healthy(), func(w *world) {
			silent := during(fault, mended(2*minute), string(dial.TCPTimeout), "")
			w.sql["SQL01/MSSQLSERVER"], w.sql["SQL01/PAYROLL"] = silent, silent
		}), mended(3*minute)),

		story("a permission that is missing for two minutes blinds a collector", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(3*minute), string(dial.Permission), "")
		}), mended(4*minute), blind("SQL01", "availability", "mssql_availability", fault+2*minute, mended(3*minute), "vm", "SQL01", "sql_instance", "PAYROLL")),
		story("a password that is refused has an alert of its own, and no other", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(3*minute), string(dial.Auth), "")
		}), mended(4*minute), tells("HypervigilCredentialRefused", "critical",
			"hv-cl1 SQL01 refuses the exporter's credential (job mssql_availability).",
			"The password is wrong or has expired, the account is locked or disabled, or the scheme is off at the peer. Nothing is known of SQL01 meanwhile: a fault of this target would not be seen. Each probe is another failed logon, which may lock the account.",
			fault+30*time.Second, mended(3*minute), "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL", "job", "mssql_availability")),
		story("so has one that a host refuses", with(healthy(), func(w *world) {
			w.hosts["HV3"] = during(fault, mended(3*minute), string(dial.Auth), "")
		}), mended(4*minute), tells("HypervigilCredentialRefused", "critical",
			"hv-cl1 HV3 refuses the exporter's credential (job hyperv).",
			"The password is wrong or has expired, the account is locked or disabled, or the scheme is off at the peer. Nothing is known of HV3 meanwhile: a fault of this target would not be seen. Each probe is another failed logon, which may lock the account.",
			fault+30*time.Second, mended(3*minute), "cluster", "hv-cl1", "node", "HV3", "job", "hyperv")),
		story("a password that was refused once and then taken is nothing", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, fault+timing.SQL, string(dial.Auth), "")
		}), mended(2*minute)),
		story("a certificate that is refused has an alert of its own, and no other", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(3*minute), string(dial.TLS), "")
			w.expiry = map[string]at{"SQL01/PAYROLL": always("1")} // it has expired
		}), mended(4*minute), tells("HypervigilCertificateRefused", "critical",
			"The exporter refuses the certificate of hv-cl1 SQL01 (job mssql_availability).",
			"It has expired, bears another name, comes from an authority that tls.ca_file does not hold, or no common version of TLS was found. Nothing is known of SQL01 meanwhile: a fault of this target would not be seen.",
			fault+minute, mended(3*minute), "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL", "job", "mssql_availability")),
		story("a certificate is told about 14 days before its end, until it is replaced", ends(7*minute), mended(8*minute), ending...),
		story("a certificate that is replaced soon is not", ends(5*minute-timing.TellEvaluation), mended(8*minute)),
		story("a provider that hangs on one host blinds its collector", with(healthy(), func(w *world) {
			w.hosts["HV3"] = during(fault, mended(3*minute), string(dial.ProviderHung), "")
		}), mended(4*minute), blind("HV3", "vms", "hyperv", fault+2*minute, mended(3*minute), "node", "HV3")),
		story("a host that is silent is down, not unseen", with(healthy(), func(w *world) {
			w.hosts["HV3"] = during(fault, mended(3*minute), string(dial.TCPTimeout), "")
			w.nodes["HV3"] = during(fault, mended(3*minute), "down", "up")
		}), mended(4*minute)),

		story("a host that is silent while the cluster counts it is unseen", with(healthy(), func(w *world) {
			w.hosts["HV3"] = during(fault, mended(3*minute), string(dial.TCPTimeout), "")
		}), mended(4*minute), blind("HV3", "vms", "hyperv", fault+2*minute, mended(3*minute), "node", "HV3")),
		story("every scrape of a target is lost", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(3*minute), lost, "")
		}), mended(4*minute), tells("HypervigilProbesLost", "critical",
			"Prometheus gets no answer from the exporter about hv-cl1 SQL01 (job mssql_availability).",
			"The target is known and every scrape of it is lost: the exporter refuses the module or the target, wants a password that Prometheus does not have, or is too busy to answer in time. A fault of this target would not be seen.",
			fault+2*minute, mended(3*minute), "job", "mssql_availability", "cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL")),
		story("scrapes that are lost for less than two minutes are not told about", with(healthy(), func(w *world) {
			w.sql["SQL01/PAYROLL"] = during(fault, mended(2*minute-timing.TellEvaluation), lost, "")
		}), mended(3*minute)),

		story("no node tells its view", with(healthy(), func(w *world) {
			w.cluster = during(fault, mended(90*time.Second), string(dial.TCPTimeout), "")
		}), mended(2*minute), tells("HypervigilClusterBlind", "critical",
			"No node of hv-cl1 answers for the cluster.",
			"Without the cluster's own view neither the owner of a virtual machine nor the state of a node is known, so faults of guests, networks and hosts are not seen, and the receiver does nothing.",
			fault+minute, mended(90*time.Second), "cluster", "hv-cl1")),

		story("the nodes are silent for less than a minute", with(healthy(), func(w *world) {
			w.cluster = during(fault, mended(minute-moment), string(dial.TCPTimeout), "")
		}), mended(2*minute)),

		story("service discovery has no SQL Server any more, and then has them again", undiscovered(3*minute), mended(4*minute),
			tells("HypervigilTargetsMissing", "critical", "Prometheus probes no SQL Server at all.",
				"There is no target of job mssql_availability: the exporter's service discovery does not answer, or its inventory is empty. No fault would be seen.",
				mended(2*minute), mended(3*minute), "job", "mssql_availability")),
		story("it has them again before two minutes are over", undiscovered(2*minute-moment), mended(4*minute)),
		story("nothing is probed at all", (&world{}).programs(well.scrape, receiver(nil).scrape), 3*minute,
			tells("HypervigilTargetsMissing", "critical", "Prometheus probes no SQL Server at all.",
				"There is no target of job mssql_availability: the exporter's service discovery does not answer, or its inventory is empty. No fault would be seen.",
				2*minute, 0, "job", "mssql_availability")),

		story("the exporter cannot be scraped", quiet().programs(gone(well, fault, mended(2*minute)), receiver(nil).scrape), mended(3*minute),
			down("HypervigilExporterDown", "The exporter "+exporterAt+" does not answer.", exporterGone, fault+minute, mended(2*minute), "job", exporterJob, "instance", exporterAt)),
		story("the exporter is restarted", quiet().programs(gone(well, fault, mended(minute-moment)), receiver(nil).scrape), mended(3*minute)),
		story("the receiver is restarted", quiet().programs(well.scrape, gone(receiver(nil), fault, mended(minute-moment))), mended(3*minute)),
		story("the exporter is no target", with(quiet(), func(w *world) {
			w.own = map[string]func(time.Duration) scrape{receiverJob + " " + receiverAt: receiver(nil).scrape}
		}), 2*minute, down("HypervigilExporterDown", "The exporter  does not answer.", exporterGone, minute, 0, "job", exporterJob)),
		story("the receiver cannot be scraped", quiet().programs(well.scrape, gone(receiver(nil), fault, mended(2*minute))), mended(3*minute),
			down("HypervigilReceiverDown", "The receiver "+receiverAt+" does not answer.", receiverGone, fault+minute, mended(2*minute), "job", receiverJob, "instance", receiverAt)),
		story("the receiver is no target", with(quiet(), func(w *world) {
			w.own = map[string]func(time.Duration) scrape{exporterJob + " " + exporterAt: well.scrape}
		}), 2*minute, down("HypervigilReceiverDown", "The receiver  does not answer.", receiverGone, minute, 0, "job", receiverJob)),

		said("the receiver is not ready for longer than a start takes", 11*minute, minute,
			own{"hypervigil_receiver_ready{}": between(fault, mended(11*minute), 0, 1)},
			tells("HypervigilReceiverNotReady", "warning", "The receiver "+receiverAt+" is not ready: it observes and does nothing.",
				"Ready means that the hold-off is over, every cluster was sampled three times, and the names of each virtual machine were proven to mean one machine. GET /-/ready says what is missing.",
				fault+10*minute, mended(11*minute), "instance", receiverAt)),

		said("the receiver starts", 11*minute, minute, own{"hypervigil_receiver_ready{}": between(fault, mended(10*minute-moment), 0, 1)}),

		said("a machine that is well could not be rescued", 11*minute, minute,
			own{`hypervigil_rescue_refused{cluster="hv-cl1",vm="SQL01",rung="restart_service",guard="G17",reason="controls"}`: between(fault, mended(11*minute), 1, 0)},
			tells("HypervigilRescueNotReady", "warning", "SQL01 (hv-cl1) is well and could not be rescued: G17 stands in the way of restart_service (controls).",
				"For ten minutes the rehearsal of restart_service has found what would keep the receiver from helping if SQL01 fell ill now. hypervigilctl explain hv-cl1/SQL01 says what it is and what lifts it.",
				fault+10*minute, mended(11*minute), "cluster", "hv-cl1", "vm", "SQL01", "rung", "restart_service", "guard", "G17", "reason", "controls")),
		said("a machine is cooling down after it was rescued", 11*minute, minute,
			own{`hypervigil_rescue_refused{cluster="hv-cl1",vm="SQL01",rung="restart_service",guard="G14",reason="cool_down"}`: between(fault, mended(11*minute), 1, 0)}),

		said("the receiver refuses its configuration", 6*minute, minute,
			own{"hypervigil_receiver_config_last_reload_successful{}": between(fault, mended(6*minute), 0, 1)},
			reloadFailed(receiverJob, receiverAt, fault+5*minute, mended(6*minute))),
		said("a configuration that was refused is mended soon", 6*minute, minute,
			own{"hypervigil_receiver_config_last_reload_successful{}": between(fault, mended(5*minute-moment), 0, 1)}),
		story("the exporter refuses its configuration", quiet().programs(
			exporter(own{"hypervigil_exporter_config_last_reload_successful{}": between(fault, mended(6*minute), 0, 1)}).scrape, receiver(nil).scrape,
		), mended(7*minute), reloadFailed(exporterJob, exporterAt, fault+5*minute, mended(6*minute))),

		said("Watchdog does not come through", 6*minute, minute, notified(6*minute),
			// More than 180 s is first seen at the evaluation after them.
			tells("HypervigilNotificationsMissing", "critical", "No alert reaches the receiver "+receiverAt+".",
				"Watchdog should come every minute and has not come for three. Alertmanager does not reach the webhook, or is refused there: the receiver would not learn of a fault.",
				fault+5*minute+timing.TellEvaluation, mended(6*minute), "instance", receiverAt)),
		said("Watchdog comes through again", 6*minute, minute, notified(5*minute)),
		said("Alertmanager's token is refused", 6*minute, 0,
			own{`hypervigil_receiver_notifications_total{result="unauthorized"}`: risen(3)},
			tells("HypervigilNotificationsRefused", "warning", "The webhook of "+receiverAt+" refused requests: unauthorized.",
				"Either Alertmanager is set up wrongly and its alerts are lost, or somebody else knocks at the webhook. The receiver's log names the peer.",
				fault, seenUntil, "instance", receiverAt, "result", "unauthorized").inRange()),
		said("the ledger's disk is full", 6*minute, 0, own{"hypervigil_receiver_ledger_errors_total{}": risen(30)}, ledgerNotWritten(fault, seenUntil)),
		said("a notification could not be written down", 6*minute, 0,
			own{`hypervigil_receiver_notifications_total{result="unavailable"}`: risen(2)}, ledgerNotWritten(fault, seenUntil)),

		said("a command did not help", 2*minute, minute,
			own{
				`hypervigil_incidents_open{state="escalated"}`: between(fault, mended(2*minute), 2, 0),
				// The latch outlives the incident, and is told about only where nobody came within five minutes.
				`hypervigil_vm_latched{cluster="hv-cl1",vm="SQL01"}`: between(fault, mended(3*minute), 1, 0),
			},
			tells("HypervigilIncidentEscalated", "critical", "Incidents that need a person, at the receiver "+receiverAt+": 2.",
				"A command did not help, its answer was lost, or a guard held for too long. SQL Server is not proven healthy, and the receiver does nothing more about it.",
				fault, mended(2*minute), "instance", receiverAt)),
		said("an incident is acted on while a failure of before is acknowledged", 2*minute, minute,
			own{
				`hypervigil_incidents_open{state="acting"}`:          between(fault, mended(2*minute), 2, 1),
				`hypervigil_vm_latched{cluster="hv-cl1",vm="SQL01"}`: between(fault, mended(3*minute), 1, 0),
			}),
		said("a failure is acknowledged in time", 6*minute, minute,
			own{`hypervigil_vm_latched{cluster="hv-cl1",vm="SQL01"}`: between(fault, mended(5*minute-moment), 1, 0)}),
		said("nobody acknowledges a failure", 6*minute, minute,
			own{`hypervigil_vm_latched{cluster="hv-cl1",vm="SQL01"}`: between(fault, mended(6*minute), 1, 0)},
			tells("HypervigilVMLatched", "warning", "Nothing more is done for SQL01 (hv-cl1) until somebody acknowledges what failed.",
				"A command on this virtual machine did not succeed. Whatever happens to it next is told and not acted on, until the incident is acknowledged.",
				fault+5*minute, mended(6*minute), "cluster", "hv-cl1", "vm", "SQL01")),
		said("an incident is left to a person", minute, minute,
			own{`hypervigil_incidents_open{state="proposed"}`: between(fault, mended(minute), 1, 0)},
			tells("HypervigilIncidentProposed", "warning", "Incidents left to a person, at the receiver "+receiverAt+": 1.",
				"The receiver knows what would help and may not do it by itself. The incident shows the lines to type.",
				fault, mended(minute), "instance", receiverAt)),

		said("an incident is acted on", minute, minute, own{`hypervigil_incidents_open{state="acting"}`: between(fault, mended(minute), 2, 1)}),

		said("a storm was over before the receiver tells of it", 9*minute, 0,
			own{`hypervigil_storm_brake_timestamp_seconds{cluster="hv-cl2"}`: between(mended(6*minute), time.Hour, mended(minute).Seconds(), 0)}),
		said("a storm is seen in one cluster of two", 6*minute, 0,
			own{`hypervigil_storm_brake_timestamp_seconds{cluster="hv-cl2"}`: between(fault, time.Hour, fault.Seconds(), 0)},
			tells("HypervigilStormBrake", "critical", "The storm brake of hv-cl2 is on: nothing is done about any fault there.",
				"When an incident was looked into, many virtual machines were sick at once, or controls outside the cluster did not answer. One cause is likelier than many, and restarting services would not help.",
				fault, fault+5*minute, "cluster", "hv-cl2")),
	}
}

// left is a time below 14 days as Prometheus' humanizeDuration writes it.
func left(d time.Duration) string {
	return fmt.Sprintf("%dd %dh %dm %ds", d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60)
}

func ledgerNotWritten(from, until time.Duration) alert {
	return tells("HypervigilLedgerNotWritten", "critical", "The receiver "+receiverAt+" cannot write its ledger.",
		"What is not on disk is not decided: while this lasts, alerts are refused with 503 and nothing is done about any fault.",
		from, until, "instance", receiverAt).inRange()
}

func with(w *world, change func(w *world)) *world {
	change(w)
	return w
}

// TestEveryTellingAlertFiresWhenItsTimeHasCome evaluates as seldom as the group of these alerts says. The acting ones are
// there because some of these leave to them what they tell.
func TestEveryTellingAlertFiresWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	tellAll(t, slices.Concat(acting, telling), func(timing Timing) (time.Duration, []scenario) {
		return timing.TellEvaluation, tellScenarios(timing)
	})
}

// TestEveryAlertIsInAStory keeps the two lists of names whole.
func TestEveryAlertIsInAStory(t *testing.T) {
	t.Parallel()
	fires := map[string]bool{}
	timing, err := Standard.Timing()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Concat(scenarios(timing), tellScenarios(timing), stateScenarios(timing), missing()) {
		for _, a := range s.fires {
			fires[a.name] = true
		}
	}
	for _, g := range load(t, Standard).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if !fires[r.Alert] {
				t.Errorf("%s fires in no story", r.Alert)
			}
			list := slices.Concat(telling, standing)
			if strings.HasSuffix(g.Name, "-act") {
				list = acting
			}
			if !slices.Contains(list, r.Alert) {
				t.Errorf("%s of group %s is not watched in its stories", r.Alert, g.Name)
			}
		}
	}
}
