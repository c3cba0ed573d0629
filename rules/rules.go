// Package rules holds Hypervigil's recording and alerting rules for Prometheus, one set for each speed, and says how
// often a Prometheus that loads them has to scrape. The rules are one template; the sets made from it are in the tree,
// so that promtool and a reader see what Prometheus gets, and a test keeps them current.
package rules

import (
	"bytes"
	_ "embed" // the template
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
)

//go:embed hypervigil.rules.yml.tmpl
var source string

// File is the name of a set's file.
const File = "hypervigil.rules.yml"

// Runbooks is where the annotations' runbook_url points to.
const Runbooks = "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks"

// Speed says how often Prometheus looks, and with it how soon a fault is seen.
type Speed string

// The speeds. Standard is for clusters of any size; Fast for those whose SQL Servers are worth a probe a second.
const (
	Standard Speed = "standard"
	Fast     Speed = "fast"
)

// Speeds lists every speed.
func Speeds() []Speed { return []Speed{Standard, Fast} }

func (s Speed) String() string { return string(s) }

// Timing is how often what is asked at a speed.
type Timing struct {
	SQL        time.Duration // mssql_availability
	Host       time.Duration // hyperv, wsfc
	Guest      time.Duration // guest: it feeds no acting rule
	Self       time.Duration // our own programs, Prometheus and Alertmanager
	Evaluation time.Duration // of the acting rules
	// TellEvaluation is that of the rules that only tell; they speak of minutes.
	TellEvaluation time.Duration
	// DatabaseEvaluation is that of the rules about what is asked of SQL Server once a minute.
	DatabaseEvaluation time.Duration
}

// Timing returns how often what is asked at this speed, or an error that names the speeds there are.
func (s Speed) Timing() (Timing, error) {
	switch s {
	case Standard:
		return Timing{
			SQL: 5 * time.Second, Host: 15 * time.Second, Guest: 30 * time.Second, Self: 15 * time.Second,
			Evaluation: 5 * time.Second, TellEvaluation: 15 * time.Second, DatabaseEvaluation: time.Minute,
		}, nil
	case Fast:
		return Timing{
			SQL: time.Second, Host: 5 * time.Second, Guest: 15 * time.Second, Self: 5 * time.Second,
			Evaluation: time.Second, TellEvaluation: 5 * time.Second, DatabaseEvaluation: time.Minute,
		}, nil
	}
	return Timing{}, fmt.Errorf("unknown speed %q; use %s or %s", string(s), Standard, Fast)
}

// silence is how long a probe of SQL Server that gets no answer takes to be known: the scrape time-out of
// mssql_availability (900 ms and the exporter's offset; internal/generate rounds it to this).
const silence = time.Second

// counters is how often a host's counters are asked for, at every speed (hyperv_performance; internal/generate).
const counters = time.Minute

// SilentWindow is Window for the probes of SQL Server by themselves. Prometheus gives a sample the time at which its
// scrape began, and a silent probe comes to it only when it has timed out: the newest of the window is still missing at
// most evaluations. Without this second a probe each second would leave one in the window for nearly half of all
// Prometheus', by chance of when their scrapes and evaluations fall, and two are needed.
func SilentWindow(interval time.Duration) time.Duration { return Window(interval) + silence }

// Keep is how long an alert that stands on SilentWindow stays after its window has become too thin or good: a scrape
// that Prometheus lost leaves one probe in it for two evaluations, and the alert would end and begin anew, as another
// firing of another time.
func Keep(interval time.Duration) time.Duration { return 3 * interval }

// Window is the time over which a silent class must show itself: 2.5 intervals hold two probes or three, so that one
// probe that went wrong raises no alert.
func Window(interval time.Duration) time.Duration { return interval * 5 / 2 }

// Generate returns the rules of a speed as Prometheus reads them.
func Generate(s Speed) ([]byte, error) {
	t, err := s.Timing()
	if err != nil {
		return nil, err
	}
	// PromQL and the annotations have square and curly brackets of their own.
	tmpl, err := template.New(File).Delims("<<", ">>").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, fmt.Errorf("parse the rules' template: %w", err)
	}
	var b bytes.Buffer
	thresholds := config.DefaultThresholds()
	err = tmpl.Execute(&b, map[string]string{
		"Speed":          s.String(),
		"SQL":            Duration(t.SQL),
		"Host":           Duration(t.Host),
		"Evaluation":     Duration(t.Evaluation),
		"TellEvaluation": Duration(t.TellEvaluation),
		"SQLWindow":      Duration(SilentWindow(t.SQL)),
		"Keep":           Duration(Keep(t.SQL)),
		"HostKeep":       Duration(Keep(t.Host)),
		"HostWindow":     Duration(Window(t.Host)),
		"LoadWindow":     Duration(Window(counters)),
		"Runbooks":       Runbooks,

		"DatabaseEvaluation": Duration(t.DatabaseEvaluation),
		"BackupAge":          fmt.Sprint(thresholds.BackupAge.Seconds()),
		"LogBackupAge":       fmt.Sprint(thresholds.LogBackupAge.Seconds()),
		"LogUsed":            fmt.Sprint(float64(thresholds.LogUsedPercent) / 100),
	})
	if err != nil {
		return nil, fmt.Errorf("make the rules: %w", err)
	}
	return b.Bytes(), nil
}

// Duration writes d as Prometheus reads it: no fractions, the largest units first (12s500ms).
func Duration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.size
		}
	}
	return b.String()
}
