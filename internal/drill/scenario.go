package drill

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Scenario is one fault, what is done around it, and to whom: a file that a reader can copy and change.
type Scenario struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title"`
	// Class is the class of fault that it should be taken for; empty where nothing is wrong with SQL Server.
	Class string `yaml:"class"`
	// Paper is its row in the white paper's last table ("hardware: CPU"); empty where that has none.
	Paper  string `yaml:"paper"`
	Victim Victim `yaml:"victim"`
	World  World  `yaml:"world"`
	// Policy is one of Policies; empty: the default one.
	Policy string `yaml:"policy"`
	Steps  []Step `yaml:"steps"` // in the order of At
	// Expect are the scenario's own rows; those of the shipped scenarios stand in expected.yml.
	Expect []Row `yaml:"expect"`

	File string `yaml:"-"` // for messages
}

// Victim is whose SQL Server a scenario is about.
type Victim struct {
	VM       string `yaml:"vm"`
	Instance string `yaml:"instance"` // empty: the first one
}

// World is in what the cluster differs from the lab's own; zeros change nothing.
type World struct {
	Nodes           int `yaml:"nodes"`            // hosts
	VirtualMachines int `yaml:"virtual_machines"` // with SQL Server
}

// Step is one thing that is done to the world.
type Step struct {
	At        time.Duration `yaml:"at"` // since the beginning of the trial
	Fault     string        `yaml:"fault"`
	VM        string        `yaml:"vm"`        // empty: the victim's; All: every one with SQL Server
	Node      string        `yaml:"node"`      // of a fault of a host; empty: the owner
	Instance  string        `yaml:"instance"`  // empty: the victim's, or the first one of another VM
	Component string        `yaml:"component"` // what the fault is about, where it can be about several things
	For       time.Duration `yaml:"for"`       // mended after; 0: never
	// Trial marks the step that seconds count from; where none is marked it is the last one.
	Trial string `yaml:"trial"`
}

// All is a Step's VM that means every virtual machine with SQL Server.
const All = "all"

// BeginsHere is a Step's Trial that says that the trial's clock starts with it.
const BeginsHere = "begins"

// The faults of our own chain. What watches stops, and comes back after Step.For.
const (
	ExporterDown     = "exporter-down"
	PrometheusDown   = "prometheus-down"
	AlertmanagerDown = "alertmanager-down"
	ReceiverDown     = "receiver-down"
)

// ChainFaults lists the faults of our own chain.
func ChainFaults() []string {
	return []string{ExporterDown, PrometheusDown, AlertmanagerDown, ReceiverDown}
}

// The policies that a scenario may name.
const (
	DefaultPolicy       = "default"         // mode act, and nothing else
	HealCleanStopPolicy = "heal-clean-stop" // heals what somebody stopped on purpose
	WhitePaperPolicy    = "white-paper"     // the white paper's own remedy: quick migration and restart
	MovesPolicy         = "moves"           // names the moves that are only proposed otherwise
	InternalPolicy      = "internal"        // acts on what SQL Server calls an error of its own, as FailureConditionLevel 3 does
)

// InternalLevel is that of InternalPolicy: the component system.
const InternalLevel = 3

// Policies lists the policies that a scenario may name, each as the fields of a policy in hypervigil.yml.
func Policies() map[string]string {
	return map[string]string{
		DefaultPolicy:       "mode: act",
		HealCleanStopPolicy: "mode: act, clean_stop: {heal_after: 5s}",
		WhitePaperPolicy:    "mode: act, rungs: {white_paper: act}, ladders: {service: [white_paper]}",
		MovesPolicy:         "mode: act, rungs: {live_migrate: act}",
		InternalPolicy:      fmt.Sprintf("mode: act, internal_level: %d", InternalLevel),
	}
}

// shipped are the scenarios that come with the program.
//
//go:embed scenarios/*.yml
var shipped embed.FS

// Scenarios are the scenarios that come with the program, by name.
func Scenarios() ([]Scenario, error) {
	files, err := shipped.ReadDir("scenarios")
	if err != nil {
		return nil, err
	}
	var list []Scenario
	for _, f := range files {
		name := path.Join("scenarios", f.Name())
		b, err := shipped.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := ParseScenario(name, b)
		if err != nil {
			return nil, err
		}
		if want := s.Name + ".yml"; f.Name() != want {
			return nil, fmt.Errorf("%s: scenario %s stands in a file of another name; call it %s", name, s.Name, want)
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// ParseScenario reads a scenario; file is for messages. The error names file, line, field and what is allowed.
// Which faults there are it does not know: whoever plays it does.
func ParseScenario(file string, data []byte) (Scenario, error) {
	s := Scenario{File: file}
	err := config.Decode(file, data, &s, s.check)
	if err != nil {
		return Scenario{}, err
	}
	s.Policy = cmp.Or(s.Policy, DefaultPolicy)
	for n := range s.Expect {
		s.Expect[n].complete(s.Name)
	}
	return s, nil
}

func (s *Scenario) check(report config.Report) {
	required(report, "", map[string]string{"name": s.Name, "title": s.Title})
	required(report, "victim", map[string]string{"vm": s.Victim.VM})
	if s.Name != "" && strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		report("name", "%q has to be of small letters, digits and hyphens", s.Name)
	}
	classes := []string{""}
	for _, f := range evidence.Faults() {
		classes = append(classes, string(f))
	}
	oneOf(report, "class", s.Class, classes)
	policies := []string{""}
	for name := range Policies() {
		policies = append(policies, name)
	}
	slices.Sort(policies)
	oneOf(report, "policy", s.Policy, policies)
	between(report, "world.nodes", s.World.Nodes, 2, 64)
	between(report, "world.virtual_machines", s.World.VirtualMachines, 1, 200)
	if len(s.Steps) == 0 {
		report("steps", "at least one is needed")
	}
	for n, step := range s.Steps {
		at := fmt.Sprintf("steps[%d]", n)
		required(report, at, map[string]string{"fault": step.Fault})
		if step.At < 0 || step.For < 0 {
			report(at, "at and for are not negative")
		}
		if n > 0 && step.At < s.Steps[n-1].At {
			report(at+".at", "%s is before the step above, at %s; write the steps in their order", step.At, s.Steps[n-1].At)
		}
		oneOf(report, at+".trial", step.Trial, []string{"", BeginsHere})
	}
	for n := range s.Expect {
		s.Expect[n].check(report, fmt.Sprintf("expect[%d]", n))
	}
}

// Begins is the step that a trial's seconds count from.
func (s *Scenario) Begins() Step {
	for _, step := range s.Steps {
		if step.Trial == BeginsHere {
			return step
		}
	}
	return s.Steps[len(s.Steps)-1]
}

func required(report config.Report, at string, fields map[string]string) {
	for _, name := range slices.Sorted(keys(fields)) {
		if fields[name] == "" {
			if at != "" {
				name = at + "." + name
			}
			report(name, "is needed")
		}
	}
}

func between(report config.Report, at string, n, least, most int) {
	if n != 0 && (n < least || n > most) {
		report(at, "%d is not allowed; use %d to %d", n, least, most)
	}
}

// oneOf reports a value that is not among those allowed; an empty word among them means that the field may be absent.
func oneOf(report config.Report, at, value string, allowed []string) {
	if slices.Contains(allowed, value) {
		return
	}
	words := slices.DeleteFunc(slices.Clone(allowed), func(w string) bool { return w == "" })
	report(at, "%q is not allowed; use one of %s", value, strings.Join(words, ", "))
}
