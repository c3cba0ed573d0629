package render_test

import (
	"fmt"

	"github.com/hypervigil/hypervigil/internal/drill"
)

// sample is a fixture: its numbers are made up, after the form of a real run. It has every configuration, both clocks,
// unknown figures, a row that failed, and words that must not become mark-up.
func sample() drill.Report {
	r := drill.Report{
		Program: "hypervigil-lab 0.0.0-fixture", Machine: "2 processors, linux/amd64", Command: "hypervigil-lab drill --fault service-crash --trials 3", Began: "2026-01-02T03:04:05Z",
		Given: []drill.Given{
			{Name: "quick migration", Value: "45s", Source: "white paper, table 3-4", Sets: []string{drill.MoveFigure}},
			{Name: "start of a service", Value: "15s", Source: "profile paper of the lab, after the figures of the white paper", Profile: "paper", Sets: []string{drill.RecoveryFigure, drill.DownFigure, drill.StartFigure, "SQL Server answers"}},
			{Name: "failover of a group", Value: "20s", Source: "profile paper of the lab", Sets: []string{drill.RecoveryFigure, drill.DownFigure, drill.MoveFigure, drill.TCPFigure}},
			{Name: "scrape, evaluation, notification", Value: "1 s, 1 s, 300 ms", Source: "the simulation", Sets: []string{drill.DetectionFigure, drill.CommandFigure, drill.StagesFigure}, Clock: drill.VirtualClock},
			{Name: "receiver.hold_off", Value: "5s instead of 60s", Source: "the demo's policy <lab & alone>"},
		},
	}
	for n := range 3 {
		r.Trials = append(r.Trials, guestCluster(n))
	}
	for n := range 3 {
		r.Trials = append(r.Trials, hostCluster(n))
	}
	for n := range 3 {
		r.Trials = append(r.Trials, monitored(n, "default"))
	}
	for n := range 3 {
		r.Trials = append(r.Trials, monitored(n, "white-paper"))
	}
	return drill.Report{Trials: append(r.Trials, powerOff(), lanBoard(), failing()), Given: r.Given, Program: r.Program, Machine: r.Machine, Command: r.Command, Began: r.Began}
}

func f(v float64) *float64 { return &v }
func i(v int) *int         { return &v }

