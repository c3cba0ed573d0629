package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeT records how a test would have ended.
type fakeT struct {
	ctx             context.Context
	skipped, failed string
}

func (f *fakeT) Helper()                     {}
func (f *fakeT) Context() context.Context    { return f.ctx }
func (f *fakeT) Skipf(s string, args ...any) { f.skipped = fmt.Sprintf(s, args...) }
func (f *fakeT) Fatalf(s string, args ...any) {
	f.failed = fmt.Sprintf(s, args...)
}

func TestNeedFindsAProgramOnPath(t *testing.T) {
	t.Setenv("REQUIRE_PEERS", "1")
	f := &fakeT{ctx: t.Context()}
	if path := Need(f, "go"); !strings.Contains(filepath.Base(path), "go") || f.failed != "" || f.skipped != "" {
		t.Errorf("Need(go) = %q, failed %q, skipped %q; want a path and neither", path, f.failed, f.skipped)
	}
}

func TestAMissingPeerIsSkippedAndOnRecord(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("REQUIRE_PEERS", "")
	t.Setenv("HYPERVIGIL_SKIPPED_PEERS", list)
	for _, name := range []string{"no-such-peer-program", "python3:no_such_module_at_all", "perl:DBI"} {
		f := &fakeT{ctx: t.Context()}
		if path := Need(f, name); path != "" || f.skipped == "" || f.failed != "" {
			t.Errorf("Need(%q) = %q, skipped %q, failed %q; want only a skip", name, path, f.skipped, f.failed)
		}
	}
	got, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if want := "no-such-peer-program\npython3:no_such_module_at_all\nperl:DBI\n"; string(got) != want {
		t.Errorf("list of skipped peers = %q, want %q", got, want)
	}
}

func TestAMissingPeerFailsWherePeersAreRequired(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("REQUIRE_PEERS", "1")
	t.Setenv("HYPERVIGIL_SKIPPED_PEERS", list)
	f := &fakeT{ctx: t.Context()}
	Need(f, "no-such-peer-program")
	if f.failed == "" || f.skipped != "" {
		t.Errorf("failed %q, skipped %q; want a failure", f.failed, f.skipped)
	}
	if _, err := os.Stat(list); err == nil {
		t.Error("a failure is no skip, yet it was put on the list")
	}
}

func TestAListThatCannotBeWrittenFailsTheTest(t *testing.T) {
	t.Setenv("REQUIRE_PEERS", "")
	t.Setenv("HYPERVIGIL_SKIPPED_PEERS", filepath.Join(t.TempDir(), "no", "such", "folder"))
	f := &fakeT{ctx: t.Context()}
	Need(f, "no-such-peer-program")
	if f.failed == "" {
		t.Error("a skip that cannot be recorded passed silently")
	}
}
