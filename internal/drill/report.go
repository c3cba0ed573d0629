package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// Report is everything measured in one run; report.json is its JSON.
type Report struct {
	Trials []Trial `json:"trials"`
	// Given are the parameters that were put in, not found out: a figure that one of them sets agrees with nothing.
	Given []Given `json:"given,omitempty"`
	// Program is the version and revision that ran, Machine the processors and the system that it ran on.
	Program string `json:"program,omitempty"`
	Machine string `json:"machine,omitempty"`
	Command string `json:"command,omitempty"` // the words that repeat the run
	Began   string `json:"began,omitempty"`   // RFC 3339
}

// Given is a parameter of the lab or of a policy that sets a part of a figure.
type Given struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
	// Sets are the figures that it sets a part of, by their names in Trial's JSON.
	Sets []string `json:"sets,omitempty"`
	// Profile, Era, Clock and Ladder are those of the trials that it is about; empty: of all.
	Profile string `json:"profile,omitempty"`
	Era     string `json:"era,omitempty"`
	Clock   string `json:"clock,omitempty"`
	Ladder  string `json:"ladder,omitempty"`
}

// about reports whether the parameter plays a part in a trial's world.
func (g Given) about(k Key) bool {
	is := func(own, of string) bool { return own == "" || own == of }
	return is(g.Profile, k.Profile) && is(g.Era, k.Era) && is(g.Clock, k.Clock) && is(g.Ladder, k.Ladder)
}

// The clocks of a trial.
const (
	VirtualClock = "virtual" // Step, guards and a ledger in memory over the lab's model
	RealClock    = "real"    // the programs, Prometheus and Alertmanager, as they are shipped
)

// Trial is one fault and what followed. Seconds count from the fault. A figure that never came is null: it is
// unknown, not zero.
type Trial struct {
	Fault         string `json:"fault"`
	Configuration string `json:"configuration"`
	Profile       string `json:"profile"`
	VM            string `json:"vm"`
	Instance      string `json:"sql_instance"`
	Incident      string `json:"incident"`
	Alert         string `json:"alert"`
	AlertAt       string `json:"alert_starts_at,omitempty"` // RFC 3339, by the receiver's word; Prometheus' is in the timeline
	FaultAt       string `json:"fault_at"`                  // RFC 3339, by the lab's clock

	// DetectionSeconds is to the first accepted webhook.
	DetectionSeconds    *float64 `json:"detection_seconds"`
	FirstCommandSeconds *float64 `json:"first_command_seconds"`
	// SQLDownSeconds is how long the instance was down, by the lab's state.
	SQLDownSeconds     *float64 `json:"sql_down_seconds"`
	FailoversByCluster int      `json:"failovers_by_cluster"`
	FailoversCommanded int      `json:"failovers_commanded"`
	Commands           []string `json:"commands"`
	Outcome            string   `json:"outcome"`
	HealedBy           string   `json:"healed_by,omitempty"`
	Summary            string   `json:"summary"`
	Plan               []string `json:"plan,omitempty"` // what a person would type
	Timeline           []Moment `json:"timeline"`

	// What an experiment adds; the demo leaves it out.
	*Experiment
}

// Experiment is what a trial of a scenario has beside a demo's: in which world it was played, what was expected, and the
// figures of the white paper's tables 3-2 and 3-4.
type Experiment struct {
	Scenario   string `json:"scenario"`
	Title      string `json:"title"`
	Class      string `json:"class"` // of fault; one of evidence.Faults or ""
	Era        string `json:"era"`
	Clock      string `json:"clock"` // VirtualClock or RealClock
	Repetition int    `json:"repetition"`
	Ladder     string `json:"ladder,omitempty"` // "default", or the rungs of the policy

	// Acknowledged counts the load's commits that the server acknowledged, Lost those that were missing afterwards, Unknown
	// those whose answer never came. On the virtual clock nothing runs a load: null.
	Acknowledged *int `json:"acknowledged"`
	Lost         *int `json:"lost"`
	Unknown      *int `json:"unknown"`

	// RecoverySeconds is from detection to the moment at which the recovery was seen.
	RecoverySeconds     *float64 `json:"recovery_seconds"`
	MoveSeconds         *float64 `json:"move_seconds"` // the duration of the move
	TCPLostSeconds      *float64 `json:"tcp_lost_seconds"`
	PingLostSeconds     *float64 `json:"ping_lost_seconds"`     // on a real network alone
	ServiceStopSeconds  *float64 `json:"service_stop_seconds"`  // when the event log has SQL Server's stop
	ServiceStartSeconds *float64 `json:"service_start_seconds"` // and its start
	UnexpectedErrors    []string `json:"unexpected_errors"`     // of the event logs
	Stages              []Span   `json:"stages"`                // of our own chain

	Acts     string   `json:"acts"`     // who acted first: cluster, hypervigil, itself, nobody
	Expected string   `json:"expected"` // the outcome's word
	Because  string   `json:"because"`  // why that is expected
	Bound    *float64 `json:"bound_seconds"`
	Paper    string   `json:"paper,omitempty"` // the white paper's cell
	Failures []string `json:"failures"`        // what did not come out as expected; none: the row holds
}

// Span is one stage of a trial.
type Span struct {
	Name  string  `json:"name"`
	From  float64 `json:"from_seconds"`
	Until float64 `json:"until_seconds"`
}

// Moment is one line of a trial's story.
type Moment struct {
	AtSeconds float64 `json:"at_seconds"`
	Event     string  `json:"event"`
	Detail    string  `json:"detail"`
}

// Write replaces the file at path by the report, whole or not at all.
func (r Report) Write(path string) error {
	if r.Trials == nil {
		r.Trials = []Trial{} // no trial yet is an empty list
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(append(b, '\n')); err != nil {
		tmp.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

// Compare prints a trial beside the white paper's figures. given lists the parameters of the lab that set parts of
// ours: they were put in, not found out.
func (t Trial) Compare(w io.Writer, given []string) {
	fmt.Fprintln(w, "\nSeconds, beside the white paper of 2010 (a stopped SQL Server service, mean of 3):")
	down := PaperOf(DownFigure)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "\tthis run\t2010, monitored\t2010, guest cluster")
	fmt.Fprintf(tw, "  fault to detection\t%s\t%s\t\n", seconds(t.DetectionSeconds), whole(PaperOf(DetectionFigure).Monitored))
	fmt.Fprintf(tw, "  detection to recovery\t%s\t%s\t\n", seconds(t.recovery()), whole(PaperOf(RecoveryFigure).Monitored))
	fmt.Fprintf(tw, "  SQL Server down\t%s\t%s\t%s\n", seconds(t.SQLDownSeconds), whole(down.Monitored), whole(down.Guest))
	tw.Flush()
	if n := t.FailoversByCluster + t.FailoversCommanded; n > 0 {
		fmt.Fprintf(w, "Failovers: %d by the cluster, %d commanded. In 2010 a host without power led to two: the cluster's own, and a commanded\none that did not succeed.\n",
			t.FailoversByCluster, t.FailoversCommanded)
	}
	fmt.Fprintln(w, "Detection and decision are real time; the lab is a simulation, and these of its durations are given parameters:")
	for _, g := range given {
		fmt.Fprintln(w, "  -", g)
	}
}

func (t Trial) recovery() *float64 {
	if t.DetectionSeconds == nil || t.SQLDownSeconds == nil {
		return nil
	}
	d := *t.SQLDownSeconds - *t.DetectionSeconds
	return &d
}

func seconds(f *float64) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *f)
}

// whole writes a figure of the white paper's, which has no tenths.
func whole(f *float64) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", *f)
}