func trial(fault, configuration string, n int, e drill.Experiment) drill.Trial {
	e.Repetition, e.Failures = n+1, orNone(e.Failures)
	if e.Scenario == "" {
		e.Scenario = fault
	}
	if e.Era == "" {
		e.Era = "today"
	}
	return drill.Trial{
		Fault: fault, Configuration: configuration, Profile: "paper", VM: "SQL01", Instance: "MSSQLSERVER",
		FaultAt: fmt.Sprintf("2026-01-02T03:%02d:05.000Z", 10+n), Commands: []string{}, Experiment: &e,
	}
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func guestCluster(n int) drill.Trial {
	x := float64(n) * 1.2
	t := trial("service-crash", "guest-cluster", n, drill.Experiment{
		Title: "SQL Server's service dies", Class: "service", Clock: drill.RealClock, Ladder: "", Acts: "cluster", Expected: "healed", Because: "SQL Server is the clustered resource",
		Bound: f(90), Paper: "o", Acknowledged: i(41 + n), Lost: i(0), Unknown: i(1), MoveSeconds: f(58.2 + x), TCPLostSeconds: f(24.1 + x), ServiceStopSeconds: f(0.1), ServiceStartSeconds: f(53.5 + x),
	})
	t.SQLDownSeconds, t.FailoversByCluster, t.Outcome, t.HealedBy, t.Summary = f(54.3+x), 1, "healed", "cluster", "The guests' cluster moved SQL Server."
	t.Timeline = []drill.Moment{
		{AtSeconds: 0, Event: "fault", Detail: "service-crash on SQL01"},
		{AtSeconds: 0.02, Event: "SQL Server down", Detail: "MSSQLSERVER"},
		{AtSeconds: 5.1, Event: "failover by the cluster", Detail: "SQL Server (MSSQLSERVER) from SQLG1 to SQLG2"},
		{AtSeconds: 54.32 + x, Event: "SQL Server answers", Detail: "MSSQLSERVER"},
	}
	return t
}

func hostCluster(n int) drill.Trial {
	t := trial("service-crash", "host-cluster", n, drill.Experiment{
		Title: "SQL Server's service dies", Class: "service", Clock: drill.RealClock, Acts: "nobody", Expected: "down", Because: "the host cluster sees the virtual machine, not what is in it",
		Paper: "x", Acknowledged: i(12), Lost: i(0), Unknown: i(0),
	})
	t.Outcome, t.Summary = "down", "Nobody acts: the cluster does not see it."
	t.Timeline = []drill.Moment{{AtSeconds: 0, Event: "fault", Detail: "service-crash on SQL01"}, {AtSeconds: 0.02, Event: "SQL Server down", Detail: "MSSQLSERVER"}, {AtSeconds: 180, Event: "end of the watch", Detail: "nothing came back within 180 s"}}
	return t
}

func monitored(n int, ladder string) drill.Trial {
	x := float64(n)*0.31 + 1.62
	e := drill.Experiment{
		Title: "SQL Server's service dies", Class: "service", Clock: drill.RealClock, Ladder: ladder, Acts: "hypervigil", Expected: "healed", Because: "the port refuses: proof of life",
		Bound: f(30), Paper: "x o", Acknowledged: i(73 + n), Lost: i(0), Unknown: i(2), ServiceStopSeconds: f(0.11),
	}
	t := trial("service-crash", "monitored-host-cluster", n, e)
	if ladder == "white-paper" {
		t.Scenario = "service-crash-white-paper"
	}
	command, back := x+1.02, x+1.02+15.2
	if ladder == "white-paper" {
		back += 45 + 62
		t.FailoversCommanded = 1
		t.MoveSeconds, t.TCPLostSeconds, t.Bound = f(45.4), f(14.2+x), f(240)
		t.Commands = []string{"MSCluster_ResourceGroup.MoveToNewNodeParams", "Msvm_ComputerSystem.RequestStateChange"}
	} else {
		t.Commands = []string{"Win32_Service.StartService"}
	}
	t.Incident, t.Alert = fmt.Sprintf("hv-lab.SQL01.MSSQLSERVER.service.%d", n), "SQLServerDown"
	t.DetectionSeconds, t.FirstCommandSeconds, t.SQLDownSeconds = f(x), f(command), f(back-0.02)
	t.RecoverySeconds, t.ServiceStartSeconds = f(back-x), f(back-1.1)
	t.Outcome, t.HealedBy, t.Summary = "healed", "hypervigil", "Healed by hypervigil: "+ladder+"."
	t.Plan = []string{"Invoke-Command -ComputerName 'SQL01' { Start-Service -Name 'MSSQLSERVER' }"}
	t.Stages = []drill.Span{
		{Name: "noticed by a probe", From: 0, Until: x - 0.7},
		{Name: "alert fires", From: x - 0.7, Until: x - 0.02},
		{Name: "webhook accepted", From: x - 0.02, Until: x},
		{Name: "proven, planned, sent", From: x, Until: command},
		{Name: "SQL Server answers", From: command, Until: back},
	}
	t.Timeline = []drill.Moment{
		{AtSeconds: 0, Event: "fault", Detail: "service-crash on SQL01"},
		{AtSeconds: 0.02, Event: "SQL Server down", Detail: "MSSQLSERVER"},
		{AtSeconds: x - 0.7, Event: "first failed probe", Detail: "Prometheus' first sample of a failed probe"},
		{AtSeconds: x - 0.02, Event: "alert", Detail: "SQLServerDown fires in Prometheus"},
		{AtSeconds: x, Event: "webhook", Detail: "accepted; incident " + t.Incident},
		{AtSeconds: x, Event: "open", Detail: "SQLServerDown fires"},
	}
	for _, g := range []string{"G5 one incident, one start", "G6 age and skew", "G21 pause and maintenance", "G22 mode", "G13 hold-off", "G14 cool-down", "G15 attempts budget", "G31 deliberate stop", "G10 already moved", "G12 cluster first", "G17 storm brake", "G19 cluster gate"} {
		var id, name string
		fmt.Sscanf(g, "%s", &id)
		name = g[len(id)+1:]
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: x + 0.02, Event: "guard " + id, Detail: "pass: as it should be (" + name + ")"})
	}
	t.Timeline = append(
		t.Timeline,
		drill.Moment{AtSeconds: x + 0.02, Event: "guard G8", Detail: "hold: the port refuses and MSSQLSERVER is stopped (exit code 1067); 1 of 2 rounds (second opinion)"},
		drill.Moment{AtSeconds: x + 0.02, Event: "confirming", Detail: "Asking for a second opinion."},
		drill.Moment{AtSeconds: x + 1.01, Event: "guard G8", Detail: "pass: the port refuses and MSSQLSERVER is stopped (exit code 1067); in 2 rounds over 1s (second opinion)"},
		drill.Moment{AtSeconds: x + 1.01, Event: "acting", Detail: "Every guard passes."},
		drill.Moment{AtSeconds: command - 0.005, Event: "claimed", Detail: t.Commands[0]},
		drill.Moment{AtSeconds: command, Event: "issued", Detail: t.Commands[0]},
	)
	for c, m := range t.Commands {
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: command + float64(c)*46, Event: "command", Detail: m})
	}
	if ladder == "white-paper" {
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: command + 0.3, Event: "move commanded", Detail: "SQL01 from HV1 to HV2"}, drill.Moment{AtSeconds: command + 45.7, Event: "owner changed", Detail: "the cluster moved the group from HV1 to HV2"})
	}
	t.Timeline = append(
		t.Timeline,
		drill.Moment{AtSeconds: back, Event: "SQL Server answers", Detail: "MSSQLSERVER"}, drill.Moment{AtSeconds: back + 0.2, Event: "verified", Detail: "SQL Server logs in"},
		drill.Moment{AtSeconds: back + 3.1, Event: "verification", Detail: "3 logins in a row"}, drill.Moment{AtSeconds: back + 123.1, Event: "healed", Detail: t.Summary},
	)
	t.Stages = append(t.Stages, drill.Span{Name: "recovery seen", From: back, Until: back + 3.1}, drill.Span{Name: "held and closed", From: back + 3.1, Until: back + 123.1})
	return t
}

