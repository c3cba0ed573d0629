package wsfc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a node that answers after a time, or keeps silent until its context ends.
type fake struct {
	view   cluster.View
	err    error
	after  time.Duration
	silent bool
	asked  atomic.Int32 // for its view, or a part of it
	opined atomic.Int32 // for the part alone
	// ownersAsked are the resources whose owners were asked for one by one; nil where all were.
	ownersAsked atomic.Pointer[[]string]

	networking
	volumes       []cluster.SharedVolume
	partitions    []cluster.Partition
	partitionsErr error
	witness       *cluster.Resource
	ownership
}

var _ Source = (*fake)(nil)

func (f *fake) View(ctx context.Context) (cluster.View, error) {
	f.asked.Add(1)
	if f.silent {
		<-ctx.Done()
		return cluster.View{}, &probe.Error{Why: dial.TCPTimeout, Err: ctx.Err()}
	}
	select {
	case <-time.After(f.after):
		return f.view, f.err
	case <-ctx.Done():
		return cluster.View{}, &probe.Error{Why: dial.QueryTimeout, Err: ctx.Err()}
	}
}

// Opinion tells of the view what was asked for.
func (f *fake) Opinion(ctx context.Context, of func(string) bool) (cluster.View, error) {
	f.opined.Add(1)
	v, err := f.View(ctx)
	v.Groups = slices.DeleteFunc(slices.Clone(v.Groups), func(g cluster.Group) bool { return !of(g.Name) })
	v.Resources = nil
	return v, err
}

// answers is what a fake says to everything but View: what it has, its error, or nothing until the context ends.
func answers[T any](ctx context.Context, f *fake, v T) (T, error) {
	var none T
	switch {
	case f.silent:
		<-ctx.Done()
		return none, &probe.Error{Why: dial.TCPTimeout, Err: ctx.Err()}
	case f.err != nil:
		return none, f.err
	}
	return v, nil
}

func (f *fake) Networks(ctx context.Context) ([]cluster.Network, error) {
	return answers(ctx, f, f.networks)
}

func (f *fake) NetworkInterfaces(ctx context.Context) ([]cluster.NetworkInterface, error) {
	return answers(ctx, f, f.interfaces)
}

func (f *fake) SharedVolumes(ctx context.Context) ([]cluster.SharedVolume, error) {
	return answers(ctx, f, f.volumes)
}

func (f *fake) Partitions(ctx context.Context) ([]cluster.Partition, error) {
	if f.partitionsErr != nil {
		return nil, f.partitionsErr
	}
	return answers(ctx, f, f.partitions)
}

func (f *fake) Witness(ctx context.Context) (cluster.Resource, error) {
	w, err := answers(ctx, f, f.witness)
	if err == nil && w == nil {
		err = fmt.Errorf("read the witness: %w", cluster.ErrNotFound)
	}
	if err != nil {
		return cluster.Resource{}, err
	}
	return *w, nil
}

func (f *fake) PossibleOwners(ctx context.Context) (map[string][]string, error) {
	return answers(ctx, f, f.possible)
}

// PossibleOwnersOf remembers what was asked for.
func (f *fake) PossibleOwnersOf(ctx context.Context, resources []string) (map[string][]string, error) {
	f.ownersAsked.Store(&resources)
	return answers(ctx, f, f.possible)
}

func (f *fake) PreferredOwners(ctx context.Context) (map[string][]string, error) {
	return answers(ctx, f, f.preferred)
}

func (f *fake) VMResources(ctx context.Context) ([]cluster.Resource, error) {
	return answers(ctx, f, f.machines)
}

func inventory() *config.Cluster {
	return &config.Cluster{
		Name:  "hv-cl1",
		Nodes: []*config.Node{{Name: "HV1"}, {Name: "HV2"}, {Name: "HV3"}},
		VirtualMachines: []*config.VirtualMachine{
			{Name: "SQL01", Group: "SCVMM SQL01 Resources"},
			{Name: "SQL02", VMName: "sql02-production"},
		},
	}
}

func value[T any](v T) *T { return &v }

