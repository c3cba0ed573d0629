package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// This file tells of the model what receiver/site would have read of the lab's servers, and does to it what they would
// have done: internal/lab's tables and behaviours are the pattern.

// key names one disturbance; name is empty where it concerns everything.
type key struct {
	kind Kind
	name string
}

// nature is what disturbs the model's world, and until when.
type nature struct {
	until     map[key]time.Time
	swapped   map[string]string // whose addresses lead to whom, while opSwap lasts
	fates     []Op              // of the next commands
	waiting   []Op              // ops that wait for a point
	owners    map[string]string // by the newest sample, as receiver/site keeps them
	said      map[string]bool   // nodes that have said who they are in this life of the receiver
	ahead     time.Duration     // of Prometheus' clock, while opSkew lasts
	databases map[string]string // of every instance; nobody writes to it
	streams   map[string]stream // of diagnostics, by virtual machine and instance, in this life of the receiver
	// Since when a component of a server is in error, and since when it was healed by itself.
	sickSince, wellSince map[*model.Server]time.Time
	// strained says that anything was ever starved, strain when each machine began and ceased to have too little. Of the
	// last host that was used up, starvedNode and starvedOn remember who was where then.
	strained    bool
	strain      map[string][]strain
	starvedNode string
	starvedOn   map[string]string
}

func newNature() nature {
	return nature{until: map[key]time.Time{}, swapped: map[string]string{}, owners: map[string]string{}, said: map[string]bool{}, databases: databaseStates(), streams: map[string]stream{}, sickSince: map[*model.Server]time.Time{}, wellSince: map[*model.Server]time.Time{}, strain: map[string][]strain{}, starvedOn: map[string]string{}}
}

// is reports whether a disturbance lasts.
func (w *world) is(k Kind, name string) bool {
	until, ok := w.until[key{k, name}]
	return ok && w.now.Before(until)
}

// leads is the virtual machine that answers at the addresses of another.
func (w *world) leads(vm string) *model.VM {
	if to, ok := w.swapped[vm]; ok && w.is(opSwap, vm) {
		return w.model.VM(to)
	}
	return w.model.VM(vm)
}

// manner is how a guest's network meets a client.
type manner int

const (
	answers manner = iota
	hangs          // accepts and says nothing
	unanswered
)

func (w *world) manner(v *model.VM) manner {
	switch {
	case !w.model.Reachable(v):
		return unanswered
	case v.Guest == model.GuestHung:
		return hangs
	}
	return answers
}

// silent reports whether a node does not answer the receiver.
func (w *world) silent(node string) bool {
	n := w.model.Node(node)
	return w.is(opCut, "") || w.is(opBlindNode, node) || !n.Powered || n.Deaf || n.Hung || n.Expired
}

// deaf is why the guest at a virtual machine's address does not answer the receiver's WinRM; Answered where it does.
func (w *world) deaf(vm string) dial.Reason {
	if w.is(opCut, "") || w.is(opBlindGuest, vm) {
		return dial.TCPTimeout
	}
	if w.leads(vm).Expired {
		return dial.TLS
	}
	switch w.manner(w.leads(vm)) {
	case unanswered:
		return dial.TCPTimeout
	case hangs:
		return dial.TLSTimeout
	case answers:
	}
	return dial.Answered
}

// refusal is why a login to an instance fails; Answered where it succeeds.
func (w *world) refusal(vm, instance string) dial.Reason {
	v := w.leads(vm)
	switch m := w.manner(v); {
	case w.is(opCut, ""), m == unanswered:
		return dial.TCPTimeout
	case m == hangs:
		return dial.TLSTimeout
	}
	switch s := v.Server(instance); {
	case s == nil:
		return dial.Refused // nobody listens on that port
	case s.Hung:
		return dial.LoginTimeout
	case !s.Up:
		return dial.Refused
	}
	return dial.Answered
}

// connects reports whether a TCP connection to any instance can be made.
func (w *world) connects(vm *config.VirtualMachine) dial.Reason {
	why := dial.Other
	for _, q := range vm.SQLServers {
		switch why = w.refusal(vm.Name, q.Instance); why {
		case dial.Answered, dial.LoginTimeout, dial.TLSTimeout: // accepted
			return dial.Answered
		default:
		}
	}
	return why
}

