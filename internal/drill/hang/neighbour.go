package hang

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// MostSlowdown is how much longer a healthy target may take to answer while another one hangs.
const MostSlowdown = 1.05

// NeighbourOptions of Neighbours; both are required.
type NeighbourOptions struct {
	// Dir takes certificates and the configuration.
	Dir string
	// Pairs is how often each measurement is made with and without the neighbour.
	Pairs int
}

// Neighbour is what one peer that hangs costs one healthy target.
type Neighbour struct {
	Hung, Healthy string // modules
	Scrapes       int    // of the healthy target, half of them beside the hung one
	// Alone and Beside are the medians of the answer times.
	Alone, Beside time.Duration
	// Ratio is the median over the pairs of what the target took beside the peer by what it took alone.
	Ratio float64
}

// Neighbours measures what a hung SQL Server, and a hung host, cost the targets beside them. There are two exporters in
// this process. One has a probe of the peer under way all the time, in each of the ways in turn; the other one has none.
// Each healthy target is scraped by both right after each other, in changing order: what else happens on the machine,
// which is far more than what is looked for, falls on both alike. What a hung peer costs by holding something that its
// exporter's other probes need, a lock, a connection, a turn, falls on one.
func Neighbours(ctx context.Context, o NeighbourOptions) (all []Neighbour, err error) {
	n := &neighbourhood{}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.open(o.Dir); err != nil {
		return nil, err
	}
	for _, k := range []kind{tds8, host} {
		list, err := n.besides(ctx, k, o.Pairs)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// besides measures every healthy target beside one kind of peer.
func (n *neighbourhood) besides(ctx context.Context, k kind, pairs int) ([]Neighbour, error) {
	ctx, cancel := context.WithCancel(ctx)
	var neighbour sync.WaitGroup
	defer neighbour.Wait()
	defer cancel()
	hangs := make(chan error, 1)
	neighbour.Go(func() { n.keepHanging(ctx, k, hangs) })
	if err := <-hangs; err != nil {
		return nil, err
	}
	var all []Neighbour
	for _, t := range n.healthy {
		one := Neighbour{Hung: hungTarget(k, SYN).module, Healthy: t.module}
		var took [2][]time.Duration
		var ratios []float64
		for pair := range pairs {
			var now [2]time.Duration
			for i := range 2 {
				which := (pair + i) % 2
				var err error
				if now[which], err = wellScrape(ctx, n.handlers[which], t); err != nil {
					return nil, err
				}
				took[which] = append(took[which], now[which])
			}
			ratios = append(ratios, float64(now[beside])/float64(now[alone]))
		}
		one.Scrapes, one.Alone, one.Beside, one.Ratio = 2*pairs, median(took[alone]), median(took[beside]), median(ratios)
		all = append(all, one)
	}
	select {
	case err := <-hangs:
		return all, err
	default:
		return all, ctx.Err()
	}
}

// hungTimeout is what a probe of the peer gets.
const hungTimeout = 900 * time.Millisecond

// keepHanging keeps two probes of peers of a kind under way until ctx ends, so that there is one at every moment. The
// first nil on hangs says that they are; an error, that one did not hang.
func (n *neighbourhood) keepHanging(ctx context.Context, k kind, hangs chan<- error) {
	var probes sync.WaitGroup
	defer probes.Wait()
	for i := 0; ctx.Err() == nil; i++ {
		t := hungTarget(k, Ways()[i%len(Ways())])
		probes.Go(func() {
			a, err := scrape(ctx, n.handlers[beside], t.module, t.name, hungTimeout)
			if err == nil && a.success {
				err = fmt.Errorf("%s of %s succeeded: it did not hang", t.module, t.name)
			}
			if err != nil {
				select {
				case hangs <- err:
				default: // one tells enough
				}
			}
		})
		if i == 0 {
			hangs <- nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(hungTimeout / 2):
		}
	}
}

// hungTarget is the probe that reaches a peer of the kind.
func hungTarget(k kind, w Way) target {
	if k.sql() {
		return target{module: "mssql_availability", name: clusterName + "/VM-" + w.String() + "/" + string(k)}
	}
	return target{module: "hyperv", name: clusterName + "/" + k.machine(w)}
}

// wellScrape is how long a healthy target takes to answer.
func wellScrape(ctx context.Context, h http.Handler, t target) (time.Duration, error) {
	a, err := scrape(ctx, h, t.module, t.name, time.Minute)
	if err == nil && !a.success {
		err = fmt.Errorf("%s of %s failed: %v", t.module, t.name, a.reasons)
	}
	return a.took, err
}

// median is the middle one.
func median[T float64 | time.Duration](list []T) T {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// The two exporters of a neighbourhood.
const (
	alone = iota
	beside
)

// neighbourhood is a lab that is well, the peers, and two exporters of both.
type neighbourhood struct {
	handlers [2]http.Handler
	healthy  []target
	closers  []func() error
}

// open opens it; it is to be closed also after an error.
func (n *neighbourhood) open(dir string) error {
	l, err := lab.Start(lab.Options{Dir: dir, Logger: log.NewNopLogger(), Spec: model.Spec{
		Cluster: "well", Profile: model.Quick(), Nodes: []string{"HV1"},
		VMs: []model.VMSpec{{Name: "SQL01", Group: "SQL01", Node: "HV1", Instances: []string{"MSSQLSERVER"}}},
	}})
	if err != nil {
		return err
	}
	n.closers = append(n.closers, l.Close)
	n.healthy = []target{{module: "mssql_availability", name: "well/SQL01/MSSQLSERVER"}, {module: "hyperv", name: "well/HV1"}, {module: "guest", name: "well/SQL01"}}
	path, err := l.Config(lab.ConfigOptions{})
	if err != nil {
		return err
	}
	own := filepath.Join(dir, "peers")
	if err := os.Mkdir(own, 0o700); err != nil {
		return err
	}
	ca, err := lab.NewAuthority(own)
	if err != nil {
		return err
	}
	p, err := openPeers(ca, nil)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func() error { p.close(); return nil })
	if err := addCluster(path, clusterYAML(p, ca.File(), "winrm-reader", "sql-monitor")); err != nil {
		return err
	}
	for i := range n.handlers {
		e, err := exporter.New(exporter.Options{ConfigFile: path, Logger: log.NewNopLogger(), Registry: prometheus.NewPedanticRegistry()})
		if err != nil {
			return err
		}
		n.handlers[i] = e.Handler()
		n.closers = append(n.closers, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return e.Close(ctx)
		})
		for _, t := range n.healthy { // connections and caches that only the first scrape makes
			if _, err := wellScrape(context.Background(), n.handlers[i], t); err != nil {
				return err
			}
		}
	}
	return nil
}

// close closes what was opened, the last first.
func (n *neighbourhood) close() error {
	var errs []error
	for _, c := range slices.Backward(n.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// addCluster puts one more cluster into a configuration of the lab's, whose clusters stand before its receiver, and time
// enough into its modules: what is expected to hang is given less by the scrape.
func addCluster(path, cluster string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, after, found := bytes.Cut(b, []byte("receiver:\n"))
	if !found {
		return fmt.Errorf("%s has no receiver", path)
	}
	return os.WriteFile(path, slices.Concat(before, []byte(cluster+modulesYAML(time.Minute)+"receiver:\n"), after), 0o600)
}
