package remedy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

const vmID = "A0000001-0000-4000-8000-000000000001"

func guestCase() remedy.Case {
	return remedy.Case{
		Subject: evidence.Subject{VM: evidence.VM{Cluster: "c", Name: "SQL01"}, Instance: evidence.NoInstance, Fault: evidence.Guest},
		Owner:   "HV1", VMID: vmID, Group: "SCVMM SQL01 Resources",
		Round: evidence.Round{Host: reading(cluster.VirtualMachine{ID: strings.ToLower(vmID), Host: "HV1", State: cluster.VMRunning})},
	}
}

func TestPlanOfAVirtualMachineIsBoundToItsSource(t *testing.T) {
	t.Parallel()
	for rung, want := range map[remedy.Rung]struct {
		method remedy.Method
		cmdlet string
	}{
		remedy.ResetVM:         {remedy.ResetSystem, "Restart-VM -VM (Get-VM -Id " + vmID + " -ComputerName 'HV1') -Force"},
		remedy.NMIRestart:      {remedy.InjectNMI, "Debug-VM -VM (Get-VM -Id " + vmID + " -ComputerName 'HV1') -InjectNonMaskableInterrupt -Force"},
		remedy.ShutdownRestart: {remedy.RebootGuest, "Restart-VM -VM (Get-VM -Id " + vmID + " -ComputerName 'HV1') -Type Reboot -Force"},
	} {
		cmds, err := remedy.Plan(rung, guestCase())
		if err != nil || len(cmds) != 1 {
			t.Fatalf("%s: %v, %v; want one command", rung, cmds, err)
		}
		c := cmds[0]
		if c.Method != want.method || c.Node != "HV1" || c.VMID != vmID || c.Cmdlet != want.cmdlet || c.Timeout <= 0 {
			t.Errorf("%s: %+v, want %s of %s on HV1 by %q", rung, c, want.method, vmID, want.cmdlet)
		}
		if s, ok := remedy.SpecOf(rung); !ok || !s.Destructive || !s.Sent() {
			t.Errorf("%s: %+v, want a destructive rung that is sent", rung, s)
		}
		for name, change := range map[string]func(*remedy.Case){
			"no owner":     func(c *remedy.Case) { c.Owner = "" },
			"no proven id": func(c *remedy.Case) { c.VMID = "" },
			"the host was not read": func(c *remedy.Case) {
				c.Round.Host = evidence.Reading[cluster.VirtualMachine]{At: born, Failure: dial.TCPTimeout}
			},
			"another machine":         func(c *remedy.Case) { c.Round.Host.Value.ID = "A0000002-0000-4000-8000-000000000001" },
			"read of another node":    func(c *remedy.Case) { c.Round.Host.Value.Host = "HV2" },
			"owner changed meanwhile": func(c *remedy.Case) { c.Owner = "HV3" },
		} {
			g := guestCase()
			change(&g)
			if cmds, err := remedy.Plan(rung, g); err == nil {
				t.Errorf("%s, %s: planned %v, want an error", rung, name, cmds)
			}
		}
	}
}

