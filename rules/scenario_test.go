package rules

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// alert is one firing alert that a scenario expects, with all its labels and annotations.
type alert struct {
	name                string
	labels, annotations map[string]string
	from, until         time.Duration // until is the first evaluation that no longer has it; 0 is never
	// ranged says that it ends when the last sample leaves a range.
	ranged bool
}

// scenario is one story and every alert that fires in it. At each evaluation each of the watched names is checked, so
// that an alert which fires a moment early, late, too long or beside the point fails the test.
type scenario struct {
	name  string
	world *world
	end   time.Duration
	fires []alert
	watch []string // names checked; those of the acting alerts where empty
}

var acting = []string{"SQLServerDown", "SQLServerHung", "SQLServerInternalError", "SQLServerStarved", "SQLServerGuestDown", "SQLServerCutOff", "SQLServerHostDown"}

// after is the first evaluation at or after t.
func after(timing Timing, t time.Duration) time.Duration {
	return (t + timing.Evaluation - 1) / timing.Evaluation * timing.Evaluation
}

// windowFull is when SQL Server's own window has nothing good left in it, if the last good sample was one interval
// before the fault.
func windowFull(interval time.Duration) time.Duration { return SilentWindow(interval) - interval }

// The alerts, word for word. promtool compares every label and annotation.

func down(instance string, from, until time.Duration) alert {
	return alert{
		name: "SQLServerDown", from: from, until: until,
		labels: map[string]string{
			"alertname": "SQLServerDown", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": instance,
			"fault": "service", "severity": "critical", "hypervigil": "act",
		},
		annotations: map[string]string{
			"summary":     "SQL Server " + instance + " on SQL01 (hv-cl1) is down.",
			"description": "The guest answers and refuses the connection: nothing listens on the port of " + instance + ". The receiver looks whether the service stopped by itself or by somebody's will, and restarts it only in the first case and where the policy says act.",
			"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks/SQLServerDown.md",
		},
	}
}

func hung(window string, from, until time.Duration) alert {
	return alert{
		name: "SQLServerHung", from: from, until: until,
		labels: map[string]string{
			"alertname": "SQLServerHung", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "MSSQLSERVER",
			"fault": "hang", "severity": "critical", "hypervigil": "act",
		},
		annotations: map[string]string{
			"summary":     "SQL Server MSSQLSERVER on SQL01 (hv-cl1) accepts connections and logs nobody in.",
			"description": "Every probe of the last " + window + " was accepted and then left without an answer. The receiver waits for the policy's health_check_timeout and sees for itself before it restarts the service.",
			"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks/SQLServerHung.md",
		},
	}
}

func sick(sets string, from, until time.Duration) alert {
	return alert{
		name: "SQLServerInternalError", from: from, until: until,
		labels: map[string]string{
			"alertname": "SQLServerInternalError", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "MSSQLSERVER",
			"fault": "internal", "severity": "critical", "hypervigil": "act",
		},
		annotations: map[string]string{
			"summary":     "SQL Server MSSQLSERVER on SQL01 (hv-cl1) says that it is sick.",
			"description": sets + " sets of sp_server_diagnostics in a row called the component system, resource or query_processing an error: level 3, 4 or 5 of SQL Server's own failure conditions. It is told; the service is restarted only where the policy's internal_level says that it may be.",
			"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks/SQLServerInternalError.md",
		},
	}
}

func starved(window string, from, until time.Duration) alert {
	return alert{
		name: "SQLServerStarved", from: from, until: until,
		labels: map[string]string{
			"alertname": "SQLServerStarved", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "MSSQLSERVER",
			"fault": "resource", "severity": "warning", "hypervigil": "act",
		},
		annotations: map[string]string{
			"summary":     "SQL Server MSSQLSERVER on SQL01 (hv-cl1) is starved.",
			"description": "The host of SQL01, for 2m30s, or the machine itself, for " + window + ", has had no processor time or no memory left, and SQL Server suffers: it warns of its resources, or a login takes too long. A starved host is left to the cluster's own balancer first, and then to a live migration that the policy must name; what a machine has used up of its own is a person's to give.",
			"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks/SQLServerStarved.md",
		},
	}
}

