package drill_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/drill"
)

func p(v float64) *float64 { return &v }

// played is a trial of an experiment with what it took.
func played(clock, ladder string, down, tcp *float64, stages ...drill.Span) drill.Trial {
	return drill.Trial{
		Fault: "service-crash", Configuration: "monitored-host-cluster", Profile: "paper", SQLDownSeconds: down,
		Experiment: &drill.Experiment{Scenario: "service-crash", Era: "2025", Clock: clock, Ladder: ladder, TCPLostSeconds: tcp, Stages: stages, Paper: "o"},
	}
}

func TestStatisticsOfAGroup(t *testing.T) {
	t.Parallel()
	r := drill.Report{
		Trials: []drill.Trial{
			played(drill.RealClock, "default", p(30), nil, drill.Span{Name: "alert to webhook", From: 1, Until: 1.5}),
			played(drill.RealClock, "default", p(10), p(4), drill.Span{Name: "alert to webhook", From: 2, Until: 2.25}, drill.Span{Name: "alert to webhook", From: 5, Until: 5.25}),
			played(drill.RealClock, "default", nil, nil),
			played(drill.RealClock, "default", p(11), nil),
			played(drill.RealClock, "default", p(20), nil),
		},
		Given: []drill.Given{
			{Name: "a", Sets: []string{drill.DownFigure}},
			{Name: "b", Sets: []string{drill.StagesFigure}},
			{Name: "c", Sets: []string{"alert to webhook", drill.DownFigure}},
			{Name: "another profile", Sets: []string{drill.DownFigure}, Profile: "quick"},
			{Name: "another era", Sets: []string{drill.StagesFigure}, Era: "2008r2"},
			{Name: "another clock", Sets: []string{drill.DownFigure}, Clock: drill.VirtualClock},
			{Name: "another ladder", Sets: []string{drill.DownFigure}, Ladder: drill.WhitePaperPolicy},
			{Name: "this world", Sets: []string{drill.DownFigure}, Profile: "paper", Era: "2025", Clock: drill.RealClock, Ladder: "default"},
		},
	}
	groups := drill.Statistics(r)
	if len(groups) != 1 {
		t.Fatalf("%d groups, want 1", len(groups))
	}
	g := groups[0]
	want := drill.Statistic{
		Name: drill.DownFigure, Title: "SQL Server down", Samples: []float64{30, 10, 11, 20}, Unknown: 1,
		Mean: p(17.75), Median: p(15.5), Minimum: p(10), Maximum: p(30), Given: []int{0, 2, 7},
	}
	if diff := cmp.Diff(want, g.Figure(drill.DownFigure)); diff != "" {
		t.Errorf("SQL Server down (-want +got):\n%s", diff)
	}
	want = drill.Statistic{Name: drill.TCPFigure, Title: "TCP lost", Samples: []float64{4}, Unknown: 4, Mean: p(4), Median: p(4), Minimum: p(4), Maximum: p(4)}
	if diff := cmp.Diff(want, g.Figure(drill.TCPFigure)); diff != "" {
		t.Errorf("TCP lost (-want +got):\n%s", diff)
	}
	want = drill.Statistic{Name: drill.PingFigure, Title: "ping lost", Unknown: 5}
	if diff := cmp.Diff(want, g.Figure(drill.PingFigure)); diff != "" {
		t.Errorf("ping lost, which nothing measured (-want +got):\n%s", diff)
	}
	wantStages := []drill.Statistic{{
		Name: "alert to webhook", Title: "alert to webhook", Samples: []float64{0.5, 0.5}, Unknown: 3,
		Mean: p(0.5), Median: p(0.5), Minimum: p(0.5), Maximum: p(0.5), Given: []int{1, 2},
	}}
	if diff := cmp.Diff(wantStages, g.Stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{30, 10, 11, 20}, []float64{*r.Trials[0].SQLDownSeconds, *r.Trials[1].SQLDownSeconds, *r.Trials[3].SQLDownSeconds, *r.Trials[4].SQLDownSeconds}); diff != "" {
		t.Errorf("the report itself was changed:\n%s", diff)
	}
}

