package incident

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/audit"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// State is all that Step knows. It is a value: Step never changes what it was given, so that a driver may keep,
// compare and replay states. Make one with New or Restore.
type State struct {
	Config   *config.Config
	Started  time.Time
	Clusters map[string]Cluster
	VMs      VMs
	// Incidents holds the open ones and those closed lately, within receiver.retention.
	Incidents Incidents
	Pauses    map[string]guard.Pause
	// Heard is when Watchdog last came in this life of the receiver; Silent says that it stays away, and that this was told
	// (G29).
	Heard  time.Time
	Silent bool
	// Audit is where the record of decisions stands, Epoch the fencing token of the writer, which every entry and every
	// action carries.
	Audit audit.Chain
	Epoch uint64
	// Asks numbers the reads, so that an answer that comes late is known for what it is.
	Asks uint64
	wake time.Time // the newest Wake asked for
	// proofs are the virtual machines whose binding is to be proven again, senses those that a background look is due of, and
	// rehearsals those that are to be rehearsed, in the order of when.
	proofs, senses, rehearsals tree[visit, none]
	// inventoried are the virtual machines of Config, and groups those of each cluster group. Both are made with a
	// configuration and never changed.
	inventoried map[evidence.VM]*config.VirtualMachine
	groups      map[group][]evidence.VM
}

// group is a cluster group's full name.
type group struct{ cluster, name string }

// Cluster is what is known of one cluster.
type Cluster struct {
	Samples   int       `json:"-"` // since the start of this process
	Sampling  bool      `json:"-"`
	SampledAt time.Time `json:"-"` // of this process: its clock may have been set since
	// Lab is the newest word on whether every node says it is the lab.
	Lab  evidence.Reading[bool] `json:"-"`
	Info cluster.Info           `json:"info"`
	// Owners is each group's owner history, oldest first, bounded.
	Owners map[string][]guard.Ownership `json:"owners"`
	// Brake is when G17 last saw a storm.
	Brake time.Time `json:"brake,omitzero"`
}

// The bounds of memory.
const (
	keepRounds     = 6
	keepTimeline   = 400
	keepOwnerships = 32
	keepPast       = 24 * time.Hour
)

// New is the state of a receiver that has just started with an empty ledger.
func New(cfg *config.Config, now time.Time) State {
	s := State{
		Started:  now,
		Clusters: map[string]Cluster{},
		Pauses:   map[string]guard.Pause{},
	}
	return s.configured(cfg)
}

// configured is the state under a configuration: what was inventoried stays known, what is new is added.
func (s State) configured(cfg *config.Config) State {
	s.Config = cfg
	s.Clusters = maps.Clone(s.Clusters)
	s.inventoried, s.groups = map[evidence.VM]*config.VirtualMachine{}, map[group][]evidence.VM{}
	for _, c := range cfg.Clusters {
		if _, ok := s.Clusters[c.Name]; !ok {
			s.Clusters[c.Name] = Cluster{}
		}
		for _, vm := range c.VirtualMachines {
			id := evidence.VM{Cluster: c.Name, Name: vm.Name}
			s.inventoried[id] = vm
			g := group{c.Name, vm.GroupName()}
			s.groups[g] = append(s.groups[g], id)
			if _, ok := s.VMs.Get(id); !ok {
				s.VMs = s.VMs.With(id, VM{})
			}
		}
	}
	for id := range s.VMs.All() {
		s = s.scheduled(id)
	}
	return s
}

// inventory finds a virtual machine in the configuration.
func (s State) inventory(id evidence.VM) (*config.VirtualMachine, bool) {
	vm, ok := s.inventoried[id]
	return vm, ok
}

// watched counts the inventoried virtual machines of a cluster.
func (s State) watched(name string) int {
	for _, c := range s.Config.Clusters {
		if c.Name == name {
			return len(c.VirtualMachines)
		}
	}
	return 0
}

// policy is the virtual machine's policy; the configuration's validation guarantees that it exists.
func (s State) policy(vm *config.VirtualMachine) *config.Policy {
	return s.Config.Receiver.Policies[vm.Policy]
}

// Ready says whether commands could be decided now, and if not, what is missing, in plain words: the hold-off, the
// samples (G13) and the bindings (G33).
func (s State) Ready(now time.Time) (missing []string) {
	if over := s.Started.Add(s.Config.Receiver.HoldOff); now.Before(over) {
		missing = append(missing, "hold_off ends in "+over.Sub(now).Round(time.Second).String())
	}
	for _, name := range slices.Sorted(maps.Keys(s.Clusters)) {
		if c := s.Clusters[name]; c.Samples < minSamples && s.watched(name) > 0 {
			missing = append(missing, "cluster "+name+" was sampled "+itoa(c.Samples)+" of "+itoa(minSamples)+" times")
		}
	}
	for id, vm := range s.VMs.All() {
		inventoried, ok := s.inventory(id)
		if !ok {
			continue
		}
		switch {
		case vm.Proof.At.IsZero():
			missing = append(missing, id.String()+": binding not proven yet")
		case !vm.Proof.Whole():
			missing = append(missing, id.String()+": "+vm.Proof.Lacks()[0])
		case !vm.Proof.Binding.Names.Equal(evidence.NamesOf(inventoried)):
			missing = append(missing, id.String()+": binding not proven yet since its configuration changed")
		}
	}
	return missing
}
