package conformance

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	t.Parallel()
	m := &Mask{}
	m.Name("node", "HV1")
	m.Name("node", "hv1") // the same
	m.Name("node", "HV10")
	m.Name("vm", "SQL01")
	m.Alias("SCVMM SQL01 Resources", "SQL01")
	m.Alias("elsewhere", "nobody")
	m.Name("cluster", "A")
	m.Name("address", "hv1.corp.example:5986")
	m.Name("instance", "MSSQLSERVER") // everybody's
	m.Name("vm", "")
	for text, want := range map[string]string{
		"HV1 asked hv10 about SQL01":                   "node-1 asked node-2 about vm-1",
		"HV100 is another; hv1.corp.example:5986 not":  "HV100 is another; address-1 not",
		"group SCVMM SQL01 Resources of xSQL01y":       "group vm-1 of xvm-1y",
		"A cat, a at A/B":                              "cluster-1 cat, cluster-1 at cluster-1/B",
		"MSSQLSERVER stays, elsewhere too":             "MSSQLSERVER stays, elsewhere too",
		"id 11111111-aaaa-0000-0000-000000000001":      "id <guid>",
		"{11111111-AAAA-0000-0000-000000000001}":       "<guid>",
		"dial tcp 10.0.0.11:5986: refused":             "dial tcp <address>: refused",
		"fe80::1%eth0 and [2001:db8::1]:5986":          "<address> and <address>:5986",
		"by CORP\\somebody and some.body@CORP.EXAMPLE": "by <account> and <account>",
		`\\fs1\witness and C:\ClusterStorage\Volume1`:  "<path> and <path>",
		"S-1-5-21-1-2-3-500":                           "<sid>",
		"00-15-5D-01-00-01":                            "<mac>",
		"dc9.corp.example said no":                     "<host> said no",
		"version 16.0.4135.4, 10.0.20348":              "version 16.0.4135.4, 10.0.20348",
		"took 1.5s, State=4294967295, 0x8033801A":      "took 1.5s, State=4294967295, 0x8033801A",
	} {
		if got := m.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestLeak(t *testing.T) {
	t.Parallel()
	m := &Mask{}
	m.Name("node", "HV1")
	m.Secret("hunter2")
	m.Secret("")
	for report, says := range map[string]string{"nothing": "", "xxhunter2xx": "secret", "by hv1.": "node-1", "HV12": ""} {
		err := m.Leak(report)
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("Leak(%q) = %v, want %q", report, err, says)
		}
	}
	if err := (Report{}).Write(t.TempDir()); err == nil {
		t.Error("a report that was not masked was written")
	}
	dirty := Report{masks: m, Outcomes: []Outcome{{Says: "the password is hunter2"}}}
	if err := dirty.Write(t.TempDir()); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("a report with a password: %v", err)
	}
}
