package cluster

import "testing"

func TestSameMachineID(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a, b string
		want bool
	}{
		"the same":                        {"6F9619FF-8B86-D011-B42D-00C04FC964FF", "6F9619FF-8B86-D011-B42D-00C04FC964FF", true},
		"braces and case":                 {"{6f9619ff-8b86-d011-b42d-00c04fc964ff}", "6F9619FF-8B86-D011-B42D-00C04FC964FF", true},
		"blanks and no dashes":            {" 6f9619ff8b86d011b42d00c04fc964ff ", "6F9619FF-8B86-D011-B42D-00C04FC964FF", true},
		"first three fields swapped":      {"{FF19966F-868B-11D0-B42D-00C04FC964FF}", "6F9619FF-8B86-D011-B42D-00C04FC964FF", true},
		"swapped, the other way round":    {"6F9619FF-8B86-D011-B42D-00C04FC964FF", "FF19966F-868B-11D0-B42D-00C04FC964FF", true},
		"only the first field swapped":    {"FF19966F-8B86-D011-B42D-00C04FC964FF", "6F9619FF-8B86-D011-B42D-00C04FC964FF", false},
		"the last eight bytes are turned": {"6F9619FF-8B86-D011-2DB4-00C04FC964FF", "6F9619FF-8B86-D011-B42D-00C04FC964FF", false},
		"another":                         {"6F9619FF-8B86-D011-B42D-00C04FC964FE", "6F9619FF-8B86-D011-B42D-00C04FC964FF", false},
		"zeros name no machine":           {"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", false},
		"ones name no machine":            {"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", false},
		"empty":                           {"", "", false},
		"one empty":                       {"6F9619FF-8B86-D011-B42D-00C04FC964FF", "", false},
		"no UUID":                         {"SQL01", "SQL01", false},
		"no hexadecimal":                  {"6F9619FF-8B86-D011-B42D-00C04FC964FG", "6F9619FF-8B86-D011-B42D-00C04FC964FG", false},
		"too long":                        {"6F9619FF-8B86-D011-B42D-00C04FC964FF00", "6F9619FF-8B86-D011-B42D-00C04FC964FF00", false},
	} {
		if got := SameMachineID(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: SameMachineID(%q, %q) = %v, want %v", name, tc.a, tc.b, got, tc.want)
		}
	}
}