// latency is how long a round takes: as long as its slowest part, and no longer than its time-out.
func (w *world) latency(a evidence.Ask) time.Duration {
	took := w.between(4*time.Millisecond, 40*time.Millisecond)
	if w.is(opSlow, "") {
		took = a.Timeout * 9 / 10
	}
	for _, p := range a.Parts {
		late := false
		switch p {
		case evidence.PartAlert:
			late = w.is(opAMDown, "") || w.is(opCut, "")
		case evidence.PartLogin, evidence.PartDatabases, evidence.PartDiagnostics:
			if a.Instance != evidence.NoInstance {
				why := w.refusal(a.VM.Name, a.Instance)
				late = why != dial.Answered && why != dial.Refused
			}
		case evidence.PartService, evidence.PartDependents, evidence.PartProcess, evidence.PartEvents, evidence.PartGuest, evidence.PartDumps,
			evidence.PartStartErrors:
			late = w.deaf(a.VM.Name) != dial.Answered
		case evidence.PartSiblings:
			for _, q := range w.config.Cluster(a.VM.Cluster).VirtualMachine(a.VM.Name).SQLServers {
				why := w.refusal(a.VM.Name, q.Instance)
				late = late || q.Instance != a.Instance && why != dial.Answered && why != dial.Refused
			}
		case evidence.PartHost, evidence.PartActivity, evidence.PartUplinks, evidence.PartMonitoring:
			late = a.Owner != "" && w.silent(a.Owner)
		case evidence.PartViews:
			for _, n := range w.asksOf(a.Nodes) {
				late = late || w.silent(n)
			}
		case evidence.PartPlacement:
			for _, n := range w.spec.Nodes {
				late = late || w.silent(n)
			}
		case evidence.PartLoads:
			for _, n := range w.asksOf(a.Loads) {
				late = late || n != "" && w.silent(n)
			}
		case evidence.PartSweep:
			late = w.is(opControls, "") || w.is(opCut, "")
		}
		if late {
			return a.Timeout
		}
	}
	return min(took, a.Timeout)
}

func (w *world) asksOf(nodes []string) []string {
	if len(nodes) == 0 {
		return w.spec.Nodes
	}
	return nodes
}

// read is a round as receiver/site would have read it, asked at a moment.
func (w *world) read(a evidence.Ask, at time.Time) evidence.Round {
	r := evidence.Round{Started: at, Finished: w.now}
	vm := w.config.Cluster(a.VM.Cluster).VirtualMachine(a.VM.Name)
	v, deaf := w.leads(a.VM.Name), w.deaf(a.VM.Name)
	name := ""
	if a.Instance != evidence.NoInstance {
		name = vm.SQLServer(a.Instance).ServiceName()
	}
	databases := false
	for _, p := range a.Parts {
		databases = databases || p == evidence.PartDatabases
	}
	for _, p := range a.Parts {
		switch p {
		case evidence.PartAlert:
			r.Alert = w.alerts.ask(a.AlertLabels, at)
		case evidence.PartGuest:
			r.Guest = known(cluster.GuestIdentity{ComputerName: v.Name, ProductUUID: v.ProductUUID, LastBoot: v.Booted}, at, deaf)
		case evidence.PartHost:
			r.Host = w.host(a, vm, at)
		case evidence.PartViews:
			r.Views = w.views(w.asksOf(a.Nodes), vm.GroupName(), at)
		case evidence.PartUplinks:
			why := dial.Answered
			if a.Owner == "" {
				why = dial.Other
			} else if w.silent(a.Owner) {
				why = dial.TCPTimeout
			}
			r.Uplinks = known(w.uplinks(a.Owner), at, why)
		case evidence.PartMonitoring:
			r.Monitoring = w.monitoring(a, at)
		case evidence.PartJob:
			r.Job = w.job(a, at)
		case evidence.PartLoads:
			r.Loads = w.loads(a.Loads, at)
		case evidence.PartPlacement:
			r.Placement = w.placement(a, vm, at)
		case evidence.PartSweep:
			r.Sweep = evidence.Reading[evidence.Sweep]{At: at, Value: w.sweep(a.VM)}
		case evidence.PartActivity:
			r.Activity = w.activity(a, vm.Name, at)
		case evidence.PartDumps:
			r.Dumps = known(dumps(v), at, deaf)
		case evidence.PartSiblings:
			r.Siblings = map[string]evidence.Reading[evidence.Login]{}
			for _, q := range vm.SQLServers {
				if q.Instance != a.Instance {
					r.Siblings[q.Instance] = w.login(a.VM.Name, q.Instance, false, at)
				}
			}
		case evidence.PartLogin:
			if name != "" {
				r.Login = w.login(a.VM.Name, a.Instance, databases, at)
			}
		case evidence.PartDatabases: // with the login
		case evidence.PartDiagnostics:
			if name != "" {
				r.Diagnostics = w.diagnostics(a.VM.Name, a.Instance, at)
			}
		case evidence.PartService:
			if name != "" {
				r.Service = service(v, name, at, deaf)
			}
		case evidence.PartProcess:
			if name != "" {
				r.Process = process(v, name, a.PID, at, deaf)
			}
		case evidence.PartDependents:
			if name != "" {
				r.Dependents = known(dependents(v, name), at, deaf)
			}
		case evidence.PartEvents:
			if name != "" {
				r.Events = known(events(v, name, a.EventsSince), at, deaf)
			}
		case evidence.PartStartErrors:
			r.StartErrors = known(startErrors(v, a.Service, a.EventsSince), at, deaf)
		}
	}
	return r
}

