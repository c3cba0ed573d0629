package console

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/receiver/incident"
)

// ApprovalHeader carries an approver's token. It is a header of its own, so that the web listener's own authentication
// keeps Authorization for itself; who may read the console may not approve by that alone.
const ApprovalHeader = "X-Hypervigil-Approval"

// approve takes a person's approval of the plan that is offered (G23). Who it is comes from his own proof, never from
// the body.
func (c *console) approve(w http.ResponseWriter, r *http.Request) {
	by, err := c.Approver(r)
	if err != nil {
		c.Denied()
		level.Warn(c.Logger).Log("msg", "approval without an approver's proof", "incident", r.PathValue("id"), "from", r.RemoteAddr, "err", err)
		refuse(w, http.StatusForbidden, "%v", err)
		return
	}
	var body struct {
		Plan string `json:"plan"`
	}
	if !decode(w, r, &body) {
		return
	}
	if body.Plan == "" {
		refuse(w, http.StatusBadRequest, `"plan" is missing: the hash of the plan that you have looked at`)
		return
	}
	id := r.PathValue("id")
	if _, ok := c.State().Incidents.Get(id); !ok {
		refuse(w, http.StatusNotFound, "no incident %q; GET /api/v1/incidents lists them", id)
		return
	}
	request := rand.Text()
	var came incident.Approval
	if !c.taken(w, r, incident.Approved{At: incident.At(time.Now()), ID: request, Incident: id, Plan: body.Plan, By: by}, func(s *incident.State) bool {
		i, _ := s.Incidents.Get(id)
		for _, a := range i.Approvals {
			if a.ID == request {
				came = a
				return true
			}
		}
		return false
	}) {
		return
	}
	if came.Refused != "" {
		refuse(w, http.StatusConflict, "the approval was refused (%s): %s", came.Refused, came.Why)
		return
	}
	level.Info(c.Logger).Log("msg", "plan approved", "incident", id, "plan", body.Plan, "by", by, "expires", came.Expires)
	answer(w, http.StatusOK, came)
}
