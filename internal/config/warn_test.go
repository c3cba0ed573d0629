package config

import (
	"strings"
	"testing"
)

// TestOneAccountForTwoRolesIsTold: by the name of the account, whatever the credentials are called.
func TestOneAccountForTwoRolesIsTold(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Credentials = map[string]*Credential{
		"r": {Username: `CORP\\reader`}, "o": {Username: `CORP\\operator`}, "g": {Username: `corp\\READER`}, "k": {CertFile: "/k.pem"}, "l": {CertFile: "/l.pem"},
	}
	c.Clusters = []*Cluster{{Name: "own", Reader: "r", Operator: "o", GuestOperator: "k"}, {Name: "certificates", Reader: "k", Operator: "l"}}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("accounts of their own: %q, want nothing", w)
	}
	c.Clusters = []*Cluster{{Name: "shared", Reader: "r", Operator: "o", GuestOperator: "g"}}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "shared: reader and guest_operator are one account") {
		t.Errorf("one account for two: %q, want it told", w)
	}
	c.Clusters = []*Cluster{{Name: "all", Reader: "o", Operator: "o", GuestOperator: "o"}}
	if w := c.Warnings(); len(w) != 3 {
		t.Errorf("one account for all: %q, want each pair", w)
	}
}

// TestWhatAPolicySaysInVainIsTold.
func TestWhatAPolicySaysInVainIsTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Policy)
		want   string
	}{
		"the default":        {func(*Policy) {}, ""},
		"a starved machine":  {func(p *Policy) { p.Ladders["resource"] = []string{RungLiveMigrate} }, ""},
		"a level":            {func(p *Policy) { p.InternalLevel = 3 }, ""},
		"a level in vain":    {func(p *Policy) { p.InternalLevel, p.Ladders["internal"] = 3, nil }, "policies.p.internal_level: the ladder"},
		"neither of the two": {func(p *Policy) { p.Ladders["internal"] = nil }, ""},
	} {
		c, p := Default(), DefaultPolicy()
		tt.change(p)
		c.Receiver.Policies = map[string]*Policy{"p": p}
		if w := c.Warnings(); len(w) != min(1, len(tt.want)) || !strings.Contains(strings.Join(w, ""), tt.want) {
			t.Errorf("%s: %q, want %q", name, w, tt.want)
		}
	}
}

// TestAnEntryUnderOneNameProtectsUnderEveryOther of the never-touch list.
func TestAnEntryUnderOneNameProtectsUnderEveryOther(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Clusters = []*Cluster{{Name: "c", VirtualMachines: []*VirtualMachine{{Name: "SQL01", VMName: "prod-sql", Group: "SCVMM prod Resources"}, {Name: "SQL02"}}}}
	for _, entry := range []string{"c/sql01", "c/PROD-SQL", "c/scvmm prod resources", "c/0a1b2c3d-0000-4000-8000-000000000001"} {
		c.Receiver.NeverTouch = []string{entry}
		if !c.NeverTouch("c", "SQL01", "0A1B2C3D-0000-4000-8000-000000000001") {
			t.Errorf("%s does not protect SQL01", entry)
		}
		if c.NeverTouch("c", "SQL02", "", "another") || c.NeverTouch("d", "SQL01", "") {
			t.Errorf("%s protects more than SQL01", entry)
		}
	}
}