// known is a reading, or why there is none.
func known[T any](v T, at time.Time, why dial.Reason) evidence.Reading[T] {
	if why != dial.Answered {
		return evidence.Reading[T]{At: at, Failure: why, Detail: "not answered"}
	}
	return evidence.Reading[T]{Value: v, At: at}
}

// serviceOf makes a Win32_Service of the model's.
func serviceOf(s *model.Service) cluster.Service {
	return cluster.Service{Name: s.Name, State: s.State, StartMode: s.StartMode, ProcessID: s.PID, ExitCode: s.ExitCode}
}

func service(v *model.VM, name string, at time.Time, deaf dial.Reason) evidence.Reading[cluster.Service] {
	s := v.Service(name)
	if s == nil && deaf == dial.Answered {
		return evidence.Reading[cluster.Service]{At: at, Failure: dial.Other, Detail: "not found"}
	}
	if s == nil {
		return known(cluster.Service{}, at, deaf)
	}
	return known(serviceOf(s), at, deaf)
}

// process reads the service's own process, or the one with a number.
func process(v *model.VM, name string, pid uint32, at time.Time, deaf dial.Reason) evidence.Reading[cluster.Process] {
	if s := v.Service(name); pid == 0 && s != nil {
		pid = s.PID
	}
	for _, s := range v.Services {
		if pid != 0 && s.PID == pid {
			return known(cluster.Process{ID: pid, Name: s.Image, Created: s.Created}, at, deaf)
		}
	}
	return known(cluster.Process{}, at, deaf)
}

func dependents(v *model.VM, name string) []cluster.Service {
	var list []cluster.Service
	for _, s := range v.Services {
		if strings.EqualFold(s.DependsOn, name) {
			list = append(list, serviceOf(s))
		}
	}
	return list
}

// events are the service's own, newest first.
func events(v *model.VM, name string, since time.Time) []cluster.Event {
	s := v.Service(name)
	if s == nil {
		return nil
	}
	var list []cluster.Event
	for n := len(v.Events) - 1; n >= 0 && len(list) < 16; n-- {
		if e := v.Events[n]; !e.At.Before(since) && len(e.Strings) > 0 && e.Strings[0] == s.Display && e.ID != cluster.EventStartFailed {
			list = append(list, cluster.Event{Log: "System", ID: e.ID, Source: e.Source, At: e.At, Strings: e.Strings})
		}
	}
	return list
}

// startErrors are what the guest's logs say of a service that did not start, newest first.
func startErrors(v *model.VM, name string, since time.Time) []cluster.Event {
	s := v.Service(name)
	var list []cluster.Event
	for n := len(v.Events) - 1; n >= 0 && s != nil; n-- {
		e := v.Events[n]
		own := e.Log == "Application" && e.Source == s.Name
		manager := len(e.Strings) > 0 && (e.Strings[0] == s.Display || e.Strings[0] == s.Name) && (e.ID == cluster.EventStartFailed || e.ID == cluster.EventLogonFailed)
		if !e.At.Before(since) && (own || manager) {
			list = append(list, cluster.Event{Log: e.Log, ID: e.ID, Source: e.Source, At: e.At, Strings: e.Strings})
		}
	}
	return list
}

