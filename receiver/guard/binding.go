package guard

import (
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// maxProofAge is how old the proof of a binding may be (G33).
const maxProofAge = 24 * time.Hour

// binding is G33: that group, VM, guest and SQL Server are one machine was proven while it was healthy, and what
// the guest says of itself now does not differ.
func binding(in Input) Verdict {
	if in.Proof.At.IsZero() {
		return refuse("unproven", "it was never proven which machine these names mean").
			unblocked("the proof is made by itself once the virtual machine is healthy; see /-/ready")
	}
	if len(in.Proof.Differs) > 0 {
		return refuse("differs", "the names do not mean one machine: %s", strings.Join(in.Proof.Differs, "; ")).
			unblocked("correct the addresses in hypervigil.yml or the DNS, and reload")
	}
	if !in.Proof.Binding.Names.Equal(in.Names) {
		return refuse("configuration_changed", "the binding was proven for %s; the configuration says %s now", in.Proof.Binding.Names, in.Names).
			unblocked("the proof is made anew by itself while the virtual machine is healthy; see /-/ready")
	}
	if len(in.Proof.Missing) > 0 {
		return refuse("unproven", "the binding is not proven: %s", strings.Join(in.Proof.Missing, "; "))
	}
	if d := in.Now.Sub(in.Proof.At); d > maxProofAge {
		return refuse("proof_too_old", "the binding was proven %s ago, over %s", ago(d), maxProofAge)
	}
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	b := in.Proof.Binding
	if g := round.Guest; g.Known() {
		if !strings.EqualFold(g.Value.ComputerName, b.ComputerName) {
			return refuse("other_machine", "the guest calls itself %q; %q was proven", g.Value.ComputerName, b.ComputerName)
		}
		if !cluster.SameMachineID(g.Value.ProductUUID, b.ProductUUID) {
			return refuse("other_machine", "the guest's product UUID is %s; %s was proven", g.Value.ProductUUID, b.ProductUUID)
		}
	}
	if h := round.Host; h.Known() && h.Value.ID != "" && !strings.EqualFold(h.Value.ID, b.VMID) {
		return refuse("other_machine", "the owner runs VM id %s under this name; %s was proven", h.Value.ID, b.VMID)
	}
	return pass("group %q, VM %s, computer %s were proven to be one machine %s ago", b.Group, b.VMID, b.ComputerName, ago(in.Now.Sub(in.Proof.At)))
}
