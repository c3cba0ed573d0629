package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Witness reads the cluster's quorum resource (MSCluster_ClusterToQuorumResource, learn.microsoft.com): a disk, a file
// share or a cloud. ErrNotFound means that the cluster has none, as one whose nodes alone vote.
func (h *Host) Witness(ctx context.Context) (Resource, error) {
	r, err := h.witness(ctx)
	if err != nil {
		return Resource{}, fmt.Errorf("read the witness: %w", err)
	}
	return r, nil
}

func (h *Host) witness(ctx context.Context) (Resource, error) {
	name, err := one(ctx, &h.machine, nsCluster, "SELECT GroupComponent, PartComponent FROM MSCluster_ClusterToQuorumResource", func(f *fields) string {
		ref, ok := read(f, f.object.Reference, "PartComponent")
		if !ok {
			return ""
		}
		s, _ := ref.Selector("Name")
		return strings.Clone(s)
	})
	switch {
	case err != nil:
		return Resource{}, err
	case name == "":
		return Resource{}, ErrNotFound // a reference to nothing
	}
	rows, err := h.resources(ctx, " WHERE Name = "+wsman.Quote(name))
	switch {
	case err != nil:
		return Resource{}, err
	case len(rows) != 1:
		return Resource{}, fmt.Errorf("%s: %d resources bear the witness' name %q", h.name, len(rows), name)
	}
	return rows[0], nil
}
