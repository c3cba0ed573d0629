package incident_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
)

// TestADumpIsWaitedForAndNotForEver: what is being written ends, or a person is called within the hour (G35).
func TestADumpIsWaitedForAndNotForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.vms["SQL01"].dumps = []cluster.Process{{ID: 9, Name: "SqlDumper.exe", Created: w.now}}
	w.hang("SQL01")
	w.advance(10 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); len(w.commands) > 0 || i.Phase != incident.Waiting {
		t.Fatalf("%d commands, phase %s while a dump is written; want none, waiting: %s", len(w.commands), i.Phase, i.Summary)
	}
	w.advance(6 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); len(w.commands) == 0 {
		t.Fatalf("no command after the dump had its time: %s %s", i.Phase, i.Summary)
	}
}

// TestABackupThatDoesNotEndIsAPersons: SQL Server last said that it is in a backup, and hangs for an hour.
func TestABackupThatDoesNotEndIsAPersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t, actPolicy)
	w.warm()
	w.vms["SQL01"].backup = true
	w.advance(15 * time.Second)
	w.hang("SQL01")
	w.advance(59 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); len(w.commands) > 0 || i.Phase != incident.Waiting {
		t.Fatalf("%d commands, phase %s in a backup; want none, waiting: %s", len(w.commands), i.Phase, i.Summary)
	}
	w.advance(5 * time.Minute)
	if i := w.only("SQL01", evidence.Hang); len(w.commands) > 0 || i.Phase != incident.Escalated {
		t.Errorf("%d commands, phase %s after an hour; want none, escalated: %s", len(w.commands), i.Phase, i.Summary)
	}
}