func wholeVM(name, class string, from, until time.Duration, summary, description string) alert {
	return alert{
		name: name, from: from, until: until,
		labels: map[string]string{
			"alertname": name, "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "-",
			"fault": class, "severity": "critical", "hypervigil": "act",
		},
		annotations: map[string]string{
			"summary": summary, "description": description,
			"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks/" + name + ".md",
		},
	}
}

func guestDown(window string, from, until time.Duration) alert {
	return wholeVM(
		"SQLServerGuestDown", "guest", from, until,
		"The guest of SQL01 (hv-cl1) does not live: no heartbeat, and no SQL Server in it answers.",
		"For "+window+" the host that runs SQL01 has seen no heartbeat of its guest, and no SQL Server in it has answered. The receiver leaves it to the cluster's own heartbeat monitoring where that is on, and to an orderly restart if one is under way.",
	)
}

func cutOff(window string, from, until time.Duration) alert {
	return wholeVM(
		"SQLServerCutOff", "network", from, until,
		"SQL01 (hv-cl1) is cut off: its guest lives, and no SQL Server in it can be reached.",
		"The host that runs SQL01 sees the guest's heartbeat, and for "+window+" nothing has come back from any SQL Server in it. A switch, a network card or a firewall between us and the guest is the likely cause.",
	)
}

func hostDown(from, until time.Duration) alert {
	return wholeVM(
		"SQLServerHostDown", "host", from, until,
		"The host of SQL01 (hv-cl1) is gone by the word of the other nodes, or the cluster gave the machine up.",
		"No SQL Server in SQL01 answers, and the cluster calls the owner of its group down or isolated, or the group failed. Failing it over is the cluster's own business; the receiver waits for it and starts the group only if it stays failed.",
	)
}

// faultAt is when a scenario's fault begins: every target is scraped at that moment, and no window reaches back to
// before the first scrape.
func faultAt(timing Timing) time.Duration { return 3 * timing.Host }