// view is a cluster of three nodes and a witness, all well.
func view(by string) cluster.View {
	return cluster.View{
		By: by,
		Info: cluster.Info{
			Name: "hv-cl1", FQDN: "hv-cl1.corp.example", FunctionalLevel: 11, SameSubnetDelay: time.Second, SameSubnetThreshold: 10,
			CrossSubnetDelay: 2 * time.Second, CrossSubnetThreshold: 20, ResiliencyDefaultPeriod: 240 * time.Second, ResiliencyLevel: 2,
			AutoBalancerMode: 2, AutoBalancerLevel: 1, QuorumType: 2, WitnessDynamicWeight: 0,
		},
		Nodes: []cluster.Node{
			{Name: "hv1", State: cluster.NodeUp, Weight: 1, DynamicWeight: 1},
			{Name: "HV2", State: cluster.NodePaused, Status: cluster.NodeDrainCompleted | cluster.NodeAvoidPlacement, DrainStatus: 2, Weight: 1, DynamicWeight: 1},
			{Name: "HV3", State: cluster.NodeUp, Weight: 1, DynamicWeight: 1},
		},
		Groups: []cluster.Group{
			{
				Name: "SCVMM SQL01 Resources", Type: cluster.GroupTypeVM, State: cluster.GroupOnline, Owner: "hv1", Status: cluster.GroupOSHeartbeat,
				Priority: 2000, PersistentState: true, DefaultOwner: noDefaultOwner, FailoverThreshold: 0xFFFFFFFF, FailoverPeriod: 6 * time.Hour,
			},
			{
				Name: "sql02", Type: cluster.GroupTypeVM, State: 17, Owner: "HV3", Status: cluster.GroupLocked | cluster.GroupWaitingInQueueForMove,
				Priority: 3000, DefaultOwner: 2, FailoverThreshold: 1, FailoverPeriod: 6 * time.Hour,
			},
			{Name: "File Server", Type: 100, State: cluster.GroupFailed, Owner: "HV2", DefaultOwner: noDefaultOwner},
			{Name: "Cluster Group", Type: 1, State: cluster.GroupOnline, Owner: "HV1", IsCore: true, DefaultOwner: noDefaultOwner},
		},
		Resources: []cluster.Resource{
			{Name: "Virtual Machine SQL01", Type: "Virtual Machine", Group: "SCVMM SQL01 Resources", Owner: "HV1", State: cluster.ResourceOnline, Status: 0x80, VMID: "11111111-aaaa-0000-0000-000000000001", PersistentState: value(true), CheckHeartbeat: value[uint32](1), OfflineAction: value[uint32](1)},
			{Name: "Virtual Machine Configuration SQL01", Type: "Virtual Machine Configuration", Group: "SCVMM SQL01 Resources", Owner: "HV1", State: cluster.ResourceOnline},
			{Name: "Virtual Machine SQL02", Type: "Virtual Machine", Group: "SQL02", Owner: "HV3", State: cluster.ResourceOfflinePending, Status: 0x21, LastStatus: 1460, VMID: "22222222-AAAA-0000-0000-000000000002", PersistentState: value(false), CheckHeartbeat: value[uint32](0)},
			{Name: "File Server", Type: "File Server", Group: "File Server", State: cluster.ResourceFailed},
			{Name: "File Share Witness", Type: "File Share Witness", Group: "Cluster Group", State: cluster.ResourceOnline},
		},
	}
}

// run runs one collector of a fresh session with a deadline and returns its result.
func run(t *testing.T, p *Prober, collector string, timeout time.Duration) probe.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	session := p.Session()
	defer session.Wait()
	defer cancel()
	i := slices.IndexFunc(session.Collectors, func(c probe.Collector) bool { return c.Name == collector })
	return session.Collectors[i].Collect(ctx, log.NewNopLogger())
}

func prober(hv1, hv2, hv3 *fake) *Prober {
	return New(Options{Cluster: inventory(), Sources: map[string]Source{"HV1": hv1, "HV2": hv2, "HV3": hv3}})
}

func well(by string) *fake { return &fake{view: view(by)} }

func TestGoldenCluster(t *testing.T) {
	t.Parallel()
	r := run(t, prober(well("HV1"), well("HV2"), well("HV3")), "cluster", time.Second)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	probetest.Golden(t, "cluster", r.Metrics)
}

