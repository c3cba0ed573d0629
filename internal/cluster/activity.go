package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Activity is what a host and its cluster are doing to a virtual machine, and that must not be cut short.
type Activity struct {
	// Jobs are Hyper-V's jobs that name the virtual machine and have not ended, by their class: Msvm_ConcreteJob, and
	// Msvm_MigrationJob for a move of it or of its storage.
	Jobs []string `json:"jobs,omitempty"`
	// Replica is Msvm_ReplicationRelationship.ReplicationState of each of its relationships.
	Replica []uint16 `json:"replica,omitempty"`
	// Backups are the cluster shared volumes that are being backed up. Which of them hold the machine's disks is not read.
	Backups []string `json:"backups,omitempty"`
}

// jobRuns reports whether a job has not ended.
func jobRuns(s JobState) bool { return s >= JobNew && s <= JobShuttingDown }

// volumeBackupInProgress is MSCluster_ClusterSharedVolume.BackupState of a volume that is being backed up
// (CLUSTER_SHARED_VOLUME_BACKUP_STATE, clusapi.h).
const volumeBackupInProgress = 1

// Activity reads what is being done to the virtual machine with this id on this host. It answers all of it or nothing.
func (h *Host) Activity(ctx context.Context, vmID string) (Activity, error) {
	var a Activity
	var moves, backups []string
	running, affected := map[string]bool{}, map[string]bool{}
	err := together(
		ctx,
		into(&moves, func(ctx context.Context) ([]string, error) { return h.migrations(ctx, vmID) }),
		func(ctx context.Context) error {
			_, err := all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, JobState FROM Msvm_ConcreteJob", func(f *fields) struct{} {
				if id := f.mustText("InstanceID"); jobRuns(JobState(must(f, f.object.Uint16, "JobState"))) {
					running[strings.ToUpper(id)] = true
				}
				return struct{}{}
			})
			return err
		},
		func(ctx context.Context) error {
			_, err := all(ctx, &h.machine, nsHyperV, "SELECT AffectedElement, AffectingElement FROM Msvm_AffectedJobElement", func(f *fields) struct{} {
				element := must(f, f.object.Reference, "AffectedElement")
				job := f.key("AffectingElement", "InstanceID")
				if element != nil && slices.ContainsFunc(element.Selectors, func(k wsman.Selector) bool { return names(k.Value, vmID) }) {
					affected[strings.ToUpper(job)] = true
				}
				return struct{}{}
			})
			return err
		},
		into(&a.Replica, func(ctx context.Context) ([]uint16, error) { return h.replica(ctx, vmID) }),
		into(&backups, h.volumeBackups),
	)
	if err != nil {
		return Activity{}, fmt.Errorf("read what %s does to virtual machine %s: %w", h.name, vmID, err)
	}
	for job := range affected {
		if running[job] {
			a.Jobs = append(a.Jobs, "Msvm_ConcreteJob")
		}
	}
	a.Jobs = append(a.Jobs, moves...)
	a.Backups = backups
	return a, nil
}

// names reports whether a key is the virtual machine's id, or begins with it as an InstanceID does.
func names(key, vmID string) bool {
	id, _ := instanceID(key)
	return vmID != "" && strings.EqualFold(id, guid(vmID))
}

// migrations lists the migrations under way that name the virtual machine: of it, or of its storage (learn.microsoft.com,
// "Msvm_MigrationJob class", VirtualSystemName).
func (h *Host) migrations(ctx context.Context, vmID string) ([]string, error) {
	rows, err := all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, JobState, VirtualSystemName FROM Msvm_MigrationJob", func(f *fields) string {
		if jobRuns(JobState(must(f, f.object.Uint16, "JobState"))) && names(f.text("VirtualSystemName"), vmID) {
			return "Msvm_MigrationJob"
		}
		return ""
	})
	return slices.DeleteFunc(rows, func(s string) bool { return s == "" }), err
}

func (h *Host) replica(ctx context.Context, vmID string) ([]uint16, error) {
	var states []uint16
	_, err := all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, ReplicationState FROM Msvm_ReplicationRelationship", func(f *fields) struct{} {
		if s := must(f, f.object.Uint16, "ReplicationState"); names(f.mustText("InstanceID"), vmID) {
			states = append(states, s)
		}
		return struct{}{}
	})
	return states, err
}

func (h *Host) volumeBackups(ctx context.Context) ([]string, error) {
	var volumes []string
	_, err := all(ctx, &h.machine, nsCluster, "SELECT Name, BackupState FROM MSCluster_ClusterSharedVolume", func(f *fields) struct{} {
		if name := f.mustText("Name"); f.mustUint32("BackupState") == volumeBackupInProgress {
			volumes = append(volumes, name)
		}
		return struct{}{}
	})
	return volumes, err
}

// ProcessesNamed reads the processes of a name: of SqlDumper.exe, whether a dump is being written.
func (g *Guest) ProcessesNamed(ctx context.Context, name string) ([]Process, error) {
	list, err := all(ctx, &g.machine, nsWindows, "SELECT ProcessId, Name, CreationDate FROM Win32_Process WHERE Name = "+wsman.Quote(name), func(f *fields) Process {
		return Process{f.mustUint32("ProcessId"), f.text("Name"), f.time("CreationDate")}
	})
	if err != nil {
		return nil, fmt.Errorf("read the processes %s: %w", name, err)
	}
	return list, nil
}
