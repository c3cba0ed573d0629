package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// HeartbeatMonitoring is whether the cluster itself watches the heartbeat of a virtual machine's guest, and restarts the
// machine, or fails it over, when that is lost.
type HeartbeatMonitoring struct {
	On bool `json:"on"`
	// Within is how long the cluster may take to find that the heartbeat is lost: it asks the resource once in
	// IsAlivePollInterval, and a call that has not come back after DeadlockTimeout is a failure too.
	Within time.Duration `json:"within"`
}

// ofTheType in a poll interval means that the resource type's counts; isAlive is what that is where nobody changed it
// (learn.microsoft.com, "IsAlivePollInterval" and "DeadlockTimeout" among the resource common properties: 60 s and 300 s
// by default). The type's own is not read, and nothing shorter than its default is believed.
const (
	ofTheType = 0xFFFFFFFF
	isAlive   = 60 * time.Second
)

// HeartbeatMonitoring reads the settings of the resource that is the group's virtual machine (MSCluster_Resource,
// CheckHeartbeat among its private properties: learn.microsoft.com, "Virtual Machine Private Properties"). It answers all
// of it or nothing: what is not told is no setting.
func (h *Host) HeartbeatMonitoring(ctx context.Context, group string) (HeartbeatMonitoring, error) {
	m, err := one(ctx, &h.machine, nsCluster, "SELECT Name, IsAlivePollInterval, DeadlockTimeout, PrivateProperties FROM MSCluster_Resource "+
		"WHERE Type = '"+typeVM+"' AND OwnerGroup = "+wsman.Quote(group), func(f *fields) HeartbeatMonitoring {
		poll, deadlock := f.mustUint32("IsAlivePollInterval"), f.mustCount("DeadlockTimeout", time.Millisecond)
		if poll == ofTheType {
			poll = 0
		}
		m := HeartbeatMonitoring{Within: max(isAlive, times(uint64(poll), time.Millisecond)) + deadlock}
		private := fields{object: must(f, f.object.Object, "PrivateProperties")}
		if f.err == nil {
			m.On = private.mustUint32("CheckHeartbeat") != 0
			f.err = private.err
		}
		return m
	})
	if err != nil {
		return HeartbeatMonitoring{}, fmt.Errorf("read whether the cluster watches the heartbeat of group %s: %w", group, err)
	}
	return m, nil
}
