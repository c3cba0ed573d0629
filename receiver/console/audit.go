package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/receiver/audit"
)

// AuditHeader tells where the record that follows ends: the newest entry's sequence and its hash.
const AuditHeader = "X-Hypervigil-Audit-Head"

// auditPage is how many digits of a sequence one read of the ledger leaves open: a thousand entries. A read must not
// last as long as a slow reader does, for the ledger cannot grow meanwhile.
const auditPage = 3

// errGap means that the oldest entries were dropped for their size while they were being sent.
var errGap = errors.New("the record's beginning was dropped meanwhile; ask again")

// audit streams the whole record of decisions, a line each (G30). An answer that is broken off is no whole record: its
// connection ends without an end of the body.
func (c *console) audit(w http.ResponseWriter, r *http.Request) {
	s := c.State()
	last := s.Audit.Last()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set(AuditHeader, fmt.Sprintf("%d %s", last, s.Audit.Head()))
	for next := s.Audit.First(); next != 0 && next <= last; {
		page, err := c.auditPage(r.Context(), next, last)
		for _, line := range page {
			if err == nil {
				_, err = w.Write(line)
			}
		}
		if err != nil {
			level.Warn(c.Logger).Log("msg", "record of decisions broken off", "at", next, "err", err)
			panic(http.ErrAbortHandler)
		}
		next += uint64(len(page))
	}
}

// auditPage reads the entries from next on that share a prefix with it, each with its line end.
func (c *console) auditPage(ctx context.Context, next, last uint64) ([][]byte, error) {
	key := audit.Key(next)
	var page [][]byte
	err := c.List(ctx, key[:len(key)-auditPage], func(key string, value []byte) error {
		if sequence := next + uint64(len(page)); strings.Compare(key, audit.Key(next)) >= 0 && sequence <= last {
			if key != audit.Key(sequence) {
				return errGap
			}
			page = append(page, append(slices.Clone(value), '\n'))
		}
		return nil
	})
	if err == nil && len(page) == 0 {
		err = errGap
	}
	return page, err
}