func powerOff() drill.Trial {
	t := trial("host-power-off", "monitored-host-cluster", 0, drill.Experiment{
		Title: "A host without power", Class: "host", Clock: drill.RealClock, Ladder: "default", Acts: "cluster", Expected: "healed", Because: "the cluster is first: G12 waits for it",
		Bound: f(360), Paper: "o o", Acknowledged: i(9), Lost: i(0), Unknown: i(1), TCPLostSeconds: f(71.2), MoveSeconds: f(22.5),
	})
	t.DetectionSeconds, t.SQLDownSeconds, t.FailoversByCluster = f(10.4), f(68.9), 1
	t.Outcome, t.HealedBy, t.Summary = "healed", "cluster", "Healed by the cluster."
	t.Timeline = []drill.Moment{
		{AtSeconds: 0, Event: "fault", Detail: "host-power-off on SQL01"},
		{AtSeconds: 0, Event: "SQL Server down", Detail: "MSSQLSERVER"},
		{AtSeconds: 0, Event: "SQL Server down", Detail: "REPORTING"},
		{AtSeconds: 2.2, Event: "first failed probe", Detail: ""},
		{AtSeconds: 10.38, Event: "alert", Detail: "SQLHostDown fires in Prometheus"},
		{AtSeconds: 10.4, Event: "webhook", Detail: "accepted"},
		{AtSeconds: 10.4, Event: "open", Detail: "SQLHostDown"},
		{AtSeconds: 10.42, Event: "guard G12", Detail: "hold: the cluster has until 300s (cluster first)"},
		{AtSeconds: 10.42, Event: "waiting", Detail: "For the cluster."},
		{AtSeconds: 30.1, Event: "failover by the cluster", Detail: "SQL01 from HV1 to HV2"},
		{AtSeconds: 31, Event: "owner changed", Detail: "the cluster moved the group from HV1 to HV2"},
		{AtSeconds: 68.9, Event: "SQL Server answers", Detail: "MSSQLSERVER"},
		{AtSeconds: 70.1, Event: "SQL Server answers", Detail: "REPORTING"},
		{AtSeconds: 72, Event: "verification", Detail: "3 logins in a row"},
		{AtSeconds: 192, Event: "healed", Detail: "Healed by the cluster."},
	}
	return t
}

func lanBoard() drill.Trial {
	t := trial("lan-board", "monitored-host-cluster", 0, drill.Experiment{
		Title: "The virtual machine's uplink dies", Class: "network", Era: "2008r2", Clock: drill.VirtualClock, Ladder: "default", Acts: "nobody", Expected: "proposed", Because: "a move is only proposed until the policy names it", Paper: "x x",
	})
	t.Profile, t.Outcome, t.Summary = "quick", "proposed", "live_migrate is proposed."
	t.DetectionSeconds = f(38)
	t.Timeline = []drill.Moment{{AtSeconds: 0, Event: "fault", Detail: "lan-board on SQL01"}, {AtSeconds: 38, Event: "webhook", Detail: "accepted"}, {AtSeconds: 68, Event: "proposed", Detail: "live_migrate"}}
	return t
}

func failing() drill.Trial {
	t := trial("guest-crash", "monitored-host-cluster", 0, drill.Experiment{
		Title: "A guest hangs <script>alert(1)</script> & \"more\" | **bold**", Class: "guest", Clock: drill.VirtualClock, Ladder: "default", Acts: "hypervigil", Expected: "healed", Because: "reset_vm after 60 s",
		Bound: f(150), Paper: "x o", Failures: []string{"outcome escalated, expected healed", "2 failovers for one fault <b>"}, UnexpectedErrors: []string{"event 41 of Kernel-Power"},
	})
	t.Profile, t.Outcome, t.Summary, t.FailoversByCluster, t.FailoversCommanded = "quick", "escalated", "reset_vm failed.", 1, 1
	t.Commands = []string{"Msvm_ComputerSystem.RequestStateChange"}
	t.DetectionSeconds, t.FirstCommandSeconds = f(12.4), f(72.5)
	t.Timeline = []drill.Moment{
		{AtSeconds: 0, Event: "fault", Detail: "guest-crash on SQL01"},
		{AtSeconds: 0, Event: "SQL Server down", Detail: "MSSQLSERVER"},
		{AtSeconds: 12.4, Event: "webhook", Detail: "accepted"},
		{AtSeconds: 12.41, Event: "guard G8", Detail: "hold: silent for 12s of 60s (second opinion)"},
		{AtSeconds: 72.5, Event: "command", Detail: "Msvm_ComputerSystem.RequestStateChange"},
		{AtSeconds: 73, Event: "failed", Detail: "the job ended with 32775"},
		{AtSeconds: 73, Event: "escalated", Detail: "reset_vm failed."},
	}
	return t
}
