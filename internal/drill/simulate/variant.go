package simulate

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// variant is a configuration under which schedules are played. The lab may have limits weaker than their defaults; they
// let the guards behind a long wait be reached.
type variant struct {
	name   string
	weight int
	// policy is the YAML of policy "standard"; by is that of a virtual machine's own.
	policy string
	// strict: no limit is weaker than its default, so that the policy counts elsewhere, too. elsewhere: the cluster is not the
	// lab, and does not say that it is.
	strict, elsewhere bool
	by                map[string]string
	never             string // receiver.never_touch
	// controlled are virtual machines whose SQL Servers belong to a cluster of the guests or an availability group.
	controlled map[string]evidence.Login
	// watched: the cluster watches the guests' heartbeats.
	watched bool
	// manual: what depends on SQL Server is started by no boot.
	manual bool
	// balanced: the cluster balances its load by itself; starving: hosts are used up more often.
	balanced, starving bool
	// dying: guests die more often, whose ladder the variant is about.
	dying bool
}

func variants() []variant {
	quick := "mode: act, internal_level: 4, rungs: {live_migrate: act}, limits: {moves_per_6h: 3, cool_down: 0s, settle: 0s, hold: 3s, actions_per_24h: 20, service_restarts_per_hour: %d}"
	return []variant{
		{name: "default limits", weight: 1, policy: "mode: act, internal_level: 5", strict: true},
		{name: "another cluster than the lab", weight: 1, policy: "mode: act", strict: true, elsewhere: true},
		{name: "weaker limits elsewhere", weight: 1, policy: fmt.Sprintf(quick, 3), elsewhere: true},
		{name: "quick", weight: 6, policy: fmt.Sprintf(quick, 3)},
		{name: "many restarts allowed", weight: 2, policy: fmt.Sprintf(quick, 20)},
		{name: "one restart an hour", weight: 2, policy: fmt.Sprintf(quick, 1)},
		{name: "short cool-down", weight: 2, policy: "mode: act, limits: {cool_down: 90s, settle: 0s, hold: 3s, actions_per_24h: 20, service_restarts_per_hour: 20}"},
		{name: "old alerts are proposed soon", weight: 1, policy: "mode: act, limits: {cool_down: 0s, settle: 45s, hold: 3s, max_age: 45s}"},
		{name: "clean stops are healed", weight: 1, policy: "mode: act, clean_stop: {heal_after: 20s}, limits: {cool_down: 0s, settle: 0s, hold: 3s}"},
		{name: "the cluster balances its load", weight: 1, policy: fmt.Sprintf(quick, 3), balanced: true, starving: true},
		{name: "the cluster watches the guests", weight: 1, policy: fmt.Sprintf(quick, 3), watched: true},
		{name: "virtual machines only", weight: 3, manual: true, dying: true, policy: "mode: act, ladders: {service: [reset_vm], hang: [reset_vm], guest: [nmi_restart, reset_vm]}, limits: {vm_restarts_per_6h: 5, cool_down: 0s, settle: 0s, hold: 3s, actions_per_24h: 20}"},
		{name: "the remedy of 2010", weight: 2, dying: true, policy: "mode: act, rungs: {white_paper: act}, ladders: {service: [white_paper], hang: [white_paper], guest: [white_paper]}, limits: {vm_restarts_per_6h: 4, moves_per_6h: 3, cool_down: 0s, settle: 0s, hold: 3s, actions_per_24h: 20}"},
		{name: "two rungs", weight: 1, policy: "mode: act, ladders: {service: [restart_service, reset_vm], hang: [restart_service, reset_vm]}, limits: {cool_down: 0s, settle: 0s, hold: 3s}"},
		{
			name: "modes", weight: 2, policy: "mode: act, limits: {cool_down: 0s, settle: 0s, hold: 3s}", never: "hv-lab/SQL04",
			by: map[string]string{"SQL01": "mode: observe, limits: {hold: 3s}", "SQL02": "mode: propose, limits: {hold: 3s}"},
		},
		{name: "proposed", weight: 2, policy: "mode: propose, internal_level: 3, limits: {cool_down: 0s, settle: 0s, hold: 3s, actions_per_24h: 20, service_restarts_per_hour: 1}"},
		{
			name: "other controllers", weight: 1, policy: fmt.Sprintf(quick, 3),
			controlled: map[string]evidence.Login{"SQL01": {Clustered: true}, "SQL02": {Hadr: true}},
		},
	}
}

// onlyObserves reports whether nothing may be sent under the variant, whatever its policies say: their limits count for
// the lab alone, and it is played elsewhere.
func (v variant) onlyObserves() bool { return v.elsewhere && !v.strict }

// start is when every schedule's world was made; it was warm, and the schedule begins, at epoch.
var (
	start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	epoch = start.Add(warmUp)
)

