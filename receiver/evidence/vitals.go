package evidence

import (
	"maps"
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
	// Disks is what its host last counted of its virtual disks, and StillSince when the first of the readings in a row was
	// asked that counted the same.
	Disks      Reading[cluster.DiskIO] `json:"disks"`
	StillSince time.Time               `json:"still_since,omitzero"`
}

// Counted takes in a reading of the disks. One that could not be made leaves the one before it as it is, with its age:
// that none was made is no word that nothing was written.
func (v Vitals) Counted(disks Reading[cluster.DiskIO]) Vitals {
	switch before := v.Disks; {
	case !disks.Known() && before.Known():
	case !disks.Known():
		v.Disks, v.StillSince = disks, time.Time{}
	case before.Known() && before.Value.Host == disks.Value.Host && maps.Equal(before.Value.Disks, disks.Value.Disks):
		v.Disks = disks
	default:
		v.Disks, v.StillSince = disks, disks.At
	}
	return v
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
