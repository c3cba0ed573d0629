package simulate

import (
	"fmt"
	"strings"
	"time"
)

// trace is the history of one schedule, a line for each thing that happened. A nil trace keeps nothing.
type trace struct{ b strings.Builder }

func (t *trace) add(now time.Time, format string, args ...any) {
	if t == nil {
		return
	}
	fmt.Fprintf(&t.b, "%10.3fs ", now.Sub(epoch).Seconds())
	fmt.Fprintf(&t.b, format, args...)
	t.b.WriteByte('\n')
}

func (t *trace) String() string { return t.b.String() }
