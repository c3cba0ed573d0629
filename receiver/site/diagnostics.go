package site

import (
	"context"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// diagnostics is the last set of an instance's stream, where it is fresh and came on the connection that stands: what an
// earlier connection brought may be of an earlier process. It opens the stream where that is not open, and does not wait
// for a set that comes later.
func diagnostics(ctx context.Context, s *sqlhealth.Stream) evidence.Reading[evidence.Diagnostics] {
	at := time.Now().UTC()
	h := s.Health(ctx)
	switch {
	case h.Fresh && h.Current:
	case h.Err != nil:
		why := h.Err.Reason
		if why == dial.Answered {
			why = dial.Other
		}
		return unread[evidence.Diagnostics](at, why, h.Err.Error())
	default:
		return unread[evidence.Diagnostics](at, dial.Other, "no set of sp_server_diagnostics has come on this connection yet")
	}
	d := evidence.Diagnostics{Received: h.Set.Received.UTC()}
	for _, c := range h.Set.Components {
		d.Components = append(d.Components, evidence.Component{Name: c.Name, State: int64(c.State), ErrorSets: c.ErrorSets})
	}
	return evidence.Reading[evidence.Diagnostics]{Value: d, At: at}
}
