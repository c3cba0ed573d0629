package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

func TestClusterCounters(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	h := p.host(t)
	if _, err := h.Reconnects(t.Context()); !Unsupported(err) {
		t.Errorf("Reconnects of a host without the class: %v, want one that is unsupported", err)
	}
	set := func(class string, rows ...wsmanserver.Instance) { p.set(nsWindows, perfRaw+class, rows...) }
	beat := func(name string, missing uint32) wsmanserver.Instance {
		return row(perfRaw+ClassHeartbeats, "Name", "Name", name, "Missingheartbeats", missing, "Missingheartbeatslimit", uint32(10))
	}
	set(ClassHeartbeats, beat("a b", 2), beat("_Total", 2))
	beats, err := h.Heartbeats(t.Context())
	if d := cmp.Diff([]Heartbeats{{"a b", 2, 10}}, beats); err != nil || d != "" {
		t.Errorf("Heartbeats, %v (-want +got):\n%s", err, d)
	}
	volume := func(name string, n uint64) wsmanserver.Instance {
		return row(perfRaw+ClassVolumes, "Name", "Name", name, "VolumePauseCountDisk", n, "VolumePauseCountNetwork", n+1, "VolumePauseCountOther", n+2)
	}
	set(ClassVolumes, volume("Volume1", 1), volume("_Total", 9))
	pauses, err := h.VolumePauses(t.Context())
	if d := cmp.Diff([]VolumePauses{{"Volume1", 1, 2, 3}}, pauses); err != nil || d != "" {
		t.Errorf("VolumePauses, %v (-want +got):\n%s", err, d)
	}
	resource := func(name string, n uint64) wsmanserver.Instance {
		return row(perfRaw+ClassResources, "Name", "Name", name, "ResourceFailure", n, "ResourceFailureDeadlock", n/2)
	}
	reconnection := func(name string, n uint64) wsmanserver.Instance {
		return row(perfRaw+ClassReconnections, "Name", "Name", name, "ReconnectCount", n)
	}
	set(ClassResources, resource("_Total", 7))
	set(ClassReconnections, reconnection("_Total", 7))
	failures, err := h.ResourceFailures(t.Context())
	reconnects, err2 := h.Reconnects(t.Context())
	if err != nil || err2 != nil || failures != (ResourceFailures{7, 3}) || reconnects != 7 {
		t.Errorf("the sum alone: %+v, %d, %v, %v", failures, reconnects, err, err2)
	}
	set(ClassResources, resource("a", 2), resource("b", 4), resource("_Total", 6))
	set(ClassReconnections, reconnection("a", 1), reconnection("b", 2), reconnection("_Total", 3))
	failures, err = h.ResourceFailures(t.Context())
	reconnects, err2 = h.Reconnects(t.Context())
	if err != nil || err2 != nil || failures != (ResourceFailures{6, 3}) || reconnects != 3 {
		t.Errorf("each and their sum: %+v, %d, %v, %v", failures, reconnects, err, err2)
	}
}