// scenarios tells every story at one speed.
func scenarios(timing Timing) []scenario {
	var (
		fault      = faultAt(timing)
		moved      = fault + 3*timing.Host
		mended     = fault + 5*timing.Host
		end        = mended + 3*timing.Host
		refused    = during(fault, mended, string(dial.Refused), "")
		silent     = during(fault, mended, string(dial.TCPTimeout), "")
		loginHangs = during(fault, mended, string(dial.LoginTimeout), "")
		sqlWindow  = Duration(SilentWindow(timing.SQL))
		hostWindow = Duration(Window(timing.Host))
		keep       = Keep(timing.SQL)
		hostKeep   = Keep(timing.Host)
		hungFrom   = after(timing, fault+windowFull(timing.SQL))
		// A host's window of SQL Server's probes: its last good sample is one of SQL Server's own intervals old.
		longFrom = after(timing, fault+Window(timing.Host)-timing.SQL)
	)
	// silentVM makes every instance of SQL01 silent.
	silentVM := func(w *world, a at) *world {
		w.sql["SQL01/MSSQLSERVER"], w.sql["SQL01/PAYROLL"] = a, a
		return w
	}
	// diagnosed has a stream of diagnostics of one instance that answers.
	diagnosed := func(a at) *world {
		return with(healthy(), func(w *world) { w.errorSets = map[string]at{"SQL01/MSSQLSERVER": a} })
	}
	// pressed has HV1, SQL01 on it, and what an instance says of its resources: used, pressure, the machine's processors, what
	// it wants of its memory, the state. It is scraped from the first minute on, the host's counters once a minute.
	const calm = "0.2 0.6 0.1 0.5 clean"
	pressedFrom, mendedLate, endLate := 2*counters, 4*counters, 6*counters
	pressed := func(a at) *world {
		host, machine := []string{"cluster", "hv-cl1", "node", "HV1"}, []string{"cluster", "hv-cl1", "node", "HV1", "vm", "SQL01"}
		instance := []string{"cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "MSSQLSERVER", "component", "resource"}
		return with(healthy(), func(w *world) {
			asked := func(job, instance string, labels []string, every time.Duration, of func(f []string) scrape) {
				w.asked = append(w.asked, target{job, "hv-cl1/" + instance, labels, every, nil, func(t time.Duration) scrape {
					if t < counters {
						return nil
					}
					return of(strings.Fields(a(t)))
				}})
			}
			asked("hyperv_performance", "HV1", host, counters, func(f []string) scrape {
				return scrape{series("hyperv_host_cpu_run_ratio", host...): number(f[0]), series("hyperv_host_memory_pressure_ratio", host...): number(f[1])}
			})
			asked("hyperv_vms", "HV1", host, timing.Host, func(f []string) scrape {
				return scrape{series("hyperv_vm_cpu_ratio", machine...): number(f[2]), series("hyperv_vm_memory_demand_ratio", machine...): number(f[3])}
			})
			asked("mssql_diagnostics", "SQL01/MSSQLSERVER", instance[:6], timing.Host, func(f []string) scrape {
				s := scrape{}
				s.states("mssql_server_diagnostics_state", "state", []string{"clean", "warning", "error", "unknown"}, f[4], instance...)
				return s
			})
		})
	}
	deadGuest := func() *world {
		w := silentVM(healthy(), silent)
		w.vms["HV1/SQL01"] = during(fault, mended, "running lost_communication", "running ok")
		return w
	}
	deadHost := func() *world {
		w := silentVM(healthy(), silent)
		w.hosts["HV1"] = during(fault, mended, string(dial.TCPTimeout), "")
		w.nodes["HV1"] = during(fault, mended, "down", "up")
		return w
	}
	return []scenario{
		{name: "all is well", world: healthy(), end: end},

		// service
		{
			name:  "a service that died fires at the first refused probe and resolves at the first that answers",
			world: with(healthy(), func(w *world) { w.sql["SQL01/MSSQLSERVER"] = refused }),
			end:   end, fires: []alert{down("MSSQLSERVER", fault, mended)},
		},
		{
			name:  "each instance has an alert of its own",
			world: with(healthy(), func(w *world) { silentVM(w, refused) }),
			end:   end, fires: []alert{down("MSSQLSERVER", fault, mended), down("PAYROLL", fault, mended)},
		},
		{
			name: "one probe refused is enough: it is proof of life",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/PAYROLL"] = during(fault, fault+timing.SQL, string(dial.Refused), "")
			}),
			end: end, fires: []alert{down("PAYROLL", fault, fault+timing.SQL)},
		},
		{
			name: "the machine moved while its service was down: the alert stays the same one",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = refused
				w.owners["SQL01"] = during(moved, end+1, "HV3", "HV1")
				w.vms["HV1/SQL01"] = during(moved, end+1, "", "running ok")
				w.vms["HV3/SQL01"] = during(moved, end+1, "running ok", "")
			}),
			end: end, fires: []alert{down("MSSQLSERVER", fault, mended)},
		},
		{
			name: "the exporter is lost while a service is down: absence resolves the alert, and is no health",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = func(t time.Duration) string {
					if t >= moved {
						return lost
					}
					return refused(t)
				}
			}),
			end: end, fires: []alert{down("MSSQLSERVER", fault, moved)},
		},

		// hang
		{
			name:  "an instance that accepts and logs nobody in fires when no probe of the window got through",
			world: with(healthy(), func(w *world) { w.sql["SQL01/MSSQLSERVER"] = loginHangs }),
			end:   end, fires: []alert{hung(sqlWindow, hungFrom, mended+keep)},
		},
		{
			name: "under TDS 8.0 a hang shows in the handshake, and may change its face",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = func(t time.Duration) string {
					if loginHangs(t) != "" && t/timing.SQL%2 == 0 {
						return string(dial.TLSTimeout)
					}
					return loginHangs(t)
				}
			}),
			end: end, fires: []alert{hung(sqlWindow, hungFrom, mended+keep)},
		},
		{
			name: "every other login that goes through is no hang",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = func(t time.Duration) string {
					if t/timing.SQL%2 == 0 {
						return loginHangs(t)
					}
					return ""
				}
			}),
			end: end,
		},
		{
			name: "one slow login is no hang",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = during(fault, fault+timing.SQL, string(dial.LoginTimeout), "")
			}),
			end: end,
		},

		{
			name: "a probe that is the only one so far is no window",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = func(t time.Duration) string {
					switch {
					case t < fault:
						return lost
					case t < fault+timing.SQL:
						return string(dial.LoginTimeout)
					}
					return ""
				}
			}),
			end: end,
		},

		// internal
		{
			name: "an instance that calls itself sick fires at the third set in a row, which its answers do not veto",
			world: diagnosed(func(t time.Duration) string {
				switch {
				case t < fault || t >= mended:
					return "resource 0"
				case t < moved:
					return "resource 2"
				}
				return "resource 3"
			}), end: end, fires: []alert{sick("3", moved, mended+hostKeep)},
		},
		{
			name:  "system and query_processing count, each by itself",
			world: with(diagnosed(during(fault, mended, "query_processing 9", "system 0")), func(w *world) { w.sql["SQL02/MSSQLSERVER"] = always("") }),
			end:   end, fires: []alert{sick("9", fault, mended+hostKeep)},
		},
		{
			name:  "two sets in a row are not enough, however long they stand",
			world: diagnosed(during(fault, mended, "system 2", "system 0")), end: end,
		},
		{
			name:  "a slow storage is no failure condition, and events have none",
			world: diagnosed(during(fault, moved, "io_subsystem 9", "events 9")), end: end,
		},
		{
			name:  "where the last set is stale there is nothing to count",
			world: diagnosed(during(fault, mended, "", "system 0")), end: end,
		},
		{
			name: "an error before the exporter was lost ends with it",
			world: diagnosed(func(t time.Duration) string {
				switch {
				case t < fault:
					return "system 0"
				case t < moved:
					return "system 3"
				}
				return lost
			}), end: end, fires: []alert{sick("3", fault, moved+hostKeep)},
		},

		// resource
		{
			name:  "a SQL Server that warns of its resources on a host that is used up fires when the window shows nothing else",
			world: pressed(during(0, mendedLate, "0.95 0.6 0.1 0.5 warning", calm)), end: endLate,
			fires: []alert{starved(hostWindow, pressedFrom, mendedLate+hostKeep)},
		},
		{
			name:  "so does one whose host has no memory to give, and one in error",
			world: pressed(during(0, mendedLate, "0.2 1.1 0.1 0.5 error", calm)), end: endLate,
			fires: []alert{starved(hostWindow, pressedFrom, mendedLate+hostKeep)},
		},
		{
			name:  "so does one that has used up what is its own",
			world: pressed(during(0, mendedLate, "0.2 0.6 0.99 0.5 warning", calm)), end: endLate,
			fires: []alert{starved(hostWindow, counters+timing.Host, mendedLate+hostKeep)},
		},
		{
			name:  "and one that wants more memory than it has",
			world: pressed(during(0, mendedLate, "0.2 0.6 0.1 1.2 warning", calm)), end: endLate,
			fires: []alert{starved(hostWindow, counters+timing.Host, mendedLate+hostKeep)},
		},
		{
			name:  "a busy host whose SQL Server is well is none",
			world: pressed(during(0, mendedLate, "0.95 0.6 0.1 0.5 clean", calm)), end: endLate,
		},
		{
			name:  "a warning without pressure is none",
			world: pressed(during(0, mendedLate, "0.89 0.6 0.1 0.5 warning", calm)), end: endLate,
		},
		{
			name:  "pressure of another host is none",
			world: with(pressed(during(0, mendedLate, "0.95 0.6 0.1 0.5 warning", calm)), func(w *world) { w.owners["SQL01"] = always("HV3") }), end: endLate,
		},
		{
			name:  "one reading that shows pressure is none",
			world: pressed(during(0, 2*counters, "0.95 0.6 0.1 0.5 warning", calm)), end: endLate,
		},

		// guest
		{
			name:  "a dead guest fires when neither heartbeat nor answer was seen in the hosts' window",
			world: deadGuest(), end: end, fires: []alert{guestDown(hostWindow, longFrom, mended)},
		},
		{
			name:  "a guest that hangs accepts connections and says nothing; its instances hang with it",
			world: with(deadGuest(), func(w *world) { silentVM(w, loginHangs); w.sql["SQL01/PAYROLL"] = silent }),
			end:   end,
			fires: []alert{hung(sqlWindow, hungFrom, mended+keep), guestDown(hostWindow, longFrom, mended)},
		},
		{
			name:  "a lost heartbeat with an instance that answers is no dead guest",
			world: with(deadGuest(), func(w *world) { w.sql["SQL01/PAYROLL"] = always("") }), end: end,
		},
		{
			name:  "a lost heartbeat with an instance that refuses is a dead service in a living guest",
			world: with(deadGuest(), func(w *world) { w.sql["SQL01/PAYROLL"] = refused }),
			end:   end, fires: []alert{down("PAYROLL", fault, mended)},
		},
		{
			name:  "a machine that was turned off is no dead guest",
			world: with(deadGuest(), func(w *world) { w.vms["HV1/SQL01"] = during(fault, mended, "off absent", "running ok") }),
			end:   end,
		},
		{
			name: "a heartbeat lost every other time is not lost",
			world: with(deadGuest(), func(w *world) {
				w.vms["HV1/SQL01"] = func(t time.Duration) string {
					if t >= fault && t < mended && t/timing.Host%2 == 0 {
						return "running lost_communication"
					}
					return "running ok"
				}
				silentVM(w, during(fault, mended, string(dial.QueryTimeout), ""))
			}),
			end: end,
		},

		{
			name:  "a guest whose SQL Servers take the login and never answer the question is no better",
			world: with(deadGuest(), func(w *world) { silentVM(w, during(fault, mended, string(dial.QueryTimeout), "")) }),
			end:   end, fires: []alert{guestDown(hostWindow, longFrom, mended)},
		},
		{
			name: "the first word of a new owner is not enough, the second is",
			world: with(silentVM(healthy(), silent), func(w *world) {
				w.owners["SQL01"] = during(moved, end+1, "HV3", "HV1")
				w.vms["HV1/SQL01"] = during(moved, end+1, "", "running ok")
				w.vms["HV3/SQL01"] = during(moved, mended, "running no_contact", "")
			}),
			end:   end,
			fires: []alert{cutOff(hostWindow, longFrom, moved), guestDown(hostWindow, moved+timing.Host, mended)},
		},

		// network
		{
			name:  "a machine cut off fires when nothing came back in the hosts' window and its heartbeat is well",
			world: silentVM(healthy(), silent), end: end, fires: []alert{cutOff(hostWindow, longFrom, mended)},
		},
		{
			name: "a router's word and silence in turn are one silence",
			world: silentVM(healthy(), func(t time.Duration) string {
				if silent(t) != "" && t/timing.SQL%2 == 0 {
					return string(dial.Unreachable)
				}
				return silent(t)
			}), end: end, fires: []alert{cutOff(hostWindow, longFrom, mended)},
		},
		{
			name:  "one instance that answers proves the network",
			world: with(silentVM(healthy(), silent), func(w *world) { w.sql["SQL01/PAYROLL"] = always("") }), end: end,
		},

		// host
		{
			name:  "a node that the others call down fires as soon as the silence fills SQL Server's window",
			world: deadHost(), end: end, fires: []alert{hostDown(hungFrom, mended+keep)},
		},
		{
			name:  "to a node that is cut off with us everybody else is down",
			world: with(deadHost(), func(w *world) { w.votes = always("1") }), end: end,
		},
		{
			name:  "an isolated node is up by its state; its status says what it is",
			world: with(deadHost(), func(w *world) { w.nodes["HV1"] = during(fault, mended, "isolated", "up") }),
			end:   end, fires: []alert{hostDown(hungFrom, mended+keep)},
		},
		{
			name: "the alert ends soon after the group has a new owner, whatever SQL Server still does",
			world: with(deadHost(), func(w *world) {
				w.owners["SQL01"] = during(moved, end+1, "HV3", "HV1")
				w.vms["HV1/SQL01"] = during(moved, end+1, "", "running ok")
				w.vms["HV3/SQL01"] = during(moved, end+1, "starting absent", "")
			}),
			end: end, fires: []alert{hostDown(hungFrom, moved+keep)},
		},
		{
			name: "a group that the cluster gave up is the host's class, whoever owns it",
			world: with(silentVM(healthy(), silent), func(w *world) {
				w.vms["HV1/SQL01"] = during(fault, mended, "off absent", "running ok")
				w.groups["SQL01"] = during(fault, mended, "failed", "online")
			}),
			end: end, fires: []alert{hostDown(hungFrom, mended+keep)},
		},
		{
			name: "another node that is down is no fault of this machine",
			world: with(healthy(), func(w *world) {
				w.hosts["HV3"], w.nodes["HV3"] = silent, during(fault, mended, "down", "up")
			}),
			end: end,
		},
		{
			name:  "a node called down whose machine still answers is left alone",
			world: with(deadHost(), func(w *world) { silentVM(w, always("")) }), end: end,
		},

		{
			name:  "a paused owner is up",
			world: with(silentVM(healthy(), silent), func(w *world) { w.nodes["HV1"] = always("paused") }),
			end:   end, fires: []alert{cutOff(hostWindow, longFrom, mended)},
		},

		// Only the monitoring path is broken.
		{
			name: "Prometheus gets no answer of the exporter",
			world: with(healthy(), func(w *world) {
				gone := during(fault, mended, lost, "")
				silentVM(w, gone)
				w.sql["SQL02/MSSQLSERVER"], w.cluster = gone, gone
				for n := range w.hosts {
					w.hosts[n] = gone
				}
			}),
			end: end,
		},
		{
			name:  "the password expired",
			world: silentVM(healthy(), during(fault, mended, string(dial.Auth), "")), end: end,
		},
		{
			name: "the name cannot be resolved, the certificate has run out, a permission is missing, in turn",
			world: silentVM(healthy(), func(t time.Duration) string {
				if silent(t) == "" {
					return ""
				}
				return string([]dial.Reason{dial.DNS, dial.TLS, dial.Permission}[t/timing.SQL%3])
			}), end: end,
		},
		{
			name: "no host and no node can be asked: what they would have said is not made up",
			world: with(deadGuest(), func(w *world) {
				unseen := during(fault, mended, string(dial.Auth), "")
				w.cluster = unseen
				for n := range w.hosts {
					w.hosts[n] = unseen
				}
			}),
			end: end,
		},
		{
			name: "the exporter's own network is cut: nothing answers at all",
			world: with(silentVM(healthy(), silent), func(w *world) {
				w.sql["SQL02/MSSQLSERVER"], w.cluster = silent, silent
				for n := range w.hosts {
					w.hosts[n] = silent
				}
			}),
			end: end,
		},

		// What happens in a healthy cluster.
		{
			name: "one scrape lost beside one slow login is no hang",
			world: with(healthy(), func(w *world) {
				w.sql["SQL01/MSSQLSERVER"] = func(t time.Duration) string {
					switch t {
					case fault:
						return string(dial.LoginTimeout)
					case fault + timing.SQL:
						return lost
					}
					return ""
				}
			}),
			end: end,
		},
		{
			name: "Prometheus was restarted, and the first login after it is slow",
			world: with(healthy(), func(w *world) {
				w.off = func(t time.Duration) bool { return t >= fault && t < moved }
				w.sql["SQL01/MSSQLSERVER"] = during(fault, moved+timing.SQL, string(dial.LoginTimeout), "")
			}),
			end: end,
		},
		{
			name: "Prometheus was restarted while an instance hangs: two probes after it are enough again",
			world: with(healthy(), func(w *world) {
				w.off = func(t time.Duration) bool { return t >= fault && t < moved }
				w.sql["SQL01/MSSQLSERVER"] = loginHangs
			}),
			end: end, fires: []alert{hung(sqlWindow, moved+timing.SQL, mended+keep)},
		},
		{
			name: "a host is drained and restarted: its machine moves with one probe lost on the way",
			world: with(healthy(), func(w *world) {
				w.nodes["HV1"] = func(t time.Duration) string {
					switch {
					case t < fault:
						return "up"
					case t < moved+timing.Host || t >= mended:
						return "paused"
					}
					return "down"
				}
				w.hosts["HV1"] = during(moved+timing.Host, mended, string(dial.TCPTimeout), "")
				w.owners["SQL01"] = during(moved, end+1, "HV3", "HV1")
				w.vms["HV1/SQL01"] = during(moved, end+1, "", "running ok")
				w.vms["HV3/SQL01"] = func(t time.Duration) string {
					switch {
					case t < moved-timing.Host:
						return ""
					case t < moved:
						return "starting no_contact"
					}
					return "running ok"
				}
				silentVM(w, during(moved, moved+timing.SQL, string(dial.TCPTimeout), ""))
			}),
			end: end,
		},
		{
			// Twelve seconds, as the lab's backup-freeze; at the fast speed no longer than two of the hosts' intervals.
			name: "a backup freezes its disks: the question waits, and the heartbeat is missed once",
			world: with(silentVM(healthy(), during(fault, fault+min(12*time.Second, 2*timing.Host), string(dial.QueryTimeout), "")), func(w *world) {
				w.vms["HV1/SQL01"] = during(fault, fault+timing.Host, "running lost_communication", "running ok")
			}),
			end: end,
		},
		{
			name: "the guest restarts for an update, and its SQL Servers answer before the window is over",
			world: with(silentVM(healthy(), during(fault, fault+2*timing.Host, string(dial.TCPTimeout), "")), func(w *world) {
				w.vms["HV1/SQL01"] = during(fault, fault+2*timing.Host, "running no_contact", "running ok")
			}),
			end: end,
		},

		// Two hosts report the machine during a migration.
		{
			name: "the target of a migration sees no heartbeat yet",
			world: with(healthy(), func(w *world) {
				w.vms["HV3/SQL01"] = during(fault, mended, "starting no_contact", "")
			}),
			end: end,
		},
		{
			name: "the source of a migration sees no heartbeat any more and the machine answers elsewhere",
			world: with(healthy(), func(w *world) {
				w.owners["SQL01"] = during(fault, end+1, "HV3", "HV1")
				w.vms["HV1/SQL01"] = during(fault, mended, "running lost_communication", "running ok")
				w.vms["HV3/SQL01"] = during(fault, end+1, "running ok", "")
			}),
			end: end,
		},
		{
			name: "two hosts report a machine that cannot be reached: the heartbeat of the one that does not own it is no evidence of a dead guest",
			world: with(silentVM(healthy(), silent), func(w *world) {
				w.vms["HV3/SQL01"] = during(fault, mended, "running lost_communication", "")
			}),
			end: end, fires: []alert{cutOff(hostWindow, longFrom, mended)},
		},
		{
			name: "two hosts report a dead guest: the good heartbeat of the one that does not own it is no evidence of life",
			world: with(deadGuest(), func(w *world) {
				w.vms["HV3/SQL01"] = during(fault, mended, "running ok", "")
			}),
			end: end, fires: []alert{guestDown(hostWindow, longFrom, mended)},
		},
	}
}

