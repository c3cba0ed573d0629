package wsfc

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// witnessSource tells the quorum's witness; cluster.ErrNotFound means that there is none.
type witnessSource interface {
	Witness(ctx context.Context) (cluster.Resource, error)
}

type witnessDescs struct{ present, online, info probe.Desc }

func newWitnessDescs(d probe.Descs) witnessDescs {
	return witnessDescs{
		present: d.New("wsfc_witness_configured", "1 means that the cluster has a witness; 0 that only its nodes have votes."),
		online:  d.New("wsfc_witness_online", "1 means that the witness resource is online; absent where the cluster has none."),
		info:    d.New("wsfc_witness_info", "1 always; the labels say which resource the witness is, and of which type.", "resource", "type"),
	}
}

// witnessCollector tells the state of the witness: without it the cluster may be one failure from losing its quorum.
func (p *Prober) witnessCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "witness", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		a, err := hedged(ctx, l, r, p.order(), func(ctx context.Context, s Source) (*cluster.Resource, error) {
			w, err := s.Witness(ctx)
			if errors.Is(err, cluster.ErrNotFound) {
				return nil, nil // an answer: there is none
			}
			return &w, err
		})
		if err != nil {
			return probe.Result{Err: fmt.Errorf("read the cluster's witness: %w", err)}
		}
		var s probe.Set
		d := p.descs.witness
		s.Bool(d.present, a.value != nil)
		if w := a.value; w != nil {
			s.Bool(d.online, w.State == cluster.ResourceOnline)
			s.Gauge(d.info, 1, w.Name, w.Type)
		}
		return probe.Result{Metrics: s}
	}}
}
