package rules

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/rules/rulestest"
)

var update = flag.Bool("update", false, "rewrite the sets of rules from the template")

// promtool returns the path of promtool: PROMTOOL of the environment, or the one on PATH.
func promtool(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("PROMTOOL"); p != "" {
		return p
	}
	return peers.Need(t, "promtool")
}

// release is one of Prometheus that the rules are tested with.
type release struct {
	name     string
	promtool func(*testing.T) string
	// closed says that a range includes the sample at its very beginning: so it was before Prometheus 3.0.
	closed bool
}

// releases are today's and the oldest that the rules are for: Debian 12's package.
func releases() []release {
	return []release{
		{"today", promtool, false},
		{"2.42", func(t *testing.T) string {
			t.Helper()
			if p := os.Getenv("PROMTOOL242"); p != "" {
				return p
			}
			return peers.Need(t, "promtool242")
		}, true},
	}
}

func TestTheSetsInTheTreeAreThoseOfTheTemplate(t *testing.T) {
	t.Parallel()
	for _, s := range Speeds() {
		want, err := Generate(s)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(s.String(), File)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("rules/%s is not what the template makes; run go test ./rules -update", file)
		}
	}
}

// TestTheSpeedsDifferInIntervalsAndWindowsAlone: word for word the sets are one, but for durations, and each of these is the
// one that its timing makes.
func TestTheSpeedsDifferInIntervalsAndWindowsAlone(t *testing.T) {
	t.Parallel()
	text := map[Speed]string{}
	timings := map[Speed]Timing{}
	for _, s := range Speeds() {
		b, err := Generate(s)
		if err != nil {
			t.Fatal(err)
		}
		_, text[s], _ = strings.Cut(string(b), "groups:\n") // the heading names the speed
		if timings[s], err = s.Timing(); err != nil {
			t.Fatal(err)
		}
	}
	duration := regexp.MustCompile(`\b(\d+(ms|[smhd]))+\b`)
	words := func(s Speed) string { return duration.ReplaceAllString(text[s], "…") }
	if diff := cmp.Diff(words(Standard), words(Fast)); diff != "" {
		t.Fatalf("the sets without their durations (-standard +fast):\n%s", diff)
	}
	made := map[[2]string]bool{}
	for _, of := range []func(Timing) time.Duration{
		func(t Timing) time.Duration { return t.Evaluation },
		func(t Timing) time.Duration { return t.TellEvaluation },
		func(t Timing) time.Duration { return SilentWindow(t.SQL) },
		func(t Timing) time.Duration { return Window(t.Host) },
		func(t Timing) time.Duration { return Keep(t.SQL) },
		func(t Timing) time.Duration { return Keep(t.Host) },
	} {
		made[[2]string{Duration(of(timings[Standard])), Duration(of(timings[Fast]))}] = true
	}
	standard, fast := duration.FindAllString(text[Standard], -1), duration.FindAllString(text[Fast], -1)
	seen := map[[2]string]bool{}
	for n := range standard {
		pair := [2]string{standard[n], fast[n]}
		if pair[0] == pair[1] {
			continue
		}
		if !made[pair] {
			t.Errorf("the standard set says %s where the fast one says %s: no interval and no window of theirs", pair[0], pair[1])
		}
		seen[pair] = true
	}
	if diff := cmp.Diff(made, seen); diff != "" {
		t.Errorf("the pairs that the timings make and those in the sets (-want +got):\n%s", diff)
	}
}

func TestPromtoolAcceptsEverySet(t *testing.T) {
	t.Parallel()
	for _, r := range releases() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			tool := r.promtool(t)
			for _, s := range Speeds() {
				out, err := exec.CommandContext(t.Context(), tool, "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(s.String(), File)).CombinedOutput()
				if err != nil {
					t.Errorf("promtool check rules %s: %v\n%s", s, err, out)
				}
			}
		})
	}
}

func TestDurationsAreWrittenAsPrometheusReadsThem(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 2500 * time.Millisecond: "2s500ms", 90 * time.Minute: "1h30m", Window(15 * time.Second): "37s500ms",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestAnUnknownSpeedIsRefusedByName(t *testing.T) {
	t.Parallel()
	_, err := Generate("ludicrous")
	if want := `unknown speed "ludicrous"; use standard or fast`; err == nil || err.Error() != want {
		t.Errorf("Generate(ludicrous) = %v, want %s", err, want)
	}
}

// set is what a test reads of a file of rules.
type set struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr, For string
			Labels, Annotations      map[string]string
		}
	}
}

func load(t *testing.T, s Speed) set {
	t.Helper()
	b, err := Generate(s)
	if err != nil {
		t.Fatal(err)
	}
	var out set
	if err := yaml.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryNameInTheRulesIsExported(t *testing.T) {
	t.Parallel()
	known := rulestest.Load(t, "..")
	text, err := Generate(Standard)
	if err != nil {
		t.Fatal(err)
	}
	recorded := rulestest.Recordings(t, text)
	for _, g := range load(t, Standard).Groups {
		for _, r := range g.Rules {
			for _, wrong := range known.Check(r.Expr, recorded) {
				t.Errorf("%s%s: %s", r.Record, r.Alert, wrong)
			}
		}
	}
}

func TestEveryAlertSaysWhatItMeansAndHasARunbook(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, g := range load(t, Standard).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			found[r.Alert+".md"] = true
			for _, a := range []string{"summary", "description", "runbook_url"} {
				if r.Annotations[a] == "" {
					t.Errorf("%s has no %s", r.Alert, a)
				}
			}
			if r.Labels["severity"] == "" {
				t.Errorf("%s has no severity", r.Alert)
			}
			if want := Runbooks + "/" + r.Alert + ".md"; r.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url = %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
			}
			b, err := os.ReadFile(filepath.Join("..", "docs", "runbooks", r.Alert+".md"))
			if err != nil {
				t.Errorf("%s has no runbook: %v", r.Alert, err)
				continue
			}
			for _, heading := range []string{"# " + r.Alert + "\n", "\n## What it means\n", "\n## What Hypervigil does\n", "\n## What you do\n"} {
				if !strings.Contains(string(b), heading) {
					t.Errorf("the runbook of %s has no heading %q", r.Alert, strings.TrimSpace(heading))
				}
			}
		}
	}
	pages, err := os.ReadDir(filepath.Join("..", "docs", "runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !found[p.Name()] {
			t.Errorf("docs/runbooks/%s belongs to no alert", p.Name())
		}
	}
}

// TestActingAlertsCarryNothingThatChangesWithAFailover pins the labels that identify an incident.
func TestActingAlertsCarryNothingThatChangesWithAFailover(t *testing.T) {
	t.Parallel()
	faults := map[string]string{}
	for _, g := range load(t, Standard).Groups {
		for _, r := range g.Rules {
			if r.Labels["hypervigil"] != "act" {
				continue
			}
			faults[r.Labels["fault"]] = r.Alert
			if r.For != "0s" {
				t.Errorf("%s: for = %s, want 0s: the window is in the expression, where one good probe ends it", r.Alert, r.For)
			}
			for l := range r.Labels {
				switch l {
				case "fault", "severity", "hypervigil", "sql_instance":
				default:
					t.Errorf("%s sets the label %s", r.Alert, l)
				}
			}
		}
	}
	want := map[string]string{
		"service": "SQLServerDown", "hang": "SQLServerHung", "internal": "SQLServerInternalError", "resource": "SQLServerStarved", "guest": "SQLServerGuestDown", "network": "SQLServerCutOff", "host": "SQLServerHostDown",
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Errorf("alerts by fault class (-want +got):\n%s", diff)
	}
}
