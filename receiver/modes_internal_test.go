package receiver

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/config"
)

func TestTheLogTellsWhichRungsAct(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hypervigil.yml")
	err := os.WriteFile(file, []byte(`credentials: {c: {username: u, password_env: HYPERVIGIL_TEST_PASSWORD}}
clusters:
  - name: one
    reader: c
    nodes: [{name: HV1, addresses: [10.0.0.1]}]
    virtual_machines:
      - {name: A, policy: acting}
      - {name: B}
      - {name: C, policy: quick}
      - {name: D, policy: acting}
  - name: two
    reader: c
    mode: propose
    nodes: [{name: HV2, addresses: [10.0.0.2]}]
    virtual_machines: [{name: A, policy: acting}]
receiver:
  ledger: {path: ledger.db}
  webhook: {token_env: HYPERVIGIL_TEST_TOKEN}
  alertmanagers: [http://127.0.0.1:9093]
  never_touch: [one/D]
  policies:
    acting: {mode: act, rungs: {reset_vm: observe}}
    quick: {mode: act, limits: {hold: 3s}}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	tellModes(log.NewLogfmtLogger(&b), cfg)
	want := `level=info msg=mode cluster=one vm=A policy=acting act=restart_service,start_group propose=live_migrate observe=reset_vm
level=info msg=mode cluster=one vm=B policy=standard observe=live_migrate,reset_vm,restart_service,start_group
level=info msg=mode cluster=one vm=C policy=quick act=reset_vm,restart_service,start_group propose=live_migrate only_on_the_lab="limits.hold 3s is less than 2m0s"
level=info msg=mode cluster=one vm=D policy=acting never_touch=true
level=info msg=mode cluster=two vm=A policy=acting propose=live_migrate,restart_service,start_group observe=reset_vm
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
