package drill

import (
	_ "embed"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// The white paper's three configurations; the host cluster with the virtual machine's heartbeat watched and not.
const (
	GuestCluster         = "guest-cluster"
	HostCluster          = "host-cluster"
	HostClusterHeartbeat = "host-cluster-heartbeat"
	MonitoredHostCluster = Configuration
)

// Configurations lists them in the white paper's order.
func Configurations() []string {
	return []string{GuestCluster, HostCluster, HostClusterHeartbeat, MonitoredHostCluster}
}

// The eras: what a failover cluster does by itself changed since the white paper.
const (
	Era2008R2 = "2008r2"
	EraToday  = "today"
)

// Eras lists them.
func Eras() []string { return []string{Era2008R2, EraToday} }

// Who acts first.
const (
	ByCluster    = "cluster"
	ByHypervigil = "hypervigil"
	ByItself     = "itself" // Windows inside the guest, or SQL Server
	ByPerson     = "person"
	ByNobody     = "nobody"
)

// The outcomes of a trial where the receiver is not there, or has nothing to do. The others are incident.Phases at which
// an incident ends: healed, refused, told, escalated, proposed.
const (
	Down    = "down"    // SQL Server is down at the end, and nobody does anything about that
	NoFault = "nothing" // SQL Server was never down, and nobody had to act
)

// Outcomes lists every word that an outcome may be.
func Outcomes() []string {
	return []string{
		string(incident.Healed), string(incident.Refused), string(incident.Told), string(incident.Escalated), string(incident.Proposed), Down, NoFault,
	}
}

// Kinds of commands, as Row.Commands counts them.
const (
	KindStartService = "start_service"
	KindStopService  = "stop_service"
	KindTerminate    = "terminate"
	KindReset        = "reset"
	KindInterrupt    = "interrupt"
	KindReboot       = "reboot"
	KindMove         = "move"
	KindOnline       = "bring_online"
	KindCancel       = "cancel"
)

// KindOf is the kind of a method as the lab's counters name it; the method itself where it is of no kind.
func KindOf(method string) string {
	kinds := map[string]string{
		"Win32_Service.StartService": KindStartService, "Win32_Service.StopService": KindStopService, "Win32_Process.Terminate": KindTerminate,
		"Msvm_ComputerSystem.RequestStateChange": KindReset, "Msvm_ComputerSystem.InjectNonMaskableInterrupt": KindInterrupt,
		"Msvm_ShutdownComponent.InitiateReboot": KindReboot, "MSCluster_ResourceGroup.MoveToNewNodeParams": KindMove,
		"MSCluster_ResourceGroup.BringOnline": KindOnline, "MSCluster_ResourceGroup.CancelOperation": KindCancel,
	}
	if k, ok := kinds[method]; ok {
		return k
	}
	return method
}

// Row is what is expected of one fault in some configurations and eras. It is a decision of ours, from the documented
// behaviour of the cluster and from the design, and not a record of what happened once.
type Row struct {
	Fault          string   `yaml:"-"`
	Configurations []string `yaml:"configurations"`
	Eras           []string `yaml:"eras"` // none: both
	Acts           string   `yaml:"acts"` // first
	// Failovers of the victim: by the cluster of its own, and commanded by us.
	FailoversByCluster int            `yaml:"failovers_by_cluster"`
	FailoversByUs      int            `yaml:"failovers_by_us"`
	Commands           map[string]int `yaml:"commands"` // by kind; none: none is sent
	Outcome            string         `yaml:"outcome"`
	// Bound is how long it may take with the white paper's durations: until SQL Server answers again where the outcome is
	// healed, until the incident has come to its end otherwise. 0 where nothing happens.
	Bound   time.Duration `yaml:"bound"`
	Paper   string        `yaml:"paper"` // the white paper's cell: o, △ or x; of the monitored host cluster two, by the cluster and by the monitoring
	Because string        `yaml:"because"`
}

// Expected is one row for one configuration and era.
type Expected struct {
	Fault, Configuration, Era string
	Row
}

//go:embed expected.yml
var expectedYML []byte

// Table is what is expected of every shipped scenario. The rows stand in the file's order, each for every configuration
// and era that it names.
func Table() ([]Expected, error) { return ParseTable("expected.yml", expectedYML) }

// ParseTable reads a table; file is for messages.
func ParseTable(file string, data []byte) ([]Expected, error) {
	var t struct {
		Faults []struct {
			Fault string `yaml:"fault"`
			Rows  []Row  `yaml:"rows"`
		} `yaml:"faults"`
	}
	seen := map[string]bool{}
	err := config.Decode(file, data, &t, func(report config.Report) {
		for n, f := range t.Faults {
			at := fmt.Sprintf("faults[%d]", n)
			required(report, at, map[string]string{"fault": f.Fault})
			for m := range f.Rows {
				row, at := &f.Rows[m], fmt.Sprintf("%s.rows[%d]", at, m)
				row.check(report, at)
				row.complete(f.Fault)
				for _, e := range row.each() {
					key := e.Fault + " " + e.Configuration + " " + e.Era
					if seen[key] {
						report(at, "%s in %s, era %s, has a row already", e.Fault, e.Configuration, e.Era)
					}
					seen[key] = true
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var list []Expected
	for _, f := range t.Faults {
		for n := range f.Rows {
			list = append(list, f.Rows[n].each()...)
		}
	}
	return list, nil
}

func (r *Row) complete(fault string) {
	r.Fault = fault
	if len(r.Eras) == 0 {
		r.Eras = Eras()
	}
}

// each is the row once for each of its configurations and eras.
func (r *Row) each() []Expected {
	var list []Expected
	for _, c := range r.Configurations {
		for _, e := range r.Eras {
			list = append(list, Expected{Fault: r.Fault, Configuration: c, Era: e, Row: *r})
		}
	}
	return list
}

// Expectations are the scenario's own rows, one for each configuration and era.
func (s *Scenario) Expectations() []Expected {
	var list []Expected
	for n := range s.Expect {
		list = append(list, s.Expect[n].each()...)
	}
	return list
}

func (r *Row) check(report config.Report, at string) {
	if len(r.Configurations) == 0 {
		report(at+".configurations", "at least one is needed")
	}
	for _, c := range r.Configurations {
		oneOf(report, at+".configurations", c, Configurations())
	}
	for _, e := range r.Eras {
		oneOf(report, at+".eras", e, Eras())
	}
	oneOf(report, at+".acts", r.Acts, []string{ByCluster, ByHypervigil, ByItself, ByPerson, ByNobody})
	oneOf(report, at+".outcome", r.Outcome, Outcomes())
	between(report, at+".failovers_by_cluster", r.FailoversByCluster, 0, 1)
	between(report, at+".failovers_by_us", r.FailoversByUs, 0, 1)
	if r.FailoversByCluster+r.FailoversByUs > 1 {
		report(at, "two failovers for one fault are never expected")
	}
	kinds := []string{KindStartService, KindStopService, KindTerminate, KindReset, KindInterrupt, KindReboot, KindMove, KindOnline, KindCancel}
	for _, k := range slices.Sorted(keys(r.Commands)) {
		oneOf(report, at+".commands", k, kinds)
		between(report, at+".commands."+k, r.Commands[k], 1, 9)
	}
	if r.Bound < 0 || r.Bound == 0 && r.Outcome == string(incident.Healed) {
		report(at+".bound", "how long it may take is needed")
	}
	required(report, at, map[string]string{"because": r.Because})
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
