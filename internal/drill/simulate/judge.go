package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Invariant names what must always hold. The number in parentheses is the guard that sees to it, where it is one.
type Invariant string

// The invariants.
const (
	noPanic        Invariant = "the receiver does not panic"
	restores       Invariant = "the ledger is taken up again after a crash"
	onePerVM       Invariant = "one command in flight for one VM"
	onDisk         Invariant = "ISSUED is on disk before a command leaves"
	sentOnce       Invariant = "no command is sent twice"
	noFailover     Invariant = "no failover is commanded that was not decided"
	eligible       Invariant = "nothing is moved but to a node that can take it (G20)"
	oneFailover    Invariant = "no two failovers for one fault"
	persistent     Invariant = "the cluster would start every group again"
	oldStory       Invariant = "nothing is decided on an alert from before the last rung (G5)"
	ageLimit       Invariant = "nothing is decided on an old alert or one from the future (G6)"
	stillActive    Invariant = "nothing is decided unless Alertmanager holds the alert active (G7)"
	trueOutage     Invariant = "nothing is decided unless the fault is there, for as long as its class needs (G8)"
	notBlind       Invariant = "no rung begins blind (G8)"
	asPlanned      Invariant = "no command leaves into a world that changed since the plan (G9)"
	veto           Invariant = "no command leaves where the re-validation could have seen that SQL Server serves (G9)"
	notMoved       Invariant = "a group that moved is left to settle (G10)"
	oneController  Invariant = "what another controller looks after is left to it (G11)"
	clusterFirst   Invariant = "a lost host is left to the cluster (G12)"
	holdOff        Invariant = "nothing is decided right after a start (G13)"
	coolDown       Invariant = "nothing is decided within the cool-down (G14)"
	latched        Invariant = "nothing is decided on a VM whose failure nobody saw to (G14)"
	budget         Invariant = "nothing is decided past the budget of a VM (G15)"
	rate           Invariant = "nothing is decided past the rates of a cluster (G16)"
	noStorm        Invariant = "nothing is decided in a storm (G17)"
	neverTouched   Invariant = "what is never to be touched is not decided on (G18)"
	clusterWhole   Invariant = "nothing is decided in a cluster that is split, moves or waits (G19)"
	notPaused      Invariant = "no rung begins while paused (G21)"
	maintenance    Invariant = "no rung begins in maintenance (G21)"
	inMode         Invariant = "no rung begins but in mode act, and under weaker limits on the lab alone (G22)"
	heardOf        Invariant = "no rung begins while Watchdog stays away (G29)"
	asApproved     Invariant = "no rung that is left to a person begins without an approval of exactly that, in its time and once (G23)"
	deliberate     Invariant = "a deliberate stop is left alone (G31)"
	orderlyWay     Invariant = "no guest is ended that shuts down, restarts or updates itself (G32)"
	siblingsLive   Invariant = "no healthy instance is taken down with its sick neighbour (G34)"
	notCutShort    Invariant = "no backup, restore, dump or work of Hyper-V is cut short (G35)"
	undone         Invariant = "no SQL Server is ended whose recovery would have to undo too much (G36)"
	rightMachine   Invariant = "nothing is decided on a wrongly bound VM (G33)"
	evidenceFirst  Invariant = "no rung that ends something begins before its evidence is kept or the wait for it is over"
	servesOn       Invariant = "nothing ends a SQL Server that serves, for its machine is starved (G9)"
	starvedIsCured Invariant = "a starved host is relieved, and what was moved off it does not suffer where it came to"
	trulyWell      Invariant = "nothing counts as healthy that does not serve, in a group that is online and would be started again (G26)"
	calmIsCured    Invariant = "a plain fault is cured at once"
	comesToAnEnd   Invariant = "nothing waits for ever"
	outageIsKnown  Invariant = "every outage has an incident"
)

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant Invariant
	At        time.Duration
	Detail    string
}

func (v Violation) String() string { return string(v.Invariant) + ": " + v.Detail }

