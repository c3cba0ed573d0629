package incident

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// State is all that Step knows. It is a value: Step never changes what it was given, so that a driver may keep,
// compare and replay states. Make one with New or Restore.
type State struct {
	Config   *config.Config
	Started  time.Time
	Clusters map[string]Cluster
	VMs      map[evidence.VM]VM
	// Incidents holds the open ones and those closed within keepClosed.
	Incidents map[string]Incident
	Pauses    map[string]guard.Pause
	// Heard is when Watchdog last came in this life of the receiver; Silent says that it stays away, and that this was told
	// (G29).
	Heard  time.Time
	Silent bool
	// Asks numbers the reads, so that an answer that comes late is known for what it is.
	Asks uint64
	wake time.Time // the newest Wake asked for
	// opened are the ids of the open incidents, oldest first.
	opened []string
}

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

// VM is what is known of one virtual machine.
type VM struct {
	Proof    evidence.Proof `json:"proof"`
	Proving  bool           `json:"-"`
	ProvedAt time.Time      `json:"-"` // when it was last asked
	// Vitals are the newest of the background looks; a reading that was made stays until a newer one was.
	Vitals   evidence.Vitals `json:"-"`
	Sensing  bool            `json:"-"`
	SensedAt time.Time       `json:"-"` // when it was last asked
	Past     []guard.Past    `json:"past"`
	Latched  string          `json:"latched,omitempty"`
}

// The bounds of memory.
const (
	keepClosed     = 24 * time.Hour
	keepRounds     = 6
	keepTimeline   = 400
	keepOwnerships = 32
	keepPast       = 24 * time.Hour
)

// New is the state of a receiver that has just started with an empty ledger.
func New(cfg *config.Config, now time.Time) State {
	s := State{
		Started:   now,
		Clusters:  map[string]Cluster{},
		VMs:       map[evidence.VM]VM{},
		Incidents: map[string]Incident{},
		Pauses:    map[string]guard.Pause{},
	}
	return s.configured(cfg)
}

// configured is the state under a configuration: what was inventoried stays known, what is new is added.
func (s State) configured(cfg *config.Config) State {
	s.Config = cfg
	s.Clusters = maps.Clone(s.Clusters)
	s.VMs = maps.Clone(s.VMs)
	for _, c := range cfg.Clusters {
		if _, ok := s.Clusters[c.Name]; !ok {
			s.Clusters[c.Name] = Cluster{}
		}
		for _, vm := range c.VirtualMachines {
			id := evidence.VM{Cluster: c.Name, Name: vm.Name}
			if _, ok := s.VMs[id]; !ok {
				s.VMs[id] = VM{}
			}
		}
	}
	return s
}

// inventory finds a virtual machine in the configuration.
func (s State) inventory(id evidence.VM) (*config.VirtualMachine, bool) {
	for _, c := range s.Config.Clusters {
		if c.Name != id.Cluster {
			continue
		}
		for _, vm := range c.VirtualMachines {
			if vm.Name == id.Name {
				return vm, true
			}
		}
	}
	return nil, false
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
	for _, id := range s.sortedVMs() {
		vm := s.VMs[id]
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

func (s State) sortedVMs() []evidence.VM {
	return slices.SortedFunc(maps.Keys(s.VMs), func(a, b evidence.VM) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
	})
}

// sortedOpen lists the ids of the open incidents, oldest first: map order must decide nothing.
func (s State) sortedOpen() []string {
	var ids []string
	for id, i := range s.Incidents {
		if !i.Closed() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(s.Incidents[a].OpenedAt.Compare(s.Incidents[b].OpenedAt), cmp.Compare(a, b))
	})
	return ids
}
