package guard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// The limits of G20.
const (
	// failedHere is how long a node that the group left, or that a move of ours did not come to, is no destination.
	failedHere = time.Hour
	// memoryFactor and reserveGiB are what a destination must have free: a tenth more than the virtual machine has, and
	// what the host itself needs.
	memoryFactor = 1.1
	reserveGiB   = 4
)

// Candidate is the word on one node as a destination.
type Candidate struct {
	Node   string `json:"node"`
	Taken  bool   `json:"taken,omitempty"`
	Reason string `json:"reason"` // a bounded word
	Detail string `json:"detail"`
}

func (c Candidate) String() string { return c.Node + ": " + c.Detail }

// The reasons of candidates that were not read, which hold where the others refuse.
const (
	reasonUnread = "unreadable"
	reasonTaken  = "taken"
	reasonSecond = "eligible" // and another one is better
)

// destination is G20: a move has a node to go to that may own the group, is well, is not kept apart from it, sees its
// storage, has the memory and, for a starved machine, the processor time. What is not known of a node counts against it. The cluster itself would place the group by
// rules of its own, and only after it has let go of it.
func destination(in Input) Verdict {
	if !in.moves() {
		return pass("rung %s stays where the group is", in.Rung)
	}
	node, list, ok := Destination(in)
	switch {
	case !ok:
		return hold("unreadable", in.soon(), "where the group may run could not be read: %s", in.placementFailure())
	case node != "":
		return pass("to %s; %s", node, words(list))
	case slices.ContainsFunc(list, func(c Candidate) bool { return c.Reason == reasonUnread }):
		return hold("no_target", in.soon(), "no node is known to be able to take it; %s", words(list))
	}
	return refuse("no_target", "no node can take it; %s", words(list)).
		unblocked("make room on a node, or move it by hand (Move-ClusterVirtualMachineRole) where you know better")
}

func words(list []Candidate) string {
	said := make([]string, len(list))
	for i, c := range list {
		said[i] = c.String()
	}
	return strings.Join(said, "; ")
}

func (in Input) placementFailure() string {
	round, ok := in.last()
	switch p := round.Placement; {
	case !ok:
		return "nothing has been read yet"
	case p.At.IsZero():
		return "it was not asked"
	case !p.Known():
		return strings.TrimSpace(string(p.Failure) + " " + p.Detail)
	}
	return "no node says who owns the group"
}

// Destination chooses the node that a move goes to, and says of every node of the cluster why it was or was not taken:
// preferred owners first, in their order, then, for a starved machine, the one that would be least busy, then the node with
// most free memory, then by name. node is empty where none will do; ok is false where there is nothing to choose by.
func Destination(in Input) (node string, list []Candidate, ok bool) {
	round, read := in.last()
	owner := in.owner()
	if !read || !round.Placement.Known() || len(round.Placement.Value.Nodes) == 0 || owner == "" {
		return "", nil, false
	}
	p := round.Placement.Value
	nodes := slices.Clone(p.Nodes)
	rank := func(n cluster.PlacementNode) int {
		if i := slices.Index(p.PreferredOwners, n.Name); i >= 0 {
			return i
		}
		return math.MaxInt
	}
	slices.SortFunc(nodes, func(a, b cluster.PlacementNode) int {
		load := 0
		if in.Subject.Fault == evidence.Resource {
			load = in.busier(a.Name, b.Name, round)
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), load, cmp.Compare(p.Hosts[b.Name].Value.MemoryFree, p.Hosts[a.Name].Value.MemoryFree), cmp.Compare(a.Name, b.Name))
	})
	for _, n := range nodes {
		c := Candidate{Node: n.Name}
		c.Reason, c.Detail = in.unfit(n, owner, round)
		switch {
		case c.Reason != "":
		case node != "":
			c.Reason, c.Detail = reasonSecond, "would do; "+node+" comes first"
		default:
			node = n.Name
			c.Taken, c.Reason, c.Detail = true, reasonTaken, "up, may own it, sees its storage and has the memory"
			if in.Subject.Fault == evidence.Resource {
				busy, _, _ := in.expected(n.Name, round)
				c.Detail += fmt.Sprintf("; %s, and would be at %d %% with it", inWords(round.Loads[n.Name].Value), percent(busy))
			}
			if i := slices.Index(p.PreferredOwners, n.Name); i >= 0 {
				c.Detail += fmt.Sprintf("; preferred owner %d", i+1)
			}
		}
		list = append(list, c)
	}
	return node, list, true
}

