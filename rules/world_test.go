package rules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// at is something that changes over a scenario's time.
type at func(t time.Duration) string

func always(s string) at { return func(time.Duration) string { return s } }

// during is s from begin until end, and before and after it what was given as usual.
func during(begin, end time.Duration, s, usual string) at {
	return func(t time.Duration) string {
		if t >= begin && t < end {
			return s
		}
		return usual
	}
}

// What a scrape may come to besides an answer of the exporter: Prometheus got none.
const lost = "lost"

// world is what the exporter would see of one cluster, as functions of time. Its series are those of the exporter:
// whole state sets, a target's labels on every series, nothing at all about what could not be seen.
type world struct {
	// sql holds, by "vm/instance", why a probe of it fails: a dial.Reason, empty where SQL Server answers, or lost.
	sql map[string]at
	// errorSets holds, by "vm/instance", how many sets in a row call the component resource an error; nothing where the last
	// set is stale.
	errorSets map[string]at
	// expiry holds, by "vm/instance", when the certificate ends, in seconds since the story's beginning.
	expiry map[string]at
	// hosts holds, by node, why its probe fails, or lost.
	hosts map[string]at
	// vms holds, by "node/vm", what the host says: "state heartbeat", or nothing where it does not know the machine.
	vms map[string]at
	// nodes holds the state of each node by the cluster's view: up, down, isolated.
	nodes map[string]at
	// owners and groups hold the owner and the state of each machine's group.
	owners, groups map[string]at
	// cluster is why no node told its view, or lost; nil where nobody asks.
	cluster at
	// votes are those that the view shows as present, of two that are needed; nil: all three nodes'.
	votes at
	// off says when Prometheus itself does not run; nil: never. Nothing is written then, no staleness marker either.
	off func(t time.Duration) bool
	// forgotten says when service discovery has no SQL Server any more; nil: never.
	forgotten func(t time.Duration) bool
	// asked are targets of a story's own.
	asked []target
	// own holds what our own programs say of themselves, by "job instance"; nothing where they cannot be scraped.
	own map[string]func(t time.Duration) scrape
}

// healthy is a cluster of three nodes in which all is well: SQL01 with two instances on HV1, SQL02 on HV2.
func healthy() *world {
	return &world{
		sql: map[string]at{
			"SQL01/MSSQLSERVER": always(""), "SQL01/PAYROLL": always(""), "SQL02/MSSQLSERVER": always(""),
		},
		hosts:   map[string]at{"HV1": always(""), "HV2": always(""), "HV3": always("")},
		vms:     map[string]at{"HV1/SQL01": always("running ok"), "HV2/SQL02": always("running ok")},
		nodes:   map[string]at{"HV1": always("up"), "HV2": always("up"), "HV3": always("up")},
		owners:  map[string]at{"SQL01": always("HV1"), "SQL02": always("HV2")},
		groups:  map[string]at{"SQL01": always("online"), "SQL02": always("online")},
		cluster: always(""),
	}
}

// scrape is one answer to Prometheus: samples by series. A nil one means that the scrape was lost.
type scrape map[string]float64

func (s scrape) states(metric, label string, states []string, present string, labels ...string) {
	for _, state := range states {
		v := 0.0
		if state == present {
			v = 1
		}
		s[series(metric, append(labels, label, state)...)] = v
	}
}

func (s scrape) probe(collector, reason string, labels ...string) {
	reasons := make([]string, 0, len(dial.Reasons()))
	for _, r := range dial.Reasons() {
		reasons = append(reasons, string(r))
	}
	success := 0.0
	if reason == "" {
		success = 1
	}
	s[series("probe_success", labels...)] = success
	s[series("probe_collector_success", append(labels, "collector", collector)...)] = success
	s.states("probe_failure_reason", "reason", reasons, reason, append(labels, "collector", collector)...)
}

// series writes a series as promtool reads it.
func series(metric string, labels ...string) string {
	pairs := make([]string, 0, len(labels)/2)
	for i := 0; i < len(labels); i += 2 {
		if labels[i+1] != "" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
		}
	}
	slices.Sort(pairs)
	return metric + "{" + strings.Join(pairs, ",") + "}"
}

// target is one thing that Prometheus scrapes.
type target struct {
	job, instance string
	labels        []string // those that service discovery gives it
	every         time.Duration
	forgotten     func(t time.Duration) bool // when service discovery does not know it; nil: never
	scrape        func(t time.Duration) scrape
}

