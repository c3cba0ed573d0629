package site

import (
	"context"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// sqlDumper is the program by which SQL Server writes its dumps (learn.microsoft.com, "Use the Sqldumper.exe tool to
// generate a dump file in SQL Server").
const sqlDumper = "SqlDumper.exe"

// activity reads what the owner does to the virtual machine, by its proven id: no name is in a job.
func (q *question) activity(ctx context.Context) evidence.Reading[cluster.Activity] {
	h, ok := q.place.hosts[q.ask.Owner]
	if !ok || q.ask.VMID == "" {
		return unread[cluster.Activity](time.Now().UTC(), dial.Other, "the owner or the id of the virtual machine is not known")
	}
	return reading(ctx, func(ctx context.Context) (cluster.Activity, error) { return h.Activity(ctx, q.ask.VMID) })
}

// monitoring reads whether the cluster watches the guest's heartbeat: the owner tells, for it is what acts.
func (q *question) monitoring(ctx context.Context) evidence.Reading[cluster.HeartbeatMonitoring] {
	h, ok := q.place.hosts[q.ask.Owner]
	if !ok {
		return unread[cluster.HeartbeatMonitoring](time.Now().UTC(), dial.Other, "no owner is known yet")
	}
	group := q.machine.config.GroupName()
	return reading(ctx, func(ctx context.Context) (cluster.HeartbeatMonitoring, error) {
		return h.HeartbeatMonitoring(ctx, group)
	})
}

// siblings tries the instances of the virtual machine that the round is not about.
func (q *question) siblings(ctx context.Context) map[string]evidence.Reading[evidence.Login] {
	out := map[string]evidence.Reading[evidence.Login]{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, s := range q.machine.config.SQLServers {
		if s.Instance == q.ask.Instance {
			continue
		}
		work.Go(func() {
			r := login(ctx, q.machine.servers[s.Instance], false)
			mu.Lock()
			defer mu.Unlock()
			out[s.Instance] = r
		})
	}
	work.Wait()
	return out
}
