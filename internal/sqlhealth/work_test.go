package sqlhealth

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
)

// TestWork: what a restart would break off, read in the instance's own time; what only reads, and what writes in tempdb,
// counts for nothing.
func TestWork(t *testing.T) {
	t.Parallel()
	const sales, tempdb = 7, 2
	zone := time.FixedZone("", 5*3600+1800)
	at := func(ago time.Duration) time.Time { return started().Add(time.Hour - ago).In(zone) }
	for _, tt := range []struct {
		name         string
		requests     []sqlengine.Request
		transactions []sqlengine.Transaction
		lacks        sqlengine.Grant
		want         Work
		reason       dial.Reason
	}{
		{name: "nothing"},
		{
			name:         "open, rolling back, in a backup and a restore",
			requests:     []sqlengine.Request{{SessionID: 60, Command: "BACKUP LOG"}, {SessionID: 61, Command: "RESTORE DATABASE"}, {SessionID: 62, Command: "UPDATE"}},
			transactions: []sqlengine.Transaction{{ID: 1, Begin: at(time.Minute), DatabaseID: sales}, {ID: 2, Begin: at(3 * time.Minute), DatabaseID: sales, RollingBack: true}},
			want:         Work{Oldest: 3 * time.Minute, Rollbacks: 1, RollingBack: 3 * time.Minute, Running: Running{Backup: true, Restore: true}},
		},
		{name: "one that only reads", transactions: []sqlengine.Transaction{{ID: 1, Begin: at(time.Hour)}}},
		{name: "one in tempdb", transactions: []sqlengine.Transaction{{ID: 1, Begin: at(time.Hour), DatabaseID: tempdb}}},
		{name: "from the future of a clock that was set back", transactions: []sqlengine.Transaction{{ID: 1, Begin: at(-time.Hour), DatabaseID: sales}}},
		{
			name: "without the permission nothing is known, and not that nothing is open", lacks: sqlengine.ServerState, reason: dial.Permission,
			transactions: []sqlengine.Transaction{{ID: 1, Begin: at(time.Hour), DatabaseID: sales}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &model{zone: zone, more: func(s *sqlengine.Snapshot) {
				s.Requests, s.Transactions, s.Lacks = tt.requests, tt.transactions, tt.lacks
			}}
			got, err := start(t, server{model: m}).prober(t, config.Strict).Work(within(t, 5*time.Second))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Work (-want +got)\n%s", diff)
			}
			var f *Failure
			if errors.As(err, &f); err != nil && (f == nil || f.Reason() != tt.reason) || err == nil && tt.reason != dial.Answered {
				t.Errorf("error %v, want reason %q", err, tt.reason)
			}
		})
	}
}