// barred is why a login fails for a reason of the monitor's own, which says nothing about SQL Server; Answered where none does.
func (w *world) barred(vm, instance string) dial.Reason {
	s := w.leads(vm).Server(instance)
	switch {
	case w.is(opBlindSQL, vm), s != nil && s.Up && s.Refuses:
		return dial.Auth
	case s != nil && s.Up && s.Expired:
		return dial.TLS
	}
	return dial.Answered
}

func (w *world) login(vm, instance string, databases bool, at time.Time) evidence.Reading[evidence.Login] {
	if why := w.barred(vm, instance); why != dial.Answered {
		return evidence.Reading[evidence.Login]{At: at, Failure: why, Detail: "the monitor is not let in"}
	}
	if why := w.refusal(vm, instance); why != dial.Answered {
		return evidence.Reading[evidence.Login]{At: at, Value: evidence.Login{Reason: why}}
	}
	v := w.leads(vm)
	l := evidence.Login{Up: true, ServerName: serverName(v.Name, instance), MachineName: v.Name, StartTime: v.Server(instance).Started}
	l.Clustered, l.Hadr = w.variant.controlled[v.Name].Clustered, w.variant.controlled[v.Name].Hadr
	if databases {
		l.Databases = w.databasesOf(v.Server(instance))
	}
	return evidence.Reading[evidence.Login]{At: at, Value: l}
}

// databasesOf are the states of an instance's databases.
func (w *world) databasesOf(s *model.Server) map[string]string {
	state := ""
	switch {
	case s.Suspect:
		state = "SUSPECT"
	case s.Recovering:
		state = "RECOVERING"
	default:
		return w.databases
	}
	list := databaseStates()
	list["sales"] = state
	return list
}

// databaseStates are the same on every instance, as in internal/lab.
func databaseStates() map[string]string {
	return map[string]string{"master": "ONLINE", "tempdb": "ONLINE", "sales": "ONLINE", "archive": "OFFLINE"}
}

