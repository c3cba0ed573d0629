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
}

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

// The white paper's figures for a stopped SQL Server service (Hitachi and Microsoft, 2010, tables 3-2 and 3-4).
const (
	paperDetection = "66"
	paperRecovery  = "126"
	paperDown      = "192"
	paperGuestDown = "55"
)

// Compare prints a trial beside the white paper's figures. given lists the parameters of the lab that set parts of
// ours: they were put in, not found out.
func (t Trial) Compare(w io.Writer, given []string) {
	fmt.Fprintln(w, "\nSeconds, beside the white paper of 2010 (a stopped SQL Server service, mean of 3):")
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "\tthis run\t2010, monitored\t2010, guest cluster")
	fmt.Fprintf(tw, "  fault to detection\t%s\t%s\t\n", seconds(t.DetectionSeconds), paperDetection)
	fmt.Fprintf(tw, "  detection to recovery\t%s\t%s\t\n", seconds(t.recovery()), paperRecovery)
	fmt.Fprintf(tw, "  SQL Server down\t%s\t%s\t%s\n", seconds(t.SQLDownSeconds), paperDown, paperGuestDown)
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