// warmUp is how long a healthy cluster is watched before a schedule begins: the hold-off, three samples, the proofs.
const warmUp = 75 * time.Second

// settings is the variant's hypervigil.yml.
func (v variant) settings(spec model.Spec) (*config.Config, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "credentials:\n  c: {username: u, password_env: HYPERVIGIL_SIMULATED_PASSWORD, scheme: basic}\nclusters:\n")
	fmt.Fprintf(&b, "  - name: %s\n    reader: c\n    operator: c\n    guest_operator: c\n    nodes:\n", spec.Cluster)
	for i, n := range spec.Nodes {
		fmt.Fprintf(&b, "      - {name: %s, addresses: [127.0.0.%d]}\n", n, i+1)
	}
	fmt.Fprintf(&b, "    virtual_machines:\n")
	for i, vm := range spec.VMs {
		if len(vm.Instances) == 0 {
			continue
		}
		policy := config.StandardPolicy
		if _, own := v.by[vm.Name]; own {
			policy = vm.Name
		}
		fmt.Fprintf(&b, "      - name: %s\n        group: %s\n        guest: {address: 127.0.1.%d}\n        policy: %s\n        sql_servers:\n", vm.Name, vm.Group, i+1, policy)
		for n, q := range vm.Instances {
			fmt.Fprintf(&b, "          - {instance: %s, address: \"127.0.1.%d:%d\", credential: c, encrypt: strict}\n", q, i+1, 1433+n)
		}
	}
	fmt.Fprintf(&b, "receiver:\n  ledger: {path: ledger.db}\n  webhook: {token_env: HYPERVIGIL_SIMULATED_TOKEN}\n  alertmanagers: [http://127.0.0.1:9093, http://127.0.0.2:9093]\n")
	fmt.Fprintf(&b, "  controls: [\"tcp://127.0.2.1:53\", \"tcp://127.0.2.2:443\"]\n  never_touch: [%s]\n  approvers: [{name: ada, token_env: HYPERVIGIL_SIMULATED_APPROVAL}]\n  sample_interval: 20s\n  policies:\n    %s: {%s}\n", v.never, config.StandardPolicy, v.policy)
	for _, vm := range spec.VMs {
		if own, ok := v.by[vm.Name]; ok {
			fmt.Fprintf(&b, "    %s: {%s}\n", vm.Name, own)
		}
	}
	cfg, err := config.Parse("simulated.yml", b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("configuration of variant %q: %w", v.name, err)
	}
	return cfg, nil
}

// base is a variant's receiver after a quiet warm-up: where every schedule of the variant begins. Its state is shared
// by all of them, for Step changes nothing that it was given.
type base struct {
	variant variant
	spec    model.Spec
	config  *config.Config
	warm    incident.State
	due     time.Time // when the receiver wakes next
	records []ledger.Op
}

type bases struct {
	list []base
}

// newBases warms a receiver up for each variant.
func newBases() (*bases, error) {
	b := &bases{}
	for _, v := range variants() {
		warm, err := v.warm()
		if err != nil {
			return nil, err
		}
		b.list = append(b.list, warm)
	}
	return b, nil
}

// warm has a receiver watch a healthy cluster under the variant.
func (v variant) warm() (base, error) {
	spec := model.Default(model.Quick())
	spec.CheckHeartbeat = v.watched
	if v.balanced {
		spec.Era.Balancing = 30 * time.Minute
	}
	return v.warmOn(spec)
}

// warmOn has a receiver watch this healthy cluster under the variant.
func (v variant) warmOn(spec model.Spec) (base, error) {
	cfg, err := v.settings(spec)
	if err != nil {
		return base{}, err
	}
	w, err := newWorld(base{variant: v, spec: spec, config: cfg}, Schedule{}, nil)
	if err != nil {
		return base{}, err
	}
	w.boot()
	w.run(epoch)
	if w.reading() {
		return base{}, fmt.Errorf("variant %q: a read is under way when the schedules begin; choose another warmUp", v.name)
	}
	if missing := w.state.Ready(w.now); len(missing) > 0 || len(w.result.violations) > 0 {
		return base{}, fmt.Errorf("variant %q: not ready after a quiet warm-up: %v %v", v.name, missing, w.result.violations)
	}
	warm := base{variant: v, spec: spec, config: cfg, warm: w.state, due: w.wake}
	w.disk.flush()
	err = w.disk.store.List(context.Background(), "", func(key string, value []byte) error {
		if key != "meta/schema" && key != "meta/epoch" {
			warm.records = append(warm.records, ledger.Op{Key: key, Value: bytes.Clone(value)})
		}
		return nil
	})
	return warm, err
}

// reading reports whether the receiver waits for an answer.
func (w *world) reading() bool {
	for _, h := range w.queue {
		if h.life != 0 {
			return true
		}
	}
	return false
}