func TestGoldenClusterFailed(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]dial.Reason{"cluster_refused": dial.Refused, "cluster_silent": dial.TCPTimeout} {
		bad := func() *fake { return &fake{err: &probe.Error{Why: reason, Err: errors.New("no")}} }
		r := run(t, prober(bad(), bad(), bad()), "cluster", time.Second)
		if got := probe.Reason(r.Err); got != reason {
			t.Errorf("%s: reason = %q, want %q", name, got, reason)
		}
		probetest.Golden(t, name, r.Metrics)
	}
}

// TestGoldenViews has two nodes that lost sight of the third, and the third alone on its side.
func TestGoldenViews(t *testing.T) {
	t.Parallel()
	majority := func(by string) *fake {
		v := view(by)
		v.Nodes[2].State = cluster.NodeDown
		v.Groups[1].Owner = "HV1"
		return &fake{view: v}
	}
	minority := view("HV3")
	minority.Nodes[0].State, minority.Nodes[1].State = cluster.NodeDown, cluster.NodeDown
	for name, hv3 := range map[string]*fake{
		"views_agree":     nil,
		"views_partition": {view: minority},
		"views_dead":      {err: &probe.Error{Why: dial.TCPTimeout, Err: errors.New("silent")}},
	} {
		p := prober(majority("HV1"), majority("HV2"), hv3)
		if hv3 == nil {
			p = prober(well("HV1"), well("HV2"), well("HV3"))
		}
		r := run(t, p, "views", time.Second)
		if r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
		probetest.Golden(t, name, r.Metrics)
	}
}

func TestViewsFailWhereNoNodeAnswers(t *testing.T) {
	t.Parallel()
	bad := func() *fake { return &fake{err: &probe.Error{Why: dial.Auth, Err: errors.New("401")}} }
	r := run(t, prober(bad(), bad(), bad()), "views", time.Second)
	if got := probe.Reason(r.Err); got != dial.Auth {
		t.Errorf("reason = %q, want %q", got, dial.Auth)
	}
	probetest.Golden(t, "views_none", r.Metrics)
}

// answeredBy is the node whose view the metrics show.
func answeredBy(t *testing.T, r probe.Result) string {
	t.Helper()
	if r.Err != nil {
		t.Fatalf("Collect() = %v", r.Err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics(r.Metrics))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "wsfc_info" {
			for _, l := range f.GetMetric()[0].GetLabel() {
				if l.GetName() == "view" {
					return l.GetValue()
				}
			}
		}
	}
	t.Fatal("wsfc_info is missing")
	return ""
}

type metrics []prometheus.Metric

func (metrics) Describe(chan<- *prometheus.Desc) {}

func (m metrics) Collect(ch chan<- prometheus.Metric) {
	for _, one := range m {
		ch <- one
	}
}

func TestClusterHedges(t *testing.T) {
	t.Parallel()
	refused := func() *fake { return &fake{err: &probe.Error{Why: dial.Refused, Err: errors.New("no")}} }
	silent := func() *fake { return &fake{silent: true} }
	noQuorum := func(by string) *fake {
		v := view(by)
		v.Nodes[1].State, v.Nodes[2].State = cluster.NodeDown, cluster.NodeDown
		return &fake{view: v}
	}
	slow := func(by string, after time.Duration) *fake { return &fake{view: view(by), after: after} }
	for _, tc := range []struct {
		name          string
		hv1, hv2, hv3 *fake
		by            string
		took          time.Duration
		asked         [3]int32
	}{
		{"all are well: one is asked", well("HV1"), well("HV2"), well("HV3"), "HV1", 0, [3]int32{1, 0, 0}},
		{"the first refuses: the second is asked at once", refused(), well("HV2"), well("HV3"), "HV2", 0, [3]int32{1, 1, 0}},
		{"the first is silent: the second is asked after a quarter", silent(), well("HV2"), well("HV3"), "HV2", time.Second, [3]int32{1, 1, 0}},
		{"two are silent: the third is asked after another quarter", silent(), silent(), well("HV3"), "HV3", 2 * time.Second, [3]int32{1, 1, 1}},
		{"all are silent: the deadline ends it", silent(), silent(), silent(), "", 4 * time.Second, [3]int32{1, 1, 1}},
		{"the first is silent, the second refuses", silent(), refused(), well("HV3"), "HV3", time.Second, [3]int32{1, 1, 1}},
		{"the first is slow and still first", slow("HV1", 1500*time.Millisecond), slow("HV2", time.Second), well("HV3"), "HV1", 1500 * time.Millisecond, [3]int32{1, 1, 0}},
		{"the first shows no quorum", noQuorum("HV1"), well("HV2"), well("HV3"), "HV2", 0, [3]int32{1, 1, 0}},
		{"no one shows quorum: the first that came counts", noQuorum("HV1"), noQuorum("HV2"), refused(), "HV1", 0, [3]int32{1, 1, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				r := run(t, prober(tc.hv1, tc.hv2, tc.hv3), "cluster", 4*time.Second)
				if got := time.Since(start); got != tc.took {
					t.Errorf("took %s, want %s", got, tc.took)
				}
				if tc.by == "" {
					if r.Err == nil {
						t.Error("Collect() succeeded")
					}
				} else if got := answeredBy(t, r); got != tc.by {
					t.Errorf("view of %s, want that of %s", got, tc.by)
				}
				if got := [3]int32{tc.hv1.asked.Load(), tc.hv2.asked.Load(), tc.hv3.asked.Load()}; got != tc.asked {
					t.Errorf("nodes asked = %v, want %v", got, tc.asked)
				}
			})
		})
	}
}

