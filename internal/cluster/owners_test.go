package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// ownersOf is a cluster of 64 nodes and 8,000 virtual machines that tells who may own which resource, and counts the rows.
type ownersOf struct {
	rows atomic.Int64
	// filters says that it takes an association filter; whole, that all rows may be asked for.
	filters, whole bool
}

const ownerNodes, ownerMachines = 64, 8000

func ownerRow(resource string, node int) wsmanserver.Instance {
	by := func(class, name string) wsmanserver.Reference {
		return wsmanserver.Reference{Class: class, Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
	}
	return row(possibleOwner, "", "GroupComponent", by("MSCluster_Resource", resource), "PartComponent", by("MSCluster_Node", fmt.Sprintf("HV%d", node)))
}

// Instances has the resources of each group, and, where the test allows it, few rows of every owner.
func (o *ownersOf) Instances(_ context.Context, _, class string) ([]wsmanserver.Instance, error) {
	switch {
	case !strings.EqualFold(class, possibleOwner):
		return nil, wsmanserver.ErrUnknownClass
	case !o.whole:
		return nil, &wsmanserver.ProviderError{HRESULT: 0x80041032, Message: "a million rows"} // WBEM_E_CALL_CANCELLED
	}
	o.rows.Add(1)
	return []wsmanserver.Instance{ownerRow("Virtual Machine SQL3", 7)}, nil
}

// References has a row for each node.
func (o *ownersOf) References(_ context.Context, _, class, role string, to wsmanserver.Reference) ([]wsmanserver.Instance, error) {
	if !o.filters {
		return nil, &wsmanserver.Fault{Code: wsmanserver.CodeDialectUnavailable, Subcode: "n:FilterDialectRequestedUnavailable"}
	}
	name, _ := to.Keys.Value("Name")
	if class != possibleOwner || role != "GroupComponent" || to.Class != "MSCluster_Resource" {
		return nil, wsmanserver.ErrInvalidParameter
	}
	var n int
	if _, err := fmt.Sscanf(name, "Virtual Machine SQL%d", &n); err != nil || n >= ownerMachines {
		return nil, nil
	}
	rows := make([]wsmanserver.Instance, ownerNodes)
	for i := range rows {
		rows[i] = ownerRow(name, i)
	}
	o.rows.Add(ownerNodes)
	return rows, nil
}

// Invoke has nothing to do.
func (o *ownersOf) Invoke(context.Context, string, string, wsmanserver.Selectors, string, wsmanserver.Parameters) (wsmanserver.Output, error) {
	return wsmanserver.Output{}, wsmanserver.ErrUnknownMethod
}

// TestOwnersOfAFewCostAFewRows: of a million rows those of the resources that were asked for are read, and no other.
func TestOwnersOfAFewCostAFewRows(t *testing.T) {
	t.Parallel()
	large, p := &ownersOf{filters: true}, &peer{}
	p.serve(t, large)
	h := p.host(t)
	asked := []string{"Virtual Machine SQL0", "Virtual Machine SQL17", "Virtual Machine SQL7999", "Virtual Machine SQL8000"}
	owners, err := h.PossibleOwnersOf(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range asked[:3] {
		if got := owners[name]; len(got) != ownerNodes || !slices.Contains(got, "HV63") {
			t.Errorf("owners of %s = %v, want all 64 nodes", name, got)
		}
	}
	if got, there := owners[asked[3]]; there {
		t.Errorf("owners of what is not there = %v, want no entry", got)
	}
	if got := large.rows.Load(); got != 3*ownerNodes {
		t.Errorf("%d rows were read, want %d", got, 3*ownerNodes)
	}
}

// TestOwnersWithoutTheFilter: a machine that does not take the filter is asked for all rows; where it has another reason,
// that is the error.
func TestOwnersWithoutTheFilter(t *testing.T) {
	t.Parallel()
	old, p := &ownersOf{whole: true}, &peer{}
	p.serve(t, old)
	owners, err := p.host(t).PossibleOwnersOf(t.Context(), []string{"Virtual Machine SQL3"})
	if err != nil || !slices.Equal(owners["Virtual Machine SQL3"], []string{"HV7"}) {
		t.Errorf("owners = %v, %v, want those of all rows", owners, err)
	}
	broken, p := &ownersOf{}, &peer{}
	p.serve(t, broken)
	if owners, err := p.host(t).PossibleOwnersOf(t.Context(), []string{"Virtual Machine SQL3"}); err == nil {
		t.Errorf("owners = %v of a machine that answers neither question", owners)
	}
}
