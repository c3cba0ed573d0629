package console

import (
	"net/http"
	"time"

	"github.com/go-kit/log/level"
)

// replay streams the recording, a line each, from the last checkpoint before ?since= on. An answer that is broken off
// ends without an end of its body.
func (c *console) replay(w http.ResponseWriter, r *http.Request) {
	if c.Recording == nil {
		refuse(w, http.StatusNotFound, "nothing is recorded")
		return
	}
	since := time.Time{}
	if s := r.URL.Query().Get("since"); s != "" {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			refuse(w, http.StatusBadRequest, `"since": %q is no time such as 2026-11-24T12:00:00Z`, s)
			return
		}
		since = t
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := c.Recording(r.Context(), since, w); err != nil {
		level.Warn(c.Logger).Log("msg", "recording broken off", "err", err)
		panic(http.ErrAbortHandler)
	}
}