// snapshot is the truth at the moment at which a read was answered, as far as the read could have shown it.
type snapshot struct {
	purpose incident.Purpose
	// asked is when the question was asked. That is what the guards know too (evidence.Reading.At): a slow answer is of some
	// later moment, and two rounds a second apart may have been answered in half of one.
	asked time.Time

	alertKnown, alertActive bool
	login                   dial.Reason
	loginKnown, guestKnown  bool
	ownerAnswers            bool
	service                 *model.Service // at the address
	state                   cluster.ServiceState
	pid                     uint32
	exit                    uint32
	startMode               string
	stoppedAt               time.Time // by a person; zero: not
	hungSince               time.Time
	work                    model.AtWork
	open                    time.Time // when the oldest open transaction began; zero: none is
	created                 time.Time // of the process
	failing                 string    // the component in error
	sick                    bool      // it is, and the policy acts on that
	sickSince, answered     time.Time
	hostUsed, suffers       bool              // its host has nothing left; the machine has too little
	used                    float64           // of its host
	relieved                time.Time         // when it last ceased to have too little
	crowded                 map[string]string // nodes that have not the processor time for it, and why

	owner                     string
	group                     cluster.GroupState
	status                    cluster.GroupStatus
	node                      cluster.NodeState
	nodeStatus                cluster.NodeStatus
	vm                        cluster.VMState
	split, shortOfVotes, seen bool
	persistent, worked        bool              // a node is paused or drained
	ineligible                map[string]string // as destinations, and why
	board                     bool              // of the owner
	heartbeat                 cluster.Heartbeat
	running                   time.Time // since when the virtual machine does
	serving                   []string  // the instances that serve
	volumeBackup              bool
	lab                       bool
	storm                     bool
	bound                     bool
}

// dead reports whether the port refuses and the service is stopped, or its process gone.
func (s *snapshot) dead() bool {
	return s.login == dial.Refused && (s.state == cluster.ServiceStopped || s.pid == 0)
}

// shows reports whether the fault of a class was there: a hang, a dead guest or board, or else a dead service.
func (s *snapshot) shows(f evidence.Fault) bool {
	switch f { //nolint:exhaustive // the others are shown by a dead service, or by nothing
	case evidence.Internal:
		return s.sick
	case evidence.Resource:
		return s.hostUsed
	case evidence.Hang:
		return !s.hungSince.IsZero()
	case evidence.Guest:
		return s.guestDead()
	case evidence.Network:
		return s.boardDead()
	}
	return s.dead()
}

// boardDead reports whether the owner's board of the virtual machines' network is down and the virtual machine runs.
func (s *snapshot) boardDead() bool { return s.vm == cluster.VMRunning && !s.board }

// snapshot takes down the truth for a read that was asked for at a moment.
func (w *world) snapshot(e incident.Look, asked time.Time) *snapshot {
	vm := w.config.Cluster(e.Ask.VM.Cluster).VirtualMachine(e.Ask.VM.Name)
	v, at := w.model.VM(vm.Name), w.leads(vm.Name)
	n := w.model.Node(v.Owner)
	s := &snapshot{
		purpose: e.Purpose, asked: asked, answered: w.now, guestKnown: w.deaf(vm.Name) == dial.Answered, ownerAnswers: !w.silent(v.Owner),
		owner: v.Owner, group: v.GroupState, status: w.groupStatus(v), node: w.nodeState(n.Name, n), nodeStatus: w.nodeStatus(n), vm: v.State,
		heartbeat: v.Heartbeat, board: n.Board, running: v.Started, volumeBackup: w.model.VolumeBackup,
		work: v.At, bound: at == v, loginKnown: e.Ask.Instance == evidence.NoInstance && !w.is(opBlindSQL, vm.Name) || w.barred(vm.Name, e.Ask.Instance) == dial.Answered,
	}
	s.used, s.hostUsed, s.suffers, s.relieved = w.model.Used(v.Owner), w.model.UsedUp(v.Owner), w.model.Suffers(at), w.relievedAt(at)
	for _, q := range vm.SQLServers {
		if w.refusal(vm.Name, q.Instance) == dial.Answered && w.barred(vm.Name, q.Instance) == dial.Answered {
			s.serving = append(s.serving, q.Instance)
		}
	}
	if e.Ask.Instance != evidence.NoInstance {
		s.login = w.refusal(vm.Name, e.Ask.Instance)
		if s.service = at.Service(vm.SQLServer(e.Ask.Instance).ServiceName()); s.service != nil {
			s.state, s.pid, s.exit, s.startMode = s.service.State, s.service.PID, s.service.ExitCode, s.service.StartMode
			s.stoppedAt = w.judge.byPerson[s.service]
			if q := s.service.Server; q.Hung {
				s.hungSince = q.Since
			}
			s.open, s.created = s.service.Server.Open, s.service.Created
			s.failing, s.sickSince = w.failing(s.service.Server)
			s.sick = w.judge.actsOn(vm.Name, s.failing)
		}
	}
	if e.Purpose == incident.Revalidate {
		if e.Identify {
			l := w.lab()
			s.lab = l.Known() && l.Value
		}
		return s
	}
	s.persistent = v.PersistentState
	if e.Purpose != incident.Confirm {
		return s
	}
	a := w.alerts.ask(e.Ask.AlertLabels, w.now)
	s.alertKnown, s.alertActive = a.Known(), a.Value.Active
	s.ineligible, s.crowded = w.ineligible(vm), w.crowded(v)
	for _, n := range w.model.Nodes {
		s.worked = s.worked || w.is(opSuspend, n.Name) || w.is(opDrain, n.Name)
	}
	w.seeViews(s, vm)
	s.storm = w.stormy(vm, s.owner)
	return s
}

