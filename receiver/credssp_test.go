package receiver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// TestNoRemedyNeedsCredSSP: CredSSP hands the operator's password to the machine that is asked, so that it can ask a third one
// (MS-CSSP). Every method is a call of the machine that it is about, by one hop: of the guest, of the host, or of a node about
// its own cluster. No configuration can turn it on either, and no script of ours does.
func TestNoRemedyNeedsCredSSP(t *testing.T) {
	t.Parallel()
	hops := map[remedy.Target][]string{
		remedy.Guest:   {"Win32_Service.", "Win32_Process."},                                   // root/cimv2 of the guest itself
		remedy.Host:    {"Msvm_ComputerSystem.", "Msvm_ShutdownComponent."},                    // root/virtualization/v2 of the host itself
		remedy.Cluster: {"MSCluster_ResourceGroup.", "MSCluster_Resource.", "MSCluster_Node."}, // root/MSCluster of a member; its cluster service does the rest
	}
	for _, m := range remedy.Methods() {
		own := false
		for _, class := range hops[m.Target] {
			own = own || strings.HasPrefix(string(m.Method), class)
		}
		if !own {
			t.Errorf("%s of a %s is no method of that machine's own: does it ask a second one in the operator's name?", m.Method, m.Target)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "internal", "config", "testdata", "hypervigil.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "scheme: basic") {
		t.Fatal("the example has no scheme basic to replace")
	}
	_, err = config.Parse("hypervigil.yml", []byte(strings.Replace(string(text), "scheme: basic", "scheme: credssp", 1)))
	if err == nil || !strings.Contains(err.Error(), "credssp") {
		t.Errorf("scheme credssp: %v, want it refused", err)
	}
	scripts, err := filepath.Glob(filepath.Join("..", "docs", "windows", "*.ps1"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(script)), "credssp") {
			t.Errorf("%s speaks of CredSSP", path)
		}
	}
}
