package console

import (
	"net/http"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// rescue is what the last rehearsal of one virtual machine found out.
type rescue struct {
	evidence.VM
	incident.Rescue
}

// rescuesOf lists the rehearsals by cluster and name.
func rescuesOf(s *incident.State) []rescue {
	all := []rescue{}
	for id, vm := range s.VMs.All() {
		all = append(all, rescue{id, vm.Rescue})
	}
	return all
}

func (c *console) rescues(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"rescues": rescuesOf(c.State())})
}