// TestTrialsOfDifferentWorldsAreNeverMixed: each of the words that a row is named by makes a group of its own.
func TestTrialsOfDifferentWorldsAreNeverMixed(t *testing.T) {
	t.Parallel()
	base := func() drill.Trial { return played(drill.RealClock, "default", p(1), nil) }
	trials := []drill.Trial{base(), base()}
	for _, change := range []func(*drill.Trial){
		func(t *drill.Trial) { t.Clock = drill.VirtualClock }, func(t *drill.Trial) { t.Ladder = "white_paper" },
		func(t *drill.Trial) { t.Era = "2008r2" }, func(t *drill.Trial) { t.Profile = "quick" },
		func(t *drill.Trial) { t.Configuration = "guest-cluster" }, func(t *drill.Trial) { t.Scenario = "two-instances" },
		func(t *drill.Trial) { t.Experiment = nil },
	} {
		c := base()
		change(&c)
		trials = append(trials, c)
	}
	var got [][]int
	for _, g := range drill.Statistics(drill.Report{Trials: trials}) {
		got = append(got, g.Places)
		if len(g.Trials) != len(g.Places) {
			t.Errorf("%d trials at %d places", len(g.Trials), len(g.Places))
		}
	}
	if diff := cmp.Diff([][]int{{0, 1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}, got); diff != "" {
		t.Errorf("the trials of each group (-want +got):\n%s", diff)
	}
}

// TestThePaperSaysItsFiguresOnce, and each under the name of a figure that we have.
func TestThePaperSaysItsFiguresOnce(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range drill.Figures() {
		known[f.Name] = true
	}
	for _, f := range drill.PaperFigures() {
		if !known[f.Name] {
			t.Errorf("the white paper's %s is none of our figures", f.Name)
		}
	}
	down := drill.PaperOf(drill.DownFigure)
	if got := *down.Of("guest-cluster"); got != 55 {
		t.Errorf("guest cluster down %v, want 55", got)
	}
	if got := *down.Of("monitored-host-cluster"); got != *drill.PaperOf(drill.DetectionFigure).Monitored+*drill.PaperOf(drill.RecoveryFigure).Monitored {
		t.Errorf("monitored host cluster down %v is not detection and recovery", got)
	}
	for _, none := range []string{"host-cluster", "something else"} {
		if got := down.Of(none); got != nil {
			t.Errorf("%s down %v, want none", none, *got)
		}
	}
}

func TestWhichRowOfThePaperATrialPlays(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"host-power-off": "power supply", "host-disk": "internal disk (host OS)", "host-raid": "RAID board", "host-cpu": "CPU", "lan-board": "LAN board",
		"lan-board-moves": "LAN board", "guest-hang": "", "guest-crash": "guest OS", "service-crash": "application or service", "service-crash-white-paper": "application or service",
		"guest-starved": "resource shortage", "witness-lost": "", "": "",
	} {
		got := ""
		for _, r := range drill.PaperRows() {
			if r.Plays(drill.Trial{Fault: name}) {
				got += r.Part
			}
		}
		if got != want {
			t.Errorf("%q plays %q, want %q", name, got, want)
		}
	}
	// A scenario that only uses a row's fault is not that row.
	two := drill.Trial{Fault: "service-crash", Experiment: &drill.Experiment{Scenario: "two-instances"}}
	for _, r := range drill.PaperRows() {
		if r.Plays(two) {
			t.Errorf("two-instances plays %s", r.Part)
		}
	}
	if g := drill.Statistics(drill.Report{Trials: []drill.Trial{two, played(drill.RealClock, "", nil, nil)}}); g[0].PaperExperiment() || !g[1].PaperExperiment() {
		t.Error("the white paper's experiment is not told from another one with its fault")
	}
	r := drill.PaperRows()[10]
	if diff := cmp.Diff([][]drill.PaperCell{{"o"}, {"△"}, {"x", "o"}, nil}, [][]drill.PaperCell{r.Of("guest-cluster"), r.Of("host-cluster-heartbeat"), r.Of("monitored-host-cluster"), r.Of("")}); diff != "" {
		t.Errorf("cells of %s (-want +got):\n%s", r.Part, diff)
	}
}

// TestThePapersRowsArePlayed: what a shipped scenario says that it plays is what the report's table counts it for.
func TestThePapersRowsArePlayed(t *testing.T) {
	t.Parallel()
	scenarios, err := drill.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	for _, s := range scenarios {
		got := ""
		for _, r := range drill.PaperRows() {
			if r.Plays(drill.Trial{Experiment: &drill.Experiment{Scenario: s.Name}}) {
				got += r.Class + ": " + r.Part
			}
		}
		if got != s.Paper {
			t.Errorf("%s is counted for %q, and says that it plays %q", s.Name, got, s.Paper)
		}
		played[s.Paper] = true
	}
	for _, r := range drill.PaperRows() {
		if name := r.Class + ": " + r.Part; !played[name] {
			t.Errorf("no scenario plays %s", name)
		}
	}
}