// seeViews compares what the nodes that answer show.
func (w *world) seeViews(s *snapshot, vm *config.VirtualMachine) {
	var first cluster.View
	for _, by := range w.spec.Nodes {
		if w.silent(by) || !w.model.Node(by).Clustering {
			continue
		}
		v := w.view(by, vm.GroupName())
		if !s.seen {
			first, s.seen = v, true
			current, needed := v.Votes()
			s.shortOfVotes = current < needed
			continue
		}
		for n := range v.Nodes {
			s.split = s.split || v.Nodes[n].State != first.Nodes[n].State
		}
	}
}

// stormy reports what G17's definition calls a storm: three sick virtual machines that are more than 30 % of the watched
// ones or all of one host, the subject counting as one, or a control that fails.
func (w *world) stormy(vm *config.VirtualMachine, owner string) bool {
	if w.is(opControls, "") || w.is(opCut, "") {
		return true
	}
	sick, watched := 0, 0
	for _, o := range w.config.Clusters[0].VirtualMachines {
		watched++
		if o.Name == vm.Name || w.connects(o) != dial.Answered {
			sick++
		}
	}
	return sick >= 3 && sick*100 > 30*watched
}

// sent is one command that may have left.
type sent struct {
	vm       evidence.VM
	instance string
	incident string
	rung     remedy.Rung
	method   remedy.Method
	plan     time.Time // when its rung was planned: the rung's name in the trace
	at       time.Time
}

// judge watches one schedule.
type judge struct {
	w         *world
	byPerson  map[*model.Service]time.Time
	history   map[string][]guard.Ownership // of each group, by the samples that the receiver took in
	samples   int                          // in this life
	started   time.Time                    // of this life
	storm     time.Time                    // a storm was last seen
	heard     time.Time                    // Watchdog last came, or this life began
	pauses    map[string]guard.Pause
	latches   map[string]string // VM to incident
	sent      []sent
	keys      map[string]bool // actions that may have left
	flying    map[evidence.VM]int
	checked   map[string]*snapshot // the newest re-validation of each incident
	faults    int                  // of hosts and their networks
	hand      map[string]int       // moves by a person
	offers    []offer              // that the ledger showed, oldest first
	approvals []approval
	work      map[string]evidence.Work   // what each instance last said, by VM and instance
	orderly   map[string]cluster.Orderly // what each guest last said of its own going
	counts    map[string][]count         // of each virtual machine's disks
	shown     map[string]time.Time       // of each incident: the first of the newest reads in a row that showed its fault
}

func newJudge(w *world) judge {
	return judge{
		w: w, byPerson: map[*model.Service]time.Time{}, history: map[string][]guard.Ownership{}, pauses: map[string]guard.Pause{}, latches: map[string]string{},
		keys: map[string]bool{}, flying: map[evidence.VM]int{}, checked: map[string]*snapshot{}, hand: map[string]int{}, shown: map[string]time.Time{}, work: map[string]evidence.Work{},
		orderly: map[string]cluster.Orderly{}, counts: map[string][]count{},
	}
}

// remember begins with what a warm receiver has sampled.
func (j *judge) remember(owners map[string][]guard.Ownership, began time.Time) {
	maps.Copy(j.history, owners)
	j.samples, j.started = 3, began
}

