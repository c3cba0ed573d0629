package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

func TestKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"meta", "schema"}, "meta/schema"},
		{[]string{"vm", "hv/cl1", "SQL 01"}, "vm/hv%2Fcl1/SQL%2001"},
		{[]string{"vm", "a%2Fb", ""}, "vm/a%252Fb/"},
		{[]string{"vm", "..", "ä"}, "vm/../%C3%A4"},
	} {
		given := slices.Clone(test.names)
		if got := ledger.Key(given...); got != test.want {
			t.Errorf("Key(%q) = %q, want %q", test.names, got, test.want)
		}
		if !slices.Equal(given, test.names) {
			t.Errorf("Key changed its arguments from %q to %q", test.names, given)
		}
		got, err := ledger.Names(test.want)
		if diff := cmp.Diff(test.names, got); err != nil || diff != "" {
			t.Errorf("Names(%q): %v (-want +got):\n%s", test.want, err, diff)
		}
	}
}

func TestNamesRefusesWhatKeyNeverMade(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"vm/a b", "vm/%", "vm/%2", "vm/%zz", "vm/%41", "vm/%2f", "vm/ä", "vm/\x00"} {
		if got, err := ledger.Names(key); err == nil {
			t.Errorf("Names(%q) = %q, want an error", key, got)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("vm", "hv-cl1", "SQL01")
	f.Add("a/b", "%2F", "")
	f.Add("\xff\x00", "ä", "/")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		want := []string{a, b, c}
		key := ledger.Key(want...)
		if n := strings.Count(key, "/"); n != 2 {
			t.Errorf("Key(%q) = %q with %d slashes, want 2", want, key, n)
		}
		got, err := ledger.Names(key)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Names(%q) = %q, %v, want %q", key, got, err, want)
		}
		if !strings.HasPrefix(key, ledger.Prefix(a, b)) {
			t.Errorf("Key(%q) = %q does not begin with Prefix(%q, %q)", want, key, a, b)
		}
		// What a stranger wrote is taken apart to what makes the same key, or refused.
		if names, err := ledger.Names(a); err == nil && ledger.Key(names...) != a {
			t.Errorf("Names(%q) = %q, but their Key is %q", a, names, ledger.Key(names...))
		}
	})
}

func TestValidateNamesTheCulprit(t *testing.T) {
	t.Parallel()
	err := ledger.Validate([]ledger.Op{{Key: "good"}, {Key: "big", Value: make([]byte, ledger.MaxValue+1)}})
	if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("Validate() = %v, want ErrInvalid about \"big\"", err)
	}
	if err := ledger.Validate([]ledger.Op{{Key: "good", Value: make([]byte, ledger.MaxValue)}}); err != nil {
		t.Errorf("Validate() of the greatest value = %v, want no error", err)
	}
}