// TestPlanOfTheWhitePaper: a move as it is, and a reset where it goes; neither without the other.
func TestPlanOfTheWhitePaper(t *testing.T) {
	t.Parallel()
	c := guestCase()
	c.Destination = "HV2"
	cmds, err := remedy.Plan(remedy.WhitePaper, c)
	if err != nil || len(cmds) != 2 {
		t.Fatalf("%v, %v; want two commands", cmds, err)
	}
	if m := cmds[0]; m.Method != remedy.MoveGroup || m.How != remedy.Save || m.From != "HV1" || m.To != "HV2" {
		t.Errorf("first %+v, want a quick migration from HV1 to HV2", m)
	}
	if r := cmds[1]; r.Method != remedy.ResetSystem || r.Node != "HV2" || r.VMID != vmID || r.LeastRun != remedy.LeastResumed ||
		r.Cmdlet != "Restart-VM -VM (Get-VM -Id "+vmID+" -ComputerName 'HV2') -Force" {
		t.Errorf("second %+v, want a reset of %s on HV2", r, vmID)
	}
	if !remedy.WhitePaper.Kills(evidence.Service) || !remedy.WhitePaper.Acts(config.OnVM) || !remedy.WhitePaper.Acts(config.OnNode) || remedy.WhitePaper.Acts(config.OnService) {
		t.Error("it does not count as what it is: a destructive move and restart")
	}
	for name, change := range map[string]func(*remedy.Case){
		"no destination": func(c *remedy.Case) { c.Destination = "" },
		"no proven id":   func(c *remedy.Case) { c.VMID = "" },
		"no owner":       func(c *remedy.Case) { c.Owner = "" },
		"no group":       func(c *remedy.Case) { c.Group = "" },
	} {
		g := guestCase()
		g.Destination = "HV2"
		change(&g)
		if cmds, err := remedy.Plan(remedy.WhitePaper, g); err == nil {
			t.Errorf("%s: planned %v, want an error", name, cmds)
		}
	}
	// A resumed run of 20 s is told from the one after it as a run of a minute is.
	call := remedy.Call{Command: cmds[1], Issued: born, Observed: true}
	for uptime, want := range map[time.Duration]bool{remedy.LeastResumed + 9*time.Second: false, 9 * time.Second: true} {
		e := remedy.EffectOf(call, vmRound(9*time.Second, uptime, cluster.VMRunning, cluster.HeartbeatOK))
		if e.Done != want {
			t.Errorf("9 s after the reset, running for %s: %+v; want done %t", uptime, e, want)
		}
	}
}

// vmRound is a round that began so long after the call was issued.
func vmRound(after, uptime time.Duration, state cluster.VMState, heartbeat cluster.Heartbeat) evidence.Round {
	at := born.Add(after)
	return evidence.Round{Started: at, Finished: at, Host: evidence.Reading[cluster.VirtualMachine]{
		Value: cluster.VirtualMachine{State: state, Uptime: uptime, Heartbeat: heartbeat}, At: at,
	}}
}

func withJob(r evidence.Round, state cluster.JobState, code uint16) evidence.Round {
	r.Job = evidence.Reading[cluster.Job]{Value: cluster.Job{State: state, ErrorCode: code}, At: r.Started}
	return r
}

