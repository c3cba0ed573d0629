package evidence

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/dial"
)

// TestABundleKeepsWithinItsBound: whatever the world answers, the ledger takes no more than MaxBundle of it, and what was
// left out is named.
func TestABundleKeepsWithinItsBound(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	events := func(n, size int) (list []cluster.Event) {
		for i := range n {
			list = append(list, cluster.Event{ID: uint32(i), At: at.Add(time.Duration(i) * time.Second), Strings: []string{strings.Repeat("ä", size)}, Data: []byte("raw")})
		}
		return list
	}
	b := Bundle{Instances: map[string]Standing{}}
	for i := range 12 {
		s := Standing{Diagnostics: Reading[[]Component]{At: at, Value: []Component{{Name: "resource", Figures: map[string]float64{}}}}}
		for f := range 200 {
			s.Diagnostics.Value[0].Figures[fmt.Sprint("figure ", f)] = float64(f)
			s.Waits.Value = append(s.Waits.Value, Wait{Type: fmt.Sprint("W", f), Time: time.Duration(f)})
		}
		b.Instances[fmt.Sprintf("I%02d", i)] = s
	}
	for i := range 300 {
		b.Disks.Value = append(b.Disks.Value, Disk{Name: strings.Repeat("d", 200), Queue: uint64(i)})
	}
	b.GuestEvents.Value, b.ClusterEvents.Value = events(100, 1000), events(100, 1000)
	got := b.Bounded()
	j, err := json.Marshal(got)
	if err != nil || len(j) > MaxBundle {
		t.Errorf("%d bytes (%v), want at most %d", len(j), err, MaxBundle)
	}
	for _, part := range []string{"instances", "waits", "diagnostics", "disks", "guest_events", "cluster_events"} {
		if !strings.Contains(strings.Join(got.Cut, " "), part) {
			t.Errorf("cut = %v, want %s named", got.Cut, part)
		}
	}
	if w := got.Instances["I00"].Waits.Value; len(w) == 0 || w[0].Type != "W199" {
		t.Errorf("waits = %v, want the longest first", w)
	}
	if e := b.GuestEvents.Value[0]; string(e.Data) != "raw" || len(e.Strings[0]) != 2000 {
		t.Error("the bundle that was given was changed")
	}
	if e := got.GuestEvents.Value; len(e) == 0 || e[0].ID != 99 || e[0].Data != nil {
		t.Errorf("events = %v, want the newest first, without their data", e)
	}
}

// TestWhatIsMissingIsNamed: an operator who reads a bundle must know what nobody could see.
func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	b := Bundle{Instances: map[string]Standing{"A": {Waits: Reading[[]Wait]{At: at, Failure: dial.LoginTimeout}, Sessions: Reading[Sessions]{At: at}}}, Host: Reading[cluster.VirtualMachine]{At: at}}
	got := strings.Join(b.Missing(), ", ")
	want := "A diagnostics (not read), A waits (login_timeout), A work (not read), disks (not read), guest events (not read), server events (not read), cluster events (not read)"
	if got != want {
		t.Errorf("missing = %q, want %q", got, want)
	}
}