func TestEveryStoryFiresItsAlertsAndNoOthers(t *testing.T) {
	t.Parallel()
	tellAll(t, acting, func(timing Timing) (time.Duration, []scenario) { return timing.Evaluation, scenarios(timing) })
}

// tellAll has each release judge the stories at each speed, by the alerts that are named and all recordings of theirs,
// evaluated as often as stories says.
func tellAll(t *testing.T, alerts []string, stories func(Timing) (every time.Duration, all []scenario)) {
	t.Helper()
	for _, r := range releases() {
		for _, speed := range Speeds() {
			timing, err := speed.Timing()
			if err != nil {
				t.Fatal(err)
			}
			t.Run(r.name+"/"+speed.String(), func(t *testing.T) {
				t.Parallel()
				file := only(t, speed, alerts)
				every, all := stories(timing)
				timing.Evaluation = every
				play(t, r, file, timing, all)
			})
		}
	}
}

// The parts of promtool's file of unit tests (prometheus.io, "Unit testing for rules").
type (
	unitTests struct {
		RuleFiles          []string   `yaml:"rule_files"`
		EvaluationInterval string     `yaml:"evaluation_interval"`
		Tests              []unitTest `yaml:"tests"`
	}
	unitTest struct {
		Name     string  `yaml:"name"`
		Interval string  `yaml:"interval"`
		Series   []input `yaml:"input_series"`
		Checks   []check `yaml:"alert_rule_test"`
	}
	input struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	check struct {
		EvalTime string     `yaml:"eval_time"`
		Name     string     `yaml:"alertname"`
		Alerts   []expected `yaml:"exp_alerts"`
	}
	expected struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
)