func serverName(vm, instance string) string {
	if instance == "MSSQLSERVER" {
		return vm
	}
	return vm + `\` + instance
}

// host is the virtual machine as the node that is asked sees it.
func (w *world) host(a evidence.Ask, vm *config.VirtualMachine, at time.Time) evidence.Reading[cluster.VirtualMachine] {
	v := w.model.VM(vm.Name)
	switch {
	case a.Owner == "":
		return evidence.Reading[cluster.VirtualMachine]{At: at, Failure: dial.Other, Detail: "no owner is known yet"}
	case w.silent(a.Owner):
		return evidence.Reading[cluster.VirtualMachine]{At: at, Failure: dial.TCPTimeout}
	case w.model.Host(v) != a.Owner:
		return evidence.Reading[cluster.VirtualMachine]{At: at, Failure: dial.Other, Detail: "not found"}
	}
	h := cluster.VirtualMachine{ID: v.ID, Name: v.Name, Host: a.Owner, State: v.State, HealthState: v.HealthState(), OperationalStatus: v.OperationalStatus(), LastStateChange: v.Changed, BIOSGUID: v.BIOSGUID}
	if v.State == cluster.VMRunning {
		h.Heartbeat, h.Uptime = v.Heartbeat, w.now.Sub(v.Started)
		h.ProcessorLoad, h.Processors = uint16(100*v.Uses()), model.VMProcessors
		if v.Starved.On {
			wants := int32(-10)
			h.MemoryAvailable = &wants
		}
	}
	return evidence.Reading[cluster.VirtualMachine]{At: at, Value: h}
}

// views are the nodes' views: of one group, or of all where it is empty.
func (w *world) views(nodes []string, group string, at time.Time) map[string]evidence.Reading[cluster.View] {
	views := make(map[string]evidence.Reading[cluster.View], len(nodes))
	first := true
	for _, by := range nodes {
		if w.silent(by) {
			views[by] = evidence.Reading[cluster.View]{At: at, Failure: dial.TCPTimeout}
			continue
		}
		if !w.model.Node(by).Clustering {
			views[by] = evidence.Reading[cluster.View]{At: at, Failure: dial.Other, Detail: "the cluster service does not run"}
			continue
		}
		v := w.view(by, group)
		views[by] = evidence.Reading[cluster.View]{Value: v, At: at}
		if group == "" && first {
			for _, g := range v.Groups {
				w.owners[g.Name] = g.Owner
			}
			first = false
		}
	}
	return views
}

// view is the cluster as one node sees it.
func (w *world) view(by, group string) cluster.View {
	p := w.spec.Profile
	v := cluster.View{By: by, Info: cluster.Info{
		Name: w.spec.Cluster, FunctionalLevel: 10, SameSubnetDelay: p.HeartbeatDelay, SameSubnetThreshold: p.HeartbeatThreshold,
		CrossSubnetDelay: p.HeartbeatDelay, CrossSubnetThreshold: p.HeartbeatThreshold, ResiliencyDefaultPeriod: p.Resiliency,
		AutoBalancerLevel: 1,
	}}
	if w.balances() {
		v.Info.AutoBalancerMode = 2
	}
	v.Nodes = make([]cluster.Node, 0, len(w.model.Nodes))
	votes := 0
	for _, n := range w.model.Nodes {
		node := cluster.Node{Name: n.Name, State: w.nodeState(by, n), Status: w.nodeStatus(n), Weight: 1, DynamicWeight: 1}
		if n.State == cluster.NodeDown {
			node.DynamicWeight = 0 // dynamic quorum takes the vote of a node that has left
		} else {
			votes++
		}
		if w.is(opQuorum, n.Name) {
			// Somebody gave one node more votes than the others have together, and it is down.
			node.DynamicWeight = uint32(2 * len(w.model.Nodes)) //nolint:gosec // a few nodes
		}
		v.Nodes = append(v.Nodes, node)
	}
	if votes%2 == 0 {
		v.Info.WitnessDynamicWeight = 1
	}
	for _, m := range w.model.VMs {
		if group == "" || m.Group == group {
			v.Groups = append(v.Groups, cluster.Group{
				Name: m.Group, Type: cluster.GroupTypeVM, State: m.GroupState, Owner: m.Owner, Status: w.groupStatus(m), PersistentState: m.PersistentState,
				FailoverThreshold: uint32(len(w.model.Nodes) - 1), FailoverPeriod: 6 * time.Hour, //nolint:gosec // a few nodes
			})
		}
	}
	return v
}

// nodeState is a node's state as another sees it.
func (w *world) nodeState(by string, n *model.Node) cluster.NodeState {
	apart := w.is(opSplit, by) || w.is(opSplit, n.Name)
	switch {
	case n.State == cluster.NodeDown, by != n.Name && apart, w.is(opQuorum, n.Name):
		return cluster.NodeDown
	case w.is(opSuspend, n.Name), w.is(opDrain, n.Name):
		return cluster.NodePaused
	}
	return w.model.NodeState(by, n)
}

func (w *world) nodeStatus(n *model.Node) cluster.NodeStatus {
	s := n.Status
	if w.is(opDrain, n.Name) {
		s |= cluster.NodeDrainInProgress
	}
	return s
}

func (w *world) groupStatus(v *model.VM) cluster.GroupStatus {
	s := v.GroupStatus
	if w.is(opLock, v.Name) {
		s |= cluster.GroupLocked
	}
	if w.is(opQueue, v.Name) {
		s |= cluster.GroupWaitingInQueueForMove
	}
	return s
}

// sweep looks at the siblings and the controls (G17).
func (w *world) sweep(of evidence.VM) evidence.Sweep {
	var s evidence.Sweep
	for _, vm := range w.config.Cluster(of.Cluster).VirtualMachines {
		if vm.Name != of.Name && len(vm.SQLServers) > 0 {
			why := w.connects(vm)
			s.Watched = append(s.Watched, evidence.Sibling{VM: vm.Name, Owner: w.owners[vm.GroupName()], Sick: why != dial.Answered, Reason: why})
		}
	}
	for n, c := range w.config.Receiver.Controls {
		control := evidence.Control{Address: c, OK: true}
		if w.is(opCut, "") || n == 0 && w.is(opControls, "") {
			control.OK, control.Reason = false, dial.TCPTimeout
		}
		s.Controls = append(s.Controls, control)
	}
	return s
}

// lab is the word of the nodes on whether they are the lab: all of them, one that is silent by what it said before.
func (w *world) lab() evidence.Reading[bool] {
	for _, n := range w.spec.Nodes {
		switch {
		case !w.silent(n):
			w.said[n] = true
		case !w.said[n]:
			return evidence.Reading[bool]{At: w.now, Failure: dial.Other, Detail: n + " has not said who it is"}
		}
	}
	for _, n := range w.spec.Nodes {
		if w.is(opStranger, n) {
			return evidence.Reading[bool]{At: w.now}
		}
	}
	return evidence.Reading[bool]{At: w.now, Value: !w.variant.elsewhere}
}

// proof follows the names of a virtual machine, as receiver/site's Prove does.
func (w *world) proof(id evidence.VM) evidence.Proof {
	vm := w.config.Cluster(id.Cluster).VirtualMachine(id.Name)
	v, guest := w.model.VM(id.Name), w.leads(id.Name)
	p := evidence.Proof{VM: id, At: w.now, Baseline: map[string]evidence.Baseline{}}
	missing := func(format string, args ...any) { p.Missing = append(p.Missing, fmt.Sprintf(format, args...)) }
	p.Binding = evidence.Binding{At: w.now, Group: vm.GroupName(), ServerNames: map[string]string{}, Names: evidence.NamesOf(vm)}
	if !w.anyNode() || w.silent(v.Owner) || v.GroupState == cluster.GroupPending {
		missing("no node tells of the VM")
	} else {
		p.Binding.VMID, p.Binding.BIOSGUID = v.ID, v.BIOSGUID
	}
	if why := w.deaf(id.Name); why != dial.Answered {
		missing("the guest does not tell who it is: %s", why)
	} else {
		p.Binding.ComputerName, p.Binding.ProductUUID = guest.Name, guest.ProductUUID
	}
	if p.Binding.BIOSGUID != "" && p.Binding.ProductUUID != "" && !cluster.SameMachineID(p.Binding.BIOSGUID, p.Binding.ProductUUID) {
		missing("the guest is another machine")
	}
	for _, q := range vm.SQLServers {
		l := w.login(id.Name, q.Instance, true, w.now)
		s := guest.Service(q.ServiceName())
		if !l.Known() || !l.Value.Up || w.deaf(id.Name) != dial.Answered || s == nil || s.State != cluster.ServiceRunning {
			missing("SQL Server %s is not well", q.Instance)
			continue
		}
		base := evidence.Baseline{At: w.now, Databases: l.Value.Databases, StartTime: l.Value.StartTime, PID: s.PID, Created: s.Created, Clustered: l.Value.Clustered, Hadr: l.Value.Hadr}
		for _, d := range guest.Dependents(s.Name) {
			if d.State == cluster.ServiceRunning {
				base.Dependents = append(base.Dependents, d.Name)
				if d.StartMode != "Auto" {
					base.Manual = append(base.Manual, d.Name)
				}
			}
		}
		p.Baseline[q.Instance] = base
		p.Binding.ServerNames[q.Instance] = l.Value.ServerName
		if c := p.Binding.ComputerName; c != "" && !strings.EqualFold(c, l.Value.MachineName) {
			missing("SQL Server at %s runs on another machine", q.Instance)
		}
	}
	return p
}

func (w *world) anyNode() bool {
	for _, n := range w.spec.Nodes {
		if !w.silent(n) {
			return true
		}
	}
	return false
}

// execute does one command to the guest that answers at the virtual machine's address. ok is false where Windows has no
// such thing.
func (w *world) execute(c remedy.Command) (code uint32, ok bool) {
	v := w.leads(c.VM.Name)
	switch c.Method {
	case remedy.StartService, remedy.StopService:
		s := v.Service(c.Service)
		if s == nil {
			return 0, false
		}
		w.model.Received(v, string(c.Method), c.Service)
		if c.Method == remedy.StartService {
			return w.model.StartService(v, s), true
		}
		return w.model.StopService(v, s), true
	case remedy.TerminateProcess:
		for _, s := range v.Services {
			if s.PID == c.PID && s.Created.Equal(c.Created) {
				w.model.Received(v, string(c.Method), fmt.Sprint(c.PID))
				return w.model.Terminate(v, c.PID), true
			}
		}
	case remedy.MoveGroup, remedy.BringOnline, remedy.CancelOperation:
		return w.toCluster(c)
	}
	return 0, false
}