// unfit says why a node is no destination; the reason is empty for one that is. The cheapest and surest come first.
func (in Input) unfit(n cluster.PlacementNode, owner string, round evidence.Round) (reason, detail string) {
	p := round.Placement.Value
	at, ownerKnown := p.Node(owner)
	host := p.Hosts[n.Name]
	apart := slices.IndexFunc(p.Apart, func(g cluster.PlacedGroup) bool { return g.Owner == n.Name })
	switch {
	case n.Name == owner:
		return "owner", "owns it now"
	case n.State != cluster.NodeUp:
		return "not_up", fmt.Sprintf("is in state %d, not up", n.State)
	case n.Status != 0:
		return "not_normal", fmt.Sprintf("has status %#x", uint32(n.Status))
	case !slices.Contains(p.PossibleOwners, n.Name):
		return "not_possible", "is no possible owner of every resource of the group"
	case !ownerKnown:
		return reasonUnread, "the site of " + owner + " is not known"
	case apart >= 0:
		return "anti_affinity", fmt.Sprintf("has %s, which shares an anti-affinity class", p.Apart[apart].Name)
	case !in.leftSince(n.Name).IsZero():
		return "failed_here", fmt.Sprintf("the group left it, or did not come to it, at %s", in.leftSince(n.Name).Format(time.RFC3339))
	}
	here, read := site(n.FaultDomain)
	there, readThere := site(at.FaultDomain)
	switch {
	case !read || !readThere:
		return reasonUnread, fmt.Sprintf("its site is not understood (%q, the owner's %q)", n.FaultDomain, at.FaultDomain)
	case here != there:
		return "other_site", fmt.Sprintf("is in site %q, the owner in %q: a person decides", here, there)
	case !host.Known():
		return reasonUnread, strings.TrimSpace(fmt.Sprintf("does not tell its memory and volumes: %s %s", host.Failure, host.Detail))
	}
	if reason, detail := storage(host.Value.Volumes); reason != "" {
		return reason, detail
	}
	if in.Subject.Fault == evidence.Network {
		switch up, known := linked(host.Value.Uplinks); {
		case !known:
			return reasonUnread, "does not tell whether the uplink of its virtual switches is connected"
		case !up:
			return "uplink", "has no uplink that is connected either"
		}
	}
	if in.Subject.Fault == evidence.Resource {
		if reason, detail := in.loaded(n.Name, round); reason != "" {
			return reason, detail
		}
	}
	if !p.Memory.Known() || p.Memory.Value == 0 {
		return reasonUnread, strings.TrimSpace(fmt.Sprintf("how much memory the virtual machine needs is not known: %s %s", p.Memory.Failure, p.Memory.Detail))
	}
	if need := uint64(float64(p.Memory.Value)*memoryFactor) + reserveGiB<<30; host.Value.MemoryFree < need {
		return "memory", fmt.Sprintf("has %s free, %s are needed", mib(host.Value.MemoryFree), mib(need))
	}
	return "", ""
}

func mib(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// storage: the cluster's shared volumes, as the node itself sees them. A cluster without any keeps its virtual machines
// where this cannot see.
func storage(volumes []cluster.SharedVolume) (reason, detail string) {
	if len(volumes) == 0 {
		return reasonUnread, "shows no cluster shared volume: whether it sees the storage is not known"
	}
	for _, v := range volumes {
		if v.Fault != cluster.VolumeFaultNone {
			return "storage", fmt.Sprintf("sees volume %s with fault state %d", v.Name, v.Fault)
		}
	}
	return "", ""
}

// site reads a node's site from its fault domain: the entry "Site:name". Where nobody described any, there is one site. A
// fault domain that has no such entry is written in a way that this does not know.
func site(domain []string) (name string, ok bool) {
	const prefix = "site:"
	for _, d := range domain {
		if len(d) >= len(prefix) && strings.EqualFold(d[:len(prefix)], prefix) {
			return d[len(prefix):], true
		}
	}
	return "", len(domain) == 0
}

// leftSince is when the group last left a node, or a move of ours to it ended without proof, within an hour; zero where it
// did not. Whatever the reason was: what made it leave may be there still.
func (in Input) leftSince(node string) time.Time {
	var left time.Time
	for i, o := range in.Owners[:max(0, len(in.Owners)-1)] {
		if since := in.since(in.Owners[i+1]); o.Node == node && in.Now.Sub(since) < failedHere && since.After(left) {
			left = since
		}
	}
	for _, p := range in.Past {
		if p.VM == in.Subject.VM && p.To == node && !p.Verified && !p.Ended.IsZero() && in.Now.Sub(p.Ended) < failedHere && p.Ended.After(left) {
			left = p.Ended
		}
	}
	return left
}

// moves reports whether the rung takes the group to another node.
func (in Input) moves() bool { return in.Rung.Kind() == config.OnNode }
