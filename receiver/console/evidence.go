package console

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// evidence answers the bundles of an incident, oldest first, as the ledger has them.
func (c *console) evidence(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if _, ok := c.State().Incidents.Get(id); !ok {
		refuse(w, http.StatusNotFound, "no incident %q; GET /api/v1/incidents lists them", id)
		return
	}
	bundles := []json.RawMessage{}
	err := c.List(r.Context(), ledger.Key("bundle", id)+"/", func(_ string, value []byte) error {
		bundles = append(bundles, slices.Clone(value))
		return nil
	})
	if err != nil {
		level.Error(c.Logger).Log("msg", "evidence not read", "incident", id, "err", err)
		refuse(w, http.StatusInternalServerError, "the ledger could not be read; see the receiver's log")
		return
	}
	answer(w, http.StatusOK, map[string]any{"evidence": bundles})
}
