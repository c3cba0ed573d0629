package rules

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/peers"
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

func TestPromtoolAcceptsEverySet(t *testing.T) {
	t.Parallel()
	tool := promtool(t)
	for _, s := range Speeds() {
		out, err := exec.CommandContext(t.Context(), tool, "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(s.String(), File)).CombinedOutput()
		if err != nil {
			t.Errorf("promtool check rules %s: %v\n%s", s, err, out)
		}
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
