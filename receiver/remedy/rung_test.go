package remedy_test

import (
	"slices"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

func TestEveryRungOfTheConfigurationIsHereAndNoOther(t *testing.T) {
	t.Parallel()
	for _, k := range config.KnownRungs() {
		s, ok := remedy.SpecOf(remedy.Rung(k.Name))
		if !ok {
			t.Errorf("config knows rung %s, remedy does not", k.Name)
			continue
		}
		if got := s.Rung.Kind(); got != k.Kind || !slices.Contains(config.RungKinds(), got) {
			t.Errorf("%s acts on %q, config says %q", k.Name, got, k.Kind)
		}
		for _, f := range k.Faults {
			if !evidence.Fault(f).Known() {
				t.Errorf("%s is for fault class %q, which is none", k.Name, f)
			}
		}
		if _, err := remedy.Plan(s.Rung, remedy.Case{}); err == nil {
			t.Errorf("%s is planned without any evidence", k.Name)
		}
		if s.Sent() {
			continue
		}
		if lines := remedy.Propose(s.Rung, "SCVMM SQL01 Resources", "A0000001-0000-4000-8000-000000000001"); len(lines) == 0 {
			t.Errorf("%s is neither sent nor proposed", k.Name)
		}
	}
	if _, ok := remedy.SpecOf("format_disk"); ok {
		t.Error("a rung that config does not know is known here")
	}
}

func TestEveryMethodSaysWhatThereIsToKnow(t *testing.T) {
	t.Parallel()
	seen := map[remedy.Method]bool{}
	for _, m := range remedy.Methods() {
		if seen[m.Method] {
			t.Errorf("%s stands in the list twice", m.Method)
		}
		seen[m.Method] = true
		if !slices.Contains([]remedy.Target{remedy.Guest, remedy.Host, remedy.Cluster}, m.Target) {
			t.Errorf("%s is sent to %q", m.Method, m.Target)
		}
		if m.Within <= 0 || len(m.After) == 0 {
			t.Errorf("%s: its effect is waited for %s, by %v; want both", m.Method, m.Within, m.After)
		}
		// Nothing was read: no method may take that for its effect, or for a failure of it.
		if e := remedy.EffectOf(remedy.Call{Command: remedy.Command{Method: m.Method, Service: "MSSQLSERVER"}, Issued: born}, evidence.Round{}); e.Done || e.Failed || !e.Unreadable {
			t.Errorf("%s: effect of nothing read = %+v, want unreadable", m.Method, e)
		}
		if cause, why, ok := remedy.Judge(remedy.Command{Method: m.Method}, remedy.Result{Answered: true, Code: 0x7fff}); ok || cause == "" || why == "" {
			t.Errorf("%s: return value 32767 = %q, %q, %v; want a failure", m.Method, cause, why, ok)
		}
	}
	if _, ok := remedy.Method("Win32_OperatingSystem.Shutdown").Spec(); ok {
		t.Error("a method that nobody listed is known")
	}
}