// play writes the stories as unit tests of promtool, which judges the rules of a file by them.
func play(t *testing.T, r release, rules string, timing Timing, stories []scenario) {
	t.Helper()
	tool := r.promtool(t)
	tests := unitTests{RuleFiles: []string{rules}, EvaluationInterval: Duration(timing.Evaluation)}
	for _, s := range stories {
		tests.Tests = append(tests.Tests, s.unitTest(timing, r.closed))
	}
	tests.run(t, tool, fmt.Sprintf("the faults begin at %v", faultAt(timing)))
}

// run lets promtool judge the tests; context is what a reader of a failure wants to know.
func (tests unitTests) run(t *testing.T, tool, context string) {
	t.Helper()
	judge(t, tool, tests, context)
}

// judge writes a file of unit tests and lets promtool judge it.
func judge(t *testing.T, tool string, tests any, context string) {
	t.Helper()
	out, err := yaml.Marshal(tests)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stories.yml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := exec.CommandContext(t.Context(), tool, "test", "rules", file).CombinedOutput()
	if err != nil {
		t.Errorf("%s\n%s", context, excerpt(string(result)))
	}
}

func (s scenario) unitTest(timing Timing, closed bool) unitTest {
	u := unitTest{Name: s.name, Interval: Duration(timing.SQL)}
	sampled := s.world.series(timing, timing.SQL, s.end)
	for _, name := range slices.Sorted(maps.Keys(sampled)) {
		u.Series = append(u.Series, input{name, strings.Join(sampled[name], " ")})
	}
	watch, every := s.watch, timing.TellEvaluation
	if len(watch) == 0 {
		watch, every = acting, timing.Evaluation
	}
	for at := time.Duration(0); at <= s.end; at += every {
		for _, name := range watch {
			c := check{EvalTime: Duration(at), Name: name}
			for _, a := range s.fires {
				until := a.until
				if closed && a.ranged {
					until += every // the sample at the very beginning of the range is still in it
				}
				if a.name == name && at >= a.from && (until == 0 || at < until) {
					labels := maps.Clone(a.labels)
					delete(labels, "alertname") // promtool adds it itself
					c.Alerts = append(c.Alerts, expected{labels, a.annotations})
				}
			}
			u.Checks = append(u.Checks, c)
		}
	}
	return u
}

// excerpt keeps what promtool said first; a story that is wrong is wrong at every evaluation.
func excerpt(s string) string {
	const most = 4000
	if len(s) <= most {
		return s
	}
	return s[:most] + fmt.Sprintf("\n… and %d bytes more", len(s)-most)
}
