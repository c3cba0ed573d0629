package site

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// sweepTimeout bounds the look around (G17).
const sweepTimeout = time.Second

// sweep looks at every other watched virtual machine of the cluster and at the controls outside it, all at once. It
// opens connections and says nothing over them. Who could not be tried counts as sick: a brake fails closed.
func (q *question) sweep(ctx context.Context) evidence.Reading[evidence.Sweep] {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	r := evidence.Reading[evidence.Sweep]{At: time.Now().UTC()}
	var work sync.WaitGroup
	var siblings []*machine
	for _, vm := range q.site.config.Cluster(q.place.name).VirtualMachines {
		if m := q.place.vms[vm.Name]; m != q.machine && len(m.servers) > 0 {
			siblings = append(siblings, m)
		}
	}
	r.Value.Watched = make([]evidence.Sibling, len(siblings))
	for n, m := range siblings {
		work.Go(func() {
			why := anyConnects(ctx, m.servers)
			r.Value.Watched[n] = evidence.Sibling{
				VM: m.config.Name, Owner: q.place.owner(m.config.GroupName()), Sick: why != dial.Answered, Reason: why,
			}
		})
	}
	controls := q.site.config.Receiver.Controls
	r.Value.Controls = make([]evidence.Control, len(controls))
	for n, c := range controls {
		work.Go(func() {
			why := q.site.connect(ctx, strings.TrimPrefix(c, "tcp://"))
			r.Value.Controls[n] = evidence.Control{Address: c, OK: why == dial.Answered, Reason: why}
		})
	}
	work.Wait()
	return r
}

// anyConnects reports why none of a virtual machine's instances accepts a connection; Answered where one does.
func anyConnects(ctx context.Context, servers map[string]*sqlhealth.Prober) dial.Reason {
	reasons := make(chan dial.Reason, len(servers))
	for _, p := range servers {
		go func() { reasons <- p.Connect(ctx) }()
	}
	why := dial.Other
	for range servers {
		if r := <-reasons; r == dial.Answered || why != dial.Answered {
			why = r
		}
	}
	return why
}

// connect opens a connection to an address and closes it.
func (s *Site) connect(ctx context.Context, address string) dial.Reason {
	t := s.targets.Names().NewTracker()
	stop := t.Watch(ctx)
	defer stop()
	c, err := t.DialContext(ctx, "tcp", address)
	if err != nil {
		return dial.Classify(ctx, t, err)
	}
	_ = c.Close() // nothing was said
	return dial.Answered
}
