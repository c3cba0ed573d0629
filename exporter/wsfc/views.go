package wsfc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// viewDescs describe what each node sees. A view that could not be read has no series but success, reason and nothing
// else: it agrees with nobody and contradicts nobody.
type viewDescs struct {
	success, reason, quorum, votesCurrent, votesNeeded, agrees probe.Desc
	read, asked, allAgree                                      probe.Desc
	others, othersUp, othersDown                               probe.Desc
}

func newViewDescs(d probe.Descs) viewDescs {
	return viewDescs{
		success:      d.New("wsfc_view_success", "1 means that the node told its own view of the cluster.", "node"),
		reason:       d.New("wsfc_view_failure_reason", "1 for the reason why the node did not tell its view; 0 for all where it did.", "node", "reason"),
		quorum:       d.New("wsfc_view_quorum", "1 means that the node sees a majority of the votes on its own side. Only for nodes that told their view.", "node"),
		votesCurrent: d.New("wsfc_view_votes_current", "Votes that the node sees up or paused, the witness' included. Only for nodes that told their view.", "node"),
		votesNeeded:  d.New("wsfc_view_votes_needed", "Votes that the node takes for a majority. Only for nodes that told their view.", "node"),
		agrees:       d.New("wsfc_view_agrees", "1 means that what the node says about the subject is what most of the nodes that told their view say. Subjects: nodes (their states), owners (of the inventory's virtual machines), states (of their groups).", "node", "subject"),
		read:         d.New("wsfc_views_read", "How many nodes told their view."),
		asked:        d.New("wsfc_views_asked", "How many nodes were asked for their view: all of the inventory's."),
		allAgree:     d.New("wsfc_views_agree", "1 means that all nodes that told their view say the same about the subject.", "subject"),
		others:       d.New("wsfc_node_views", "How many other nodes told their view of this node.", "node"),
		othersUp:     d.New("wsfc_node_views_up", "How many other nodes call this node up or paused.", "node"),
		othersDown:   d.New("wsfc_node_views_down", "How many other nodes call this node down.", "node"),
	}
}

// wholeViews is up to how many nodes each is asked for its whole view: then the next node's is already under way where
// the first one of the cluster collector's is silent. With more nodes that would cost more than it is worth: 64 whole
// views of 8,000 virtual machines are more than a gigabyte.
const wholeViews = 4

// viewsCollector asks every node for its view. It has seen something as long as one answered; which one did not is in
// wsfc_view_success, so that a dead node does not make the whole cluster look unwatched.
func (p *Prober) viewsCollector(r *reader) probe.Collector {
	return probe.Collector{Name: "views", Collect: func(ctx context.Context, l log.Logger) probe.Result {
		questions := make([]*question, 0, len(p.cluster.Nodes))
		first := p.order()[0] // which the cluster collector asks for all there is
		for _, n := range p.cluster.Nodes {
			if n.Name == first || len(p.cluster.Nodes) <= wholeViews {
				questions = append(questions, r.ask(ctx, n.Name))
			} else {
				questions = append(questions, r.say(ctx, n.Name, p.names.inventoried))
			}
		}
		var answers []answer
		for i, q := range questions {
			// A source that outlives its context costs its own view, not those of the others.
			a := answer{node: p.cluster.Nodes[i].Name}
			select {
			case <-q.done:
				a = q.answer
			case <-ctx.Done():
				select {
				case <-q.done:
					a = q.answer
				default:
					a.err = &probe.Error{Why: dial.QueryTimeout, Err: ctx.Err()}
				}
			}
			if a.err != nil {
				level.Debug(l).Log("msg", "node did not tell its view", "node", a.node, "err", a.err)
			}
			answers = append(answers, a)
		}
		var s probe.Set
		err := p.viewMetrics(&s, answers)
		return probe.Result{Metrics: s, Err: err}
	}}
}

