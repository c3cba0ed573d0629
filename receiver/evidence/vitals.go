package evidence

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
)

// Vitals are what the background sampler reads of one virtual machine whether it is sick or not: what can no longer be
// asked once it is, and what only shows over time.
type Vitals struct {
	VM VM `json:"target"`
	// Work is what each instance of SQL Server is in the middle of.
	Work map[string]Reading[Work] `json:"work"`
	// Orderly is what the guest says of a shutdown, a restart or an update of its own.
	Orderly Reading[cluster.Orderly] `json:"orderly"`
}

// Work is what a restart of an instance would break off, and what its recovery would have to undo.
type Work struct {
	// Oldest is the age of the oldest open transaction that has written anything but in tempdb; 0 where there is none.
	Oldest time.Duration `json:"oldest_ns"`
	// Rollbacks are the transactions that are being rolled back; RollingBack is the age of the oldest of them.
	Rollbacks   int           `json:"rollbacks"`
	RollingBack time.Duration `json:"rolling_back_ns"`
	Backup      bool          `json:"backup"`
	Restore     bool          `json:"restore"`
}

// Undo is about how long recovery would have to undo: undoing takes as long as doing did, at the least.
func (w Work) Undo() time.Duration { return max(w.Oldest, w.RollingBack) }