func (w *world) targets(timing Timing) []target {
	var all []target
	for _, name := range slices.Sorted(maps.Keys(w.sql)) {
		vm, instance, _ := strings.Cut(name, "/")
		discovered := []string{"cluster", "hv-cl1", "vm", vm, "sql_instance", instance}
		all = append(all, target{"mssql_availability", "hv-cl1/" + name, discovered, timing.SQL, w.forgotten, func(t time.Duration) scrape {
			reason := w.sql[name](t)
			if reason == lost {
				return nil
			}
			s := scrape{}
			labels := []string{"cluster", "hv-cl1", "vm", vm, "sql_instance", instance}
			s.probe("availability", reason, labels...)
			if reason == "" {
				s[series("mssql_up", labels...)] = 1
			}
			if ends := w.expiry[name]; ends != nil {
				s[series("probe_tls_earliest_cert_expiry_timestamp_seconds", labels...)] = number(ends(t))
			}
			return s
		}})
		said := w.errorSets[name]
		if said == nil {
			continue
		}
		all = append(all, target{"mssql_diagnostics", "hv-cl1/" + name, discovered, timing.Host, w.forgotten, func(t time.Duration) scrape {
			s := scrape{}
			labels := []string{"cluster", "hv-cl1", "vm", vm, "sql_instance", instance}
			sets := said(t)
			if sets == lost {
				return nil
			}
			s.probe("diagnostics", "", labels...)
			if sets == "" {
				return s
			}
			for _, component := range []string{"system", "resource", "query_processing", "io_subsystem", "events"} {
				s[series("mssql_server_diagnostics_error_sets", append(labels, "component", component)...)] = 0
			}
			component, n, _ := strings.Cut(sets, " ")
			s[series("mssql_server_diagnostics_error_sets", append(labels, "component", component)...)] = number(n)
			return s
		}})
	}
	for _, node := range slices.Sorted(maps.Keys(w.hosts)) {
		all = append(all, target{"hyperv", "hv-cl1/" + node, []string{"cluster", "hv-cl1", "node", node}, timing.Host, nil, func(t time.Duration) scrape { return w.host(node, t) }})
	}
	if w.cluster != nil {
		all = append(all, target{"wsfc", "hv-cl1", []string{"cluster", "hv-cl1"}, timing.Host, nil, w.view})
	}
	all = append(all, w.asked...)
	for _, name := range slices.Sorted(maps.Keys(w.own)) {
		job, instance, _ := strings.Cut(name, " ")
		all = append(all, target{job, instance, nil, timing.Self, nil, w.own[name]})
	}
	return all
}

// number is a number of the story's own.
func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) host(node string, t time.Duration) scrape {
	reason := w.hosts[node](t)
	if reason == lost {
		return nil
	}
	s := scrape{}
	labels := []string{"cluster", "hv-cl1", "node", node}
	s.probe("vms", reason, labels...)
	if reason != "" {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(w.vms)) {
		said := w.vms[name](t)
		on, vm, _ := strings.Cut(name, "/")
		if on != node || said == "" {
			continue
		}
		state, heartbeat, _ := strings.Cut(said, " ")
		s.states("hyperv_vm_state", "state", []string{"running", "off", "saved", "paused", "starting", "critical"}, state, append(labels, "vm", vm)...)
		s.states("hyperv_vm_heartbeat", "state", []string{"ok", "error", "no_contact", "lost_communication", "absent", "other"}, heartbeat, append(labels, "vm", vm)...)
	}
	return s
}

func (w *world) view(t time.Duration) scrape {
	reason := w.cluster(t)
	if reason == lost {
		return nil
	}
	s := scrape{}
	labels := []string{"cluster", "hv-cl1"}
	s.probe("cluster", reason, labels...)
	if reason != "" {
		return s
	}
	for _, node := range slices.Sorted(maps.Keys(w.nodes)) {
		state, flag := w.nodes[node](t), ""
		if state == "isolated" {
			// An isolated node still counts as up by its state (CLUSTER_NODE_STATE); only the status says so.
			state, flag = "up", "isolated"
		}
		s.states("wsfc_node_state", "state", []string{"up", "down", "paused", "joining", "unknown", "other"}, state, append(labels, "node", node)...)
		s.states("wsfc_node_status_flag", "flag", []string{"isolated", "quarantined", "drain_in_progress"}, flag, append(labels, "node", node)...)
	}
	for _, vm := range slices.Sorted(maps.Keys(w.owners)) {
		group := append(labels, "vm", vm, "group", "Group of "+vm)
		s[series("wsfc_group_owner_info", append(group, "node", w.owners[vm](t))...)] = 1
		s.states("wsfc_group_state", "state", []string{"online", "offline", "failed", "partial_online", "pending"}, w.groups[vm](t), group...)
	}
	votes := "3"
	if w.votes != nil {
		votes = w.votes(t)
	}
	s[series("wsfc_quorum_votes_current", labels...)], s[series("wsfc_quorum_votes_needed", labels...)] = number(votes), 2
	// Groups that are not in the inventory have no vm.
	s[series("wsfc_group_owner_info", append(labels, "group", "Cluster Group", "node", "HV1")...)] = 1
	return s
}

// series samples the world as Prometheus would until the end: at each target's own interval, up beside the samples, a
// stale marker where a series was in the last scrape and is not in this one.
func (w *world) series(timing Timing, step, end time.Duration) map[string][]string {
	steps := int(end/step) + 1
	all := map[string][]string{}
	put := func(name string, i int, value string) {
		values := all[name]
		if values == nil {
			values = slices.Repeat([]string{"_"}, steps)
			all[name] = values
		}
		values[i] = value
	}
	for _, target := range w.targets(timing) {
		labelled := func(name string) string {
			return strings.Replace(strings.Replace(name, "{", fmt.Sprintf("{instance=%q,job=%q,", target.instance, target.job), 1), ",}", "}", 1)
		}
		var before scrape
		known := false
		for i := 0; i < steps; i += int(target.every / step) {
			t := time.Duration(i) * step
			if w.off != nil && w.off(t) {
				continue
			}
			forgotten := target.forgotten != nil && target.forgotten(t)
			var now scrape
			if !forgotten {
				now = target.scrape(t)
			}
			for name := range before {
				if _, ok := now[name]; !ok {
					put(labelled(name), i, "stale")
				}
			}
			for name, v := range now {
				put(labelled(name), i, fmt.Sprint(v))
			}
			up := "1"
			switch {
			case forgotten && known:
				up = "stale"
			case forgotten:
				up = "_"
			case now == nil:
				up = "0"
			}
			known = !forgotten
			put(series("up", append([]string{"instance", target.instance, "job", target.job}, target.labels...)...), i, up)
			before = now
		}
	}
	return all
}
