package site

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// TestReadOfAPlacement: what a move's destination is chosen by is read of every node, and a node that is off is unknown.
func TestReadOfAPlacement(t *testing.T) {
	t.Parallel()
	l, s := labSite(t, nil)
	view := s.Sample(t.Context(), "hv-lab")["HV1"].Value
	ask := evidence.Ask{
		VM: evidence.VM{Cluster: "hv-lab", Name: "SQL01"}, Instance: evidence.NoInstance, Owner: "HV1", Timeout: 5 * time.Second,
		Parts: []evidence.Part{evidence.PartPlacement},
	}
	if r := s.Read(t.Context(), ask).Placement; !r.Known() || r.Value.Memory.Known() {
		t.Errorf("placement without the id of the virtual machine = %+v, want known but for its memory", r)
	}
	for _, r := range view.Resources {
		if r.Group == "SQL01" && r.VMID != "" {
			ask.VMID = r.VMID
		}
	}
	r := s.Read(t.Context(), ask).Placement
	if !r.Known() || len(r.Value.Nodes) != 3 || len(r.Value.PossibleOwners) != 3 || r.Value.Memory.Value != 8<<30 {
		t.Fatalf("placement = %+v, want three nodes that may own 8 GiB", r)
	}
	for _, n := range []string{"HV1", "HV2", "HV3"} {
		h := r.Value.Hosts[n]
		if !h.Known() || h.Value.MemoryFree != 64<<30 || len(h.Value.Volumes) != 1 || h.Value.Volumes[0].Fault != cluster.VolumeFaultNone {
			t.Errorf("%s = %+v, want 64 GiB free and its volume", n, h)
		}
	}
	if _, err := l.Inject(model.Request{Fault: model.HostPowerOff, Node: "HV2"}); err != nil {
		t.Fatal(err)
	}
	ask.Timeout = time.Second
	r = s.Read(t.Context(), ask).Placement
	if !r.Known() || r.Value.Hosts["HV2"].Known() || !r.Value.Hosts["HV3"].Known() {
		t.Errorf("placement with HV2 off = %+v, want known but for HV2's capacity", r)
	}
}