func TestEffectOfARestart(t *testing.T) {
	t.Parallel()
	const lost, ok = cluster.HeartbeatLostCommunication, cluster.HeartbeatOK
	login := vmRound(20*time.Second, 15*time.Second, cluster.VMRunning, cluster.HeartbeatNoContact)
	login.Login = reading(evidence.Login{Up: true})
	guest := vmRound(20*time.Second, 15*time.Second, cluster.VMRunning, cluster.HeartbeatNoContact)
	guest.Guest = reading(cluster.GuestIdentity{ComputerName: "SQL01"})
	tests := []struct {
		name     string
		r        evidence.Round
		observed bool
		want     remedy.Effect // without its words
	}{
		{"the run of before", vmRound(3*time.Second, time.Hour, cluster.VMRunning, lost), true, remedy.Effect{}},
		{"the youngest run that may be reset", vmRound(3*time.Second, remedy.LeastRun+3*time.Second, cluster.VMRunning, lost), true, remedy.Effect{}},
		{"an uptime that nobody tells", vmRound(3*time.Second, 0, cluster.VMRunning, lost), true, remedy.Effect{}},
		{"a boot", vmRound(3*time.Second, 2*time.Second, cluster.VMRunning, cluster.HeartbeatNoContact), true, remedy.Effect{Shown: true, Pending: true}},
		{"a heartbeat", vmRound(20*time.Second, 15*time.Second, cluster.VMRunning, ok), true, remedy.Effect{Done: true}},
		{"a login", login, true, remedy.Effect{Done: true}},
		{"an answer of the guest", guest, true, remedy.Effect{Done: true}},
		{"a heartbeat of the run of before", vmRound(20*time.Second, time.Hour, cluster.VMRunning, ok), true, remedy.Effect{}},
		{"a reset under way", vmRound(time.Second, time.Hour, cluster.VMReset, lost), true, remedy.Effect{Pending: true}},
		{"turned off", vmRound(time.Second, 0, cluster.VMOff, cluster.HeartbeatAbsent), true, remedy.Effect{}},
		{"a job under way", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobRunning, 0), true, remedy.Effect{Pending: true}},
		{"a job done, the run of before", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobCompleted, 0), true, remedy.Effect{}},
		{"a job that failed", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobException, 32768), true, remedy.Effect{Failed: true, Cause: remedy.Transient}},
		{"a job without a right", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobException, 32769), true, remedy.Effect{Failed: true, Cause: remedy.Permanent}},
		{"a job without memory", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobException, 32778), true, remedy.Effect{Failed: true, Cause: remedy.NodeBound}},
		{"a job that somebody ended", withJob(vmRound(time.Second, time.Hour, cluster.VMRunning, lost), cluster.JobKilled, 0), true, remedy.Effect{Failed: true, Cause: remedy.Transient}},
		{"the host does not answer", evidence.Round{Host: evidence.Reading[cluster.VirtualMachine]{At: born, Failure: dial.TCPTimeout}}, true, remedy.Effect{Unreadable: true}},
		{"the answer was lost, a boot", vmRound(9*time.Second, 5*time.Second, cluster.VMRunning, lost), false, remedy.Effect{Shown: true, Pending: true}},
		{"the answer was lost, the run of before", vmRound(9*time.Second, time.Hour, cluster.VMRunning, lost), false, remedy.Effect{}},
	}
	for _, tt := range tests {
		for _, m := range []remedy.Method{remedy.ResetSystem, remedy.InjectNMI} {
			got := remedy.EffectOf(remedy.Call{Command: remedy.Command{Method: m}, Issued: born, Observed: tt.observed}, tt.r)
			if got.Detail == "" {
				t.Errorf("%s, %s: no words", m, tt.name)
			}
			got.Detail = ""
			if got != tt.want {
				t.Errorf("%s, %s: %+v, want %+v", m, tt.name, got, tt.want)
			}
		}
	}
	// A guest that lives and does not shut down is left to a person; one that fell silent over it may be reset.
	for heartbeat, want := range map[cluster.Heartbeat]remedy.Cause{ok: remedy.Transient, lost: ""} {
		e := remedy.EffectOf(remedy.Call{Command: remedy.Command{Method: remedy.RebootGuest}, Issued: born, Observed: true},
			vmRound(remedy.VMTimeout, time.Hour, cluster.VMRunning, heartbeat))
		if e.Cause != want || e.Done {
			t.Errorf("a reboot that did not come, heartbeat %d: %+v, want cause %q", heartbeat, e, want)
		}
	}
}

func TestJudgeOfHyperVsReturnValues(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint32]remedy.Cause{
		0: "", 4096: "", 32768: remedy.Transient, 32769: remedy.Permanent, 32770: remedy.Permanent, 32772: remedy.GuestBound, 32773: remedy.Permanent,
		32774: remedy.Transient, 32775: remedy.Transient, 32777: remedy.Transient, 32778: remedy.NodeBound, 32780: remedy.GuestBound,
		32781: remedy.GuestBound, 32782: remedy.Transient,
	} {
		for _, m := range []remedy.Method{remedy.ResetSystem, remedy.InjectNMI, remedy.RebootGuest} {
			cause, why, ok := remedy.Judge(remedy.Command{Method: m}, remedy.Result{Sent: true, Answered: true, Code: code})
			if cause != want || ok != (want == "") || (why == "") == !ok {
				t.Errorf("%s, %d: %q, %q, %v; want %q", m, code, cause, why, ok, want)
			}
		}
	}
}