func TestClusterStartsAtTheLastGoodNode(t *testing.T) {
	t.Parallel()
	hv1, hv2, hv3 := &fake{err: errors.New("no")}, well("HV2"), well("HV3")
	p := prober(hv1, hv2, hv3)
	for range 2 {
		if got := answeredBy(t, run(t, p, "cluster", time.Second)); got != "HV2" {
			t.Fatalf("view of %s, want that of HV2", got)
		}
	}
	if got := hv1.asked.Load(); got != 1 {
		t.Errorf("HV1 was asked %d times, want once", got)
	}
}

// TestCollectorsShareAnswers runs both collectors at once, as a probe does: no node is asked twice, and a silent one
// costs the cluster collector nothing.
func TestCollectorsShareAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hv1, hv2, hv3 := &fake{silent: true}, &fake{view: view("HV2"), after: time.Second / 2}, well("HV3")
		p := prober(hv1, hv2, hv3)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		session := p.Session()
		start := time.Now()
		took := make([]time.Duration, len(session.Collectors))
		results := make([]probe.Result, len(session.Collectors))
		done := make(chan struct{})
		for i, c := range session.Collectors {
			go func() {
				results[i] = c.Collect(ctx, log.NewNopLogger())
				took[i] = time.Since(start)
				done <- struct{}{}
			}()
		}
		for range session.Collectors {
			<-done
		}
		cancel()
		session.Wait()
		for i, want := range []time.Duration{time.Second, 4 * time.Second} {
			if results[i].Err != nil || took[i] != want {
				t.Errorf("collector %s: %v after %s, want no error after %s", session.Collectors[i].Name, results[i].Err, took[i], want)
			}
		}
		for i, f := range []*fake{hv1, hv2, hv3} {
			if got := f.asked.Load(); got != 1 {
				t.Errorf("node %d was asked %d times, want once", i+1, got)
			}
		}
		if got := answeredBy(t, results[0]); got != "HV2" {
			t.Errorf("view of %s, want that of HV2", got)
		}
	})
}

func TestEveryStateHasALabel(t *testing.T) {
	t.Parallel()
	for code := int32(-2); code < 300; code++ {
		for _, got := range []struct {
			state string
			set   []string
		}{
			{nodeState(cluster.NodeState(code)), nodeStates},
			{groupState(cluster.GroupState(code)), groupStates},
			{resourceState(cluster.ResourceState(code)), resourceStates},
			{drainState(uint32(code)), drainStates},
		} {
			if !slices.Contains(got.set, got.state) {
				t.Errorf("code %d is %q, which is not in %s", code, got.state, strings.Join(got.set, " "))
			}
		}
	}
}

