package incident

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// kinds are the types of events, one value of each: what an event's tag is looked up in.
func kinds() []Event {
	return []Event{
		Notified{},
		Sampled{},
		Proved{},
		Sensed{},
		Looked{},
		Rehearsed{},
		PlanStored{},
		Kept{},
		ClaimLost{},
		Commanded{},
		Acknowledged{},
		Approved{},
		PauseSet{},
		Reloaded{},
		Ticked{},
	}
}

// tagged is an event as it is written down.
type tagged struct {
	Type  string          `json:"type"`
	At    time.Time       `json:"at"`
	Event json.RawMessage `json:"event"`
}

// MarshalEvent writes an event down: its type's name, its moment, and the rest of it.
func MarshalEvent(e Event) ([]byte, error) {
	body, err := json.Marshal(e) // its At has no exported fields
	if err != nil {
		return nil, fmt.Errorf("write down event %T: %w", e, err)
	}
	return json.Marshal(tagged{reflect.TypeOf(e).Name(), e.at(), body})
}

// UnmarshalEvent is the other way of MarshalEvent.
func UnmarshalEvent(b []byte) (Event, error) {
	var t tagged
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	all := kinds()
	n := slices.IndexFunc(all, func(e Event) bool { return reflect.TypeOf(e).Name() == t.Type })
	if n < 0 {
		return nil, fmt.Errorf("read an event: type %q is not known to this version", t.Type)
	}
	v := reflect.New(reflect.TypeOf(all[n]))
	if err := json.Unmarshal(t.Event, v.Interface()); err != nil {
		return nil, fmt.Errorf("read an event %s: %w", t.Type, err)
	}
	v.Elem().FieldByName("At").Set(reflect.ValueOf(At(t.At)))
	return v.Elem().Interface().(Event), nil
}

// Slim is the event without what Step does not look at: of a look at a cluster, the one view that counts remains, with the
// inventoried groups. Step comes to the same by it. A large cluster's views would fill a recording.
func Slim(s State, e Event) Event {
	sampled, ok := e.(Sampled)
	if !ok {
		return e
	}
	st := stepper{s: s}
	view, trusted := st.trusted(sampled)
	sampled.Views = nil
	if trusted {
		view.Resources = nil
		view.Groups = slices.DeleteFunc(slices.Clone(view.Groups), func(g cluster.Group) bool {
			return len(s.groups[group{sampled.Cluster, g.Name}]) == 0
		})
		sampled.Views = map[string]evidence.Reading[cluster.View]{}
		for node, r := range e.(Sampled).Views {
			if r.Known() && r.Value.By == view.By {
				r.Value = view
				sampled.Views[node] = r
				break
			}
		}
	}
	return sampled
}

// snapshot is a State written down whole, what the ledger does not keep of it included. Of the record of decisions (G30)
// it has nothing: no decision rests on that.
type snapshot struct {
	Config    *config.Config             `json:"config"`
	Started   time.Time                  `json:"started"`
	Clusters  map[string]clusterSnapshot `json:"clusters"`
	VMs       []vmSnapshot               `json:"vms"`
	Incidents []incidentSnapshot         `json:"incidents"`
	Pauses    map[string]guard.Pause     `json:"pauses"`
	Heard     time.Time                  `json:"heard,omitzero"`
	Silent    bool                       `json:"silent,omitempty"`
	Epoch     uint64                     `json:"epoch,omitempty"`
	Asks      uint64                     `json:"asks"`
	Wake      time.Time                  `json:"wake,omitzero"`
}

type clusterSnapshot struct {
	Cluster   Cluster                `json:"cluster"`
	Samples   int                    `json:"samples"`
	Sampling  bool                   `json:"sampling"`
	SampledAt time.Time              `json:"sampled_at,omitzero"`
	Lab       evidence.Reading[bool] `json:"lab"`
}

type vmSnapshot struct {
	ID        evidence.VM     `json:"id"`
	VM        VM              `json:"vm"`
	Proving   bool            `json:"proving"`
	ProvedAt  time.Time       `json:"proved_at,omitzero"`
	Vitals    evidence.Vitals `json:"vitals"`
	Sensing   bool            `json:"sensing"`
	SensedAt  time.Time       `json:"sensed_at,omitzero"`
	Rescue    Rescue          `json:"rescue"`
	Asked     time.Time       `json:"asked,omitzero"`
	Rehearsed bool            `json:"rehearsed"`
}

type incidentSnapshot struct {
	Incident Incident `json:"incident"`
	Recorded int64    `json:"recorded,omitempty"`
}

// Snapshot writes a state down, so that Resume goes on exactly where it stands.
func Snapshot(s State) ([]byte, error) {
	out := snapshot{
		Config: s.Config, Started: s.Started, Clusters: map[string]clusterSnapshot{}, Pauses: s.Pauses, Heard: s.Heard, Silent: s.Silent,
		Epoch: s.Epoch, Asks: s.Asks, Wake: s.wake,
	}
	for name, c := range s.Clusters {
		out.Clusters[name] = clusterSnapshot{c, c.Samples, c.Sampling, c.SampledAt, c.Lab}
	}
	for id, vm := range s.VMs.All() {
		out.VMs = append(out.VMs, vmSnapshot{
			id, vm, vm.Proving, vm.ProvedAt, vm.Vitals, vm.Sensing, vm.SensedAt, vm.Rescue, vm.Rescue.asked, vm.Rescue.rehearsed,
		})
	}
	for i := range s.Incidents.All() {
		out.Incidents = append(out.Incidents, incidentSnapshot{i, i.recorded})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("write down the state: %w", err)
	}
	return b, nil
}

// Resume is the state that was written down, under its own configuration, or, where cfg is not nil, under that one.
func Resume(b []byte, cfg *config.Config) (State, error) {
	var in snapshot
	if err := json.Unmarshal(b, &in); err != nil {
		return State{}, fmt.Errorf("read a state: %w", err)
	}
	if cfg == nil {
		cfg = in.Config
	}
	s := State{
		Started: in.Started, Clusters: map[string]Cluster{}, Pauses: map[string]guard.Pause{}, Heard: in.Heard, Silent: in.Silent,
		Epoch: in.Epoch, Asks: in.Asks, wake: in.Wake,
	}
	for id, p := range in.Pauses {
		s.Pauses[id] = p
	}
	for name, c := range in.Clusters {
		k := c.Cluster
		k.Samples, k.Sampling, k.SampledAt, k.Lab = c.Samples, c.Sampling, c.SampledAt, c.Lab
		s.Clusters[name] = k
	}
	for _, v := range in.VMs {
		vm := v.VM
		vm.Proving, vm.ProvedAt, vm.Vitals, vm.Sensing, vm.SensedAt = v.Proving, v.ProvedAt, v.Vitals, v.Sensing, v.SensedAt
		vm.Rescue = v.Rescue
		vm.Rescue.asked, vm.Rescue.rehearsed = v.Asked, v.Rehearsed
		s.VMs = s.VMs.With(v.ID, vm)
	}
	for _, i := range in.Incidents {
		i.Incident.recorded = i.Recorded
		s.Incidents = s.Incidents.With(i.Incident)
	}
	return s.configured(cfg), nil
}