func (j *judge) stopped(v *model.VM, instance string, at time.Time) {
	j.byPerson[v.Server(instance).Service()] = at
}

func (j *judge) injected(in model.Injected) {
	switch in.Request.Fault {
	case model.ServiceStop:
		j.stopped(j.w.model.VM(in.Request.VM), in.Request.Instance, in.At)
	case model.ServiceCrash, model.SQLHang, model.SQLInternal, model.HostStarved, model.GuestStarved:
	case model.GuestCrash, model.GuestHang:
		if j.w.spec.CheckHeartbeat { // which the cluster may answer by a failover
			j.faults++
		}
	default:
		j.faults++
	}
}

func (j *judge) movedByHand(v *model.VM) { j.hand[v.Name]++ }

func (j *judge) crashed() {
	clear(j.flying) // nobody waits for an answer any more
	clear(j.checked)
	clear(j.work)
	clear(j.orderly)
	clear(j.counts)
	j.samples = 0
}

// stepped looks at a step that was taken.
func (j *judge) stepped(old *incident.State, s *step) {
	w := j.w
	switch e := s.event.(type) {
	case nil:
	case incident.PauseSet:
		j.pauses[e.Pause.ID] = e.Pause
	case incident.Acknowledged:
		for vm, by := range j.latches {
			if by == e.Incident {
				delete(j.latches, vm)
			}
		}
	case incident.Approved:
		j.approved(old, e, time.Time(e.At))
	case incident.Sampled:
		j.sampled(e)
	case incident.Sensed:
		j.heardOfWork(e)
		j.heardOfDisks(e.Vitals)
	case incident.Looked:
		j.looked(e, old, s)
	case incident.Notified:
		if len(e.Alerts) > 0 && e.Alerts[0].Labels["alertname"] == "Watchdog" {
			j.heard = time.Time(e.At)
		}
	case incident.Proved, incident.PlanStored, incident.ClaimLost, incident.Commanded, incident.Ticked, incident.Reloaded:
	}
	for _, effect := range s.effects {
		p, ok := effect.(incident.Put)
		if !ok {
			continue
		}
		switch v := p.Value.(type) {
		case incident.Action:
			// Where nothing left, nothing is latched: the rung never began.
			if of := incidentOf(p.Key); v.State == incident.Failed && s.event != nil && j.began(of) {
				j.latches[v.Command.VM.Name] = of
			}
			if v.State == incident.Unknown {
				w.result.reached["UNKNOWN"] = true
			}
			if v.State == incident.Claimed {
				j.keptFirst(incidentOf(p.Key), v, s)
			}
		case incident.Incident:
			j.offered(v)
			w.tell(old, v)
		}
	}
}

// keptFirst judges the claim of a plan's first action by the step that writes it.
func (j *judge) keptFirst(id string, a incident.Action, s *step) {
	i, _ := s.next.Incidents.Get(id)
	first := slices.IndexFunc(i.Actions, func(other incident.Action) bool { return other.Planned.Equal(a.Planned) })
	if !a.Rung.Kills(i.Fault) || first < 0 || i.Actions[first].Number != a.Number {
		return
	}
	if slices.Contains(i.Kept, a.Number) {
		j.w.result.reached["evidence kept"] = true
		return
	}
	j.w.result.reached["evidence not kept"] = true
	if d := a.Claimed.Sub(a.Planned); d < evidenceWait {
		j.w.breaks(evidenceFirst, "%s/%d: claimed %s after the plan", id, a.Number, d)
	}
}

// began reports whether a command of an incident may have left.
func (j *judge) began(id string) bool {
	return slices.ContainsFunc(j.sent, func(c sent) bool { return c.incident == id })
}

// incidentOf is the incident that an action's key names.
func incidentOf(key string) string {
	names, err := ledger.Names(key)
	if err != nil {
		panic(err) // a key of ours
	}
	return names[1]
}

// sampled takes down who owns what, as the receiver does: from the first node in order that shows quorum. A span counts from
// when the receiver learned of it: while the ledger cannot be written that lies before the moment of the step.
func (j *judge) sampled(e incident.Sampled) {
	for _, n := range j.w.spec.Nodes {
		v := e.Views[n]
		if !v.Known() {
			continue
		}
		if current, needed := v.Value.Votes(); current < needed {
			continue
		}
		j.samples++
		for _, g := range v.Value.Groups {
			h := j.history[g.Name]
			if len(h) == 0 || h[len(h)-1].Node != g.Owner {
				j.history[g.Name] = append(slices.Clip(h), guard.Ownership{Node: g.Owner, Since: time.Time(e.At)})
			}
		}
		return
	}
}

