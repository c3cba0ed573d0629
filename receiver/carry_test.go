package receiver_test

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/receiver"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// records reads what a ledger holds.
func records(t *testing.T, path string) map[string]string {
	t.Helper()
	store, err := ledger.OpenBolt(path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	err = store.List(t.Context(), "", func(key string, value []byte) error { held[key] = string(value); return nil })
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return held
}

// writeSchema1 writes a ledger as it was before its records had seals.
func writeSchema1(t *testing.T, path string, held map[string]string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("hypervigil"))
		for key, value := range held {
			err = errors.Join(err, b.Put([]byte(key), []byte(value)))
		}
		return errors.Join(err, b.Put([]byte("meta/schema"), []byte("1")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestAnUpgradeForgetsNothing: a receiver starts with the ledger that one of schema 1 left, goes on with its incident, and
// the audit's record is the same chain. A ledger of which a record is not what it was is refused and left as it is.
func TestAnUpgradeForgetsNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t, quickPolicy)
	cfg, err := config.Load(c.config)
	if err != nil {
		t.Fatal(err)
	}
	path := cfg.Receiver.Ledger.Path
	s := c.serve()
	s.ready()
	if _, err := c.lab.Inject(model.Request{Fault: model.ServiceStop, VM: "SQL02"}); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	c.alerts.set(at, serviceAlert("SQL02"))
	if code := c.post(s.webhook, body("firing", at, serviceAlert("SQL02"))); code != http.StatusAccepted {
		t.Fatalf("webhook answered %d, want 202", code)
	}
	before := s.phase(incident.Refused, 20*time.Second)
	s.stop()

	held := records(t, path)
	held[ledger.Key("action", before.ID, "restart_service", "001")] = `{"number":1,"rung":"restart_service","state":"PLANNED","command":{"method":"Win32_Service.StartService"}}`
	held[ledger.Key("bundle", before.ID, "001")] = `{"incident":"` + before.ID + `","number":1}`
	first := func(kind string) string {
		for _, key := range slices.Sorted(maps.Keys(held)) {
			if strings.HasPrefix(key, kind+"/") {
				return key
			}
		}
		t.Fatalf("the ledger has no record %s/", kind)
		return ""
	}
	replaced := func(key, from, to string) func(map[string]string) {
		return func(r map[string]string) {
			if !strings.Contains(r[key], from) {
				t.Errorf("record %s has no %q: %s", key, from, r[key])
			}
			r[key] = strings.Replace(r[key], from, to, 1)
		}
	}
	renamed := func(from, to string) func(map[string]string) {
		return func(r map[string]string) {
			r[to] = r[from]
			delete(r, from)
		}
	}
	dropped := func(key string) func(map[string]string) { return func(r map[string]string) { delete(r, key) } }
	audit := first("audit")
	second := strings.TrimSuffix(audit, "1") + "2"
	for name, tt := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"an incident in another state":    {replaced(first("incident"), `"refused"`, `"rofused"`), "incident/" + before.ID},
		"an incident under another's key": {renamed(first("incident"), "incident/x"), "incident/x"},
		"a record of no kind":             {renamed(first("incident"), "incideot/"+before.ID), "no receiver writes such a one"},
		"an action under another's key":   {renamed(first("action"), ledger.Key("action", before.ID, "restart_service", "002")), `action 1 of rung "restart_service"`},
		"a bundle under another's key":    {renamed(first("bundle"), ledger.Key("bundle", before.ID, "002")), "bundle/"},
		"a bundle cut short":              {replaced(first("bundle"), "}", ""), "bundle/"},
		"a virtual machine cut short":     {func(r map[string]string) { key := first("vm"); r[key] = r[key][:len(r[key])/2] }, "vm/"},
		"an entry of the audit changed":   {replaced(second, "hv-lab", "hv-lob"), "audit's record is not as the receiver wrote it"},
		"an entry of the audit dropped":   {dropped(second), "audit's record is not as the receiver wrote it"},
		"a delivery without a number":     {replaced(first("delivery"), `"sequence":`, `"sequince":`), "delivery/"},
		"a notification cut short":        {func(r map[string]string) { r["intake/00000000000000000099"] = "{" }, "intake/00000000000000000099"},
	} {
		changed := maps.Clone(held)
		tt.change(changed)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		writeSchema1(t, path, changed)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()})
		if err == nil {
			t.Errorf("%s: it was carried over", name)
			_ = r.Close()
			continue
		}
		for _, want := range []string{tt.want, path, "left as it was", "Run the older receiver"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q in it", name, err, want)
			}
		}
		if is, err := os.ReadFile(path); err != nil || len(is) != len(was) {
			t.Errorf("%s: the file had %d bytes and has %d (%v)", name, len(was), len(is), err)
		}
	}

	delete(held, first("action"))
	delete(held, first("bundle"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeSchema1(t, path, held)
	var out bytes.Buffer
	r, err := receiver.New(receiver.Options{ConfigFile: c.config, Logger: log.NewLogfmtLogger(&out), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "ledger of an older receiver carried over") {
		t.Errorf("the log does not tell that the ledger was carried over:\n%s", out.String())
	}
	now := records(t, path)
	delete(held, "meta/schema")
	delete(now, "meta/schema")
	if d := cmp.Diff(held, now); d != "" {
		t.Errorf("carried over (-before +after):\n%s", d)
	}
	again := c.serve()
	again.ready()
	if after := again.phase(incident.Refused, 20*time.Second); after.ID != before.ID {
		t.Errorf("incident %s after the upgrade, want %s again", after.ID, before.ID)
	}
	if got := methods(c.lab, "SQL02"); len(got) != 0 {
		t.Errorf("commands received = %v, want none", got)
	}
}