// viewMetrics turns the answers of all nodes into metrics. The error is there when no node answered.
func (p *Prober) viewMetrics(s *probe.Set, answers []answer) error {
	d := p.descs.views
	var read []answer
	for _, a := range answers {
		s.Bool(d.success, a.err == nil, a.node)
		reason := probe.Reason(a.err)
		for _, r := range dial.Reasons() {
			s.Bool(d.reason, r == reason, a.node, string(r))
		}
		if a.err == nil {
			read = append(read, a)
		}
	}
	s.Gauge(d.asked, float64(len(answers)))
	s.Gauge(d.read, float64(len(read)))
	if len(read) == 0 {
		return fmt.Errorf("ask every node for its view: %s: %w", answers[0].node, answers[0].err)
	}
	for _, a := range read {
		current, needed := a.value.Votes()
		s.Bool(d.quorum, current >= needed, a.node)
		s.Gauge(d.votesCurrent, float64(current), a.node)
		s.Gauge(d.votesNeeded, float64(needed), a.node)
	}
	for _, sub := range subjects {
		p.agreement(s, sub, read)
	}
	p.opinions(s, read)
	return nil
}

// subject is something that nodes may disagree about: say writes what a view says of it in a form to be compared.
type subject struct {
	name string
	say  func(p *Prober, v cluster.View) string
}

var subjects = []subject{
	{"nodes", (*Prober).sayNodes},
	{"owners", (*Prober).sayOwners},
	{"states", (*Prober).sayStates},
}

func (p *Prober) sayNodes(v cluster.View) string {
	states := make(map[string]string, len(v.Nodes))
	for i := range v.Nodes {
		states[p.names.node(v.Nodes[i].Name)] = strconv.Itoa(int(v.Nodes[i].State))
	}
	return say(states)
}

func (p *Prober) sayOwners(v cluster.View) string {
	return p.sayGroups(v, func(g *cluster.Group) string { return strings.ToLower(g.Owner) })
}

func (p *Prober) sayStates(v cluster.View) string {
	return p.sayGroups(v, func(g *cluster.Group) string { return strconv.Itoa(int(g.State)) })
}

// sayGroups is about the groups of the inventory only: the others are nobody's business here.
func (p *Prober) sayGroups(v cluster.View, of func(*cluster.Group) string) string {
	said := make(map[string]string, len(p.cluster.VirtualMachines))
	for i := range v.Groups {
		if vm := p.names.vm(v.Groups[i].Name); vm != "" {
			said[vm] = of(&v.Groups[i])
		}
	}
	return say(said)
}

// say writes a map in the order of its keys.
func say(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(k)
		b.WriteByte('=')
		b.WriteString(m[k])
		b.WriteByte('/')
	}
	return b.String()
}

// agreement tells who says what most say. Where two opinions have the same number of followers, the one of the node
// that stands first in the inventory counts as the majority's: that it is disputed shows in wsfc_views_agree.
func (p *Prober) agreement(s *probe.Set, sub subject, read []answer) {
	said := make([]string, len(read))
	followers := map[string]int{}
	most := ""
	for i, a := range read {
		said[i] = sub.say(p, a.value)
		followers[said[i]]++
	}
	for i, opinion := range said {
		if i == 0 || followers[opinion] > followers[most] {
			most = opinion
		}
	}
	for i, a := range read {
		s.Bool(p.descs.views.agrees, said[i] == most, a.node, sub.name)
	}
	s.Bool(p.descs.views.allAgree, len(followers) == 1, sub.name)
}

// opinions counts what the other nodes call each node. A node's word about itself does not count.
func (p *Prober) opinions(s *probe.Set, read []answer) {
	type count struct{ others, up, down int }
	counts := make(map[string]*count, len(p.cluster.Nodes))
	for _, n := range p.cluster.Nodes {
		counts[n.Name] = &count{}
	}
	for _, a := range read {
		for i := range a.value.Nodes {
			name := p.names.node(a.value.Nodes[i].Name)
			c, ok := counts[name]
			if !ok || name == a.node {
				continue
			}
			c.others++
			switch a.value.Nodes[i].State {
			case cluster.NodeUp, cluster.NodePaused:
				c.up++
			case cluster.NodeDown:
				c.down++
			case cluster.NodeUnknown, cluster.NodeJoining:
			}
		}
	}
	for _, n := range p.cluster.Nodes {
		c := counts[n.Name]
		s.Gauge(p.descs.views.others, float64(c.others), n.Name)
		s.Gauge(p.descs.views.othersUp, float64(c.up), n.Name)
		s.Gauge(p.descs.views.othersDown, float64(c.down), n.Name)
	}
}