// looked judges what was decided on a round.
func (j *judge) looked(e incident.Looked, old *incident.State, s *step) {
	w := j.w
	snap, ok := w.asked[e.AskID]
	delete(w.asked, e.AskID)
	i, open := s.next.Incidents.Get(e.Incident)
	if !ok || !open {
		return
	}
	at := time.Time(e.At) // the step's own time, which passes on while its records wait to be written
	plan := planned(i, at)
	// An answer that nobody waits for any more (another incident explains this one since, say) asks no guard: the verdicts are
	// those of an earlier round, which was judged then. A storm that it saw counts, and a plan made on it would be judged.
	was, _ := old.Incidents.Get(e.Incident)
	if (was.AskID != e.AskID || was.Asked == "") && !plan {
		j.stormSeen(snap, e)
		return
	}
	if was.HealthyAt.IsZero() && !i.HealthyAt.IsZero() || !was.Closed() && i.Closed() {
		j.well(i.ID, snap)
	}
	if snap.purpose != incident.Revalidate {
		first, before := j.shown[i.ID]
		switch {
		case !snap.shows(i.Fault):
			delete(j.shown, i.ID)
		case !before || first.After(snap.asked):
			j.shown[i.ID] = snap.asked
		}
	}
	switch snap.purpose {
	case incident.Revalidate:
		j.checked[e.Incident] = snap
	case incident.Confirm:
		clean := i.Fault != evidence.Internal || e.Round.Diagnostics.Known() && e.Round.Diagnostics.Value.Clean()
		if i.Fault == evidence.Resource {
			clean = calm(e.Round)
		}
		if e.Round.Login.Known() && e.Round.Login.Value.Up && (i.Fault != evidence.Host || e.Round.Host.Known()) && clean {
			return // nothing was asked of the guards
		}
		j.stormSeen(snap, e)
		if len(i.Ladder) > 0 {
			w.result.reached[string(rungOf(i, false, at))+", asked for"] = true
		}
		if !plan && !everyGuardPassed(i.Verdicts) {
			return
		}
		rung := rungOf(i, plan, at)
		by := j.covers(&i, at)
		j.decided(&i, snap, rung, by)
		if plan {
			j.planned(&i, snap, rung, by)
		}
	case incident.Await, incident.Reconcile, incident.Verify:
	}
}

// well judges that SQL Server counts as healthy, by the truth of the read that this rests on.
func (j *judge) well(id string, s *snapshot) {
	if s.login != dial.Answered || s.group != cluster.GroupOnline || !s.persistent {
		j.w.breaks(trulyWell, "%s: the login says %q, group in state %d, to be started again %t", id, s.login, s.group, s.persistent)
	}
}

// stormSeen notes the storm that a round was read in, at the moment at which the receiver learned of it.
func (j *judge) stormSeen(s *snapshot, e incident.Looked) {
	if at := time.Time(e.At); s.storm && at.After(j.storm) {
		j.storm = at
	}
}

// everyGuardPassed reports whether nothing but a pause, a mode, an approval or the dead-man's switch stood in the way: in every mode the decision is the same.
func everyGuardPassed(vs []guard.Verdict) bool {
	for _, v := range vs {
		if v.Outcome != guard.Pass && v.Guard != "G21" && v.Guard != "G22" && v.Guard != "G23" && v.Guard != "G29" {
			return false
		}
	}
	return len(vs) > 0
}

func rungOf(i incident.Incident, plan bool, at time.Time) remedy.Rung {
	if plan {
		for _, a := range i.Actions {
			if a.Planned.Equal(at) {
				return a.Rung
			}
		}
	}
	return i.Ladder[min(i.Rung, len(i.Ladder)-1)]
}

// pauseIDs lists the pauses, in order.
func (j *judge) pauseIDs() []string { return slices.Sorted(maps.Keys(j.pauses)) }

// moves counts the moves of a virtual machine that may have left.
func (j *judge) moves(vm string) int {
	n := 0
	for _, c := range j.sent {
		if c.vm.Name == vm && c.method == remedy.MoveGroup {
			n++
		}
	}
	return n
}