// TestLargestScrapeStaysBounded counts the series of 64 nodes and 8,000 virtual machines, 1,000 of them ours.
func TestLargestScrapeStaysBounded(t *testing.T) {
	t.Parallel()
	const nodes, machines, ours = 64, 8000, 1000
	cl := &config.Cluster{Name: "large"}
	var v cluster.View
	for i := range nodes {
		name := fmt.Sprintf("N%d", i)
		cl.Nodes = append(cl.Nodes, &config.Node{Name: name})
		v.Nodes = append(v.Nodes, cluster.Node{Name: name, DynamicWeight: 1})
	}
	for i := range machines {
		name := fmt.Sprintf("VM%d", i)
		if i < ours {
			cl.VirtualMachines = append(cl.VirtualMachines, &config.VirtualMachine{Name: name})
		}
		v.Groups = append(v.Groups, cluster.Group{Name: name, Type: cluster.GroupTypeVM, Owner: "N0"})
		v.Resources = append(v.Resources,
			cluster.Resource{
				Name: "Virtual Machine " + name, Type: "Virtual Machine", Group: name, VMID: name,
				PersistentState: value(true), CheckHeartbeat: value[uint32](1), OfflineAction: value[uint32](1),
			},
			cluster.Resource{Name: "Virtual Machine Configuration " + name, Type: "Virtual Machine Configuration", Group: name})
	}
	p := New(Options{Cluster: cl})
	var answers []answer
	for _, n := range cl.Nodes {
		answers = append(answers, answer{node: n.Name, value: v})
	}
	var s probe.Set
	p.clusterMetrics(&s, answers[0])
	if err := p.viewMetrics(&s, answers); err != nil {
		t.Fatal(err)
	}
	const networks = 4
	var n networking
	for i := range networks {
		name := fmt.Sprintf("Network %d", i)
		n.networks = append(n.networks, cluster.Network{Name: name})
		for _, node := range cl.Nodes {
			n.interfaces = append(n.interfaces, cluster.NetworkInterface{Name: node.Name + " - " + name, Node: node.Name, Network: name})
		}
	}
	p.networkMetrics(&s, n)
	if len(s) > 80_000 {
		t.Errorf("%d series, want at most 80,000", len(s))
	}
	t.Logf("%d series", len(s))
}

// TestLargeClusterIsReadOnce has more nodes than are asked for all they know: one is, and what the others say is enough
// to tell that one of them disagrees.
func TestLargeClusterIsReadOnce(t *testing.T) {
	t.Parallel()
	const nodes = wholeViews + 3
	cl := inventory()
	cl.Nodes = nil
	fakes := make([]*fake, nodes)
	sources := map[string]Source{}
	for i := range fakes {
		name := fmt.Sprintf("HV%d", i+1)
		cl.Nodes = append(cl.Nodes, &config.Node{Name: name})
		fakes[i] = &fake{view: view(name)}
		sources[name] = fakes[i]
	}
	odd := fakes[nodes-1]
	odd.view.Groups = slices.Clone(odd.view.Groups)
	i := slices.IndexFunc(odd.view.Groups, func(g cluster.Group) bool { return g.Name == "SCVMM SQL01 Resources" })
	odd.view.Groups[i].Owner = "HV9"
	session := New(Options{Cluster: cl, Sources: sources}).Session()
	for _, c := range session.Collectors[:2] {
		r := c.Collect(t.Context(), log.NewNopLogger())
		if r.Err != nil {
			t.Errorf("collector %s: %v", c.Name, r.Err)
		}
		if c.Name != "views" {
			continue
		}
		var disagree []string
		for _, m := range r.Metrics {
			var written dto.Metric
			if err := m.Write(&written); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(m.Desc().String(), `"wsfc_view_agrees"`) && written.GetGauge().GetValue() == 0 {
				disagree = append(disagree, fmt.Sprint(written.GetLabel()))
			}
		}
		if len(disagree) != 1 || !strings.Contains(disagree[0], fmt.Sprintf("HV%d", nodes)) || !strings.Contains(disagree[0], "owners") {
			t.Errorf("who disagrees: %q, want HV%d about owners alone", disagree, nodes)
		}
	}
	session.Wait()
	for i, f := range fakes {
		if asked, opined := f.asked.Load(), f.opined.Load(); asked != 1 || (opined == 0) != (i == 0) {
			t.Errorf("node %d was asked %d times, %d of them for a part; want once, and only the first for all", i+1, asked, opined)
		}
	}
}
