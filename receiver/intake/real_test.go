package intake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// real is one Alertmanager under test, which posts to a handler.
type real struct {
	t    *testing.T
	dir  string // its configuration and storage; a restart finds both again
	url  string
	stop func()
}

var listening = regexp.MustCompile(`msg="Listening on" address=(127\.0\.0\.1:\d+)`)

// configure writes its configuration: groups by these labels, one alert of a group at most where max is 1.
func (r *real) configure(webhook, groupBy string, most int) {
	r.t.Helper()
	text := fmt.Sprintf(`
route: {receiver: hypervigil, group_by: [%s], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: hypervigil
    webhook_configs:
      - {url: %q, max_alerts: %d, http_config: {authorization: {credentials: %s}, follow_redirects: false}}
inhibit_rules:
  - {source_matchers: ['alertname="Maintenance"'], target_matchers: ['alertname="Down"'], equal: [cluster]}
`, groupBy, webhook, most, goodToken.Reveal())
	if err := os.WriteFile(filepath.Join(r.dir, "alertmanager.yml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start runs it until stop, or the test's end.
func (r *real) start() {
	r.t.Helper()
	program := os.Getenv("ALERTMANAGER")
	if program == "" {
		program = peers.Need(r.t, "alertmanager")
	}
	cmd := exec.Command(program, "--config.file="+filepath.Join(r.dir, "alertmanager.yml"), "--storage.path="+r.dir, "--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	address, drained := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait() // it was killed
	}
	r.t.Cleanup(r.stop)
	select {
	case a := <-address:
		r.url = "http://" + a
	case <-drained:
		r.t.Fatal("Alertmanager ended before it listened")
	case <-time.After(30 * time.Second):
		r.t.Fatal("Alertmanager does not listen after 30 s")
	}
}

// post posts to its API, as Prometheus or a person does.
func (r *real) post(path string, body any) {
	r.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := http.Post(r.url+path, "application/json", bytes.NewReader(b))
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	if text, _ := io.ReadAll(a.Body); a.StatusCode != http.StatusOK {
		r.t.Fatalf("%s answers %d: %s", path, a.StatusCode, text)
	}
}

// fire says of an alert what Prometheus says; one whose end is over is resolved.
func fire(name, vm string, from, until time.Time, to ...*real) {
	for _, r := range to {
		r.post("/api/v2/alerts", []map[string]any{{
			"labels":   map[string]string{"alertname": name, "cluster": "c", "vm": vm, "hypervigil": "act"},
			"startsAt": from.UTC().Format(time.RFC3339Nano), "endsAt": until.UTC().Format(time.RFC3339Nano),
		}})
	}
}

// inhibits waits until the API says that the alert of a virtual machine is inhibited.
func (r *real) inhibits(vm string) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		a, err := http.Get(r.url + "/api/v2/alerts?active=false&silenced=false&inhibited=true&filter=vm%3D" + vm)
		if err != nil {
			r.t.Fatal(err)
		}
		var list []any
		err = json.NewDecoder(a.Body).Decode(&list)
		a.Body.Close()
		if err == nil && len(list) > 0 {
			return
		}
	}
	r.t.Fatalf("the alert of %s is not inhibited after 30 s", vm)
}

// got waits until the handler was given as many notifications of an alert with that status, and returns them.
func (f *fixture) got(vm string, s Status, n int) []Notification {
	f.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		var list []Notification
		f.mu.Lock()
		for _, a := range f.accepted {
			for _, alert := range a.Alerts {
				if alert.Labels["vm"] == vm && alert.Status == s {
					list = append(list, a)
				}
			}
		}
		f.mu.Unlock()
		if len(list) >= n {
			return list
		}
		if time.Now().After(end) {
			f.t.Fatalf("%d notifications say that %s is %v, want %d\n%s", len(list), vm, s, n, f.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestTheContractWithARealAlertmanager: what two of them, which do not know each other, really send: firing, resolved,
// doubled, again after a 503, not at all of what is silenced or inhibited, cut short, and after a restart and a reload.
func TestTheContractWithARealAlertmanager(t *testing.T) {
	t.Parallel()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var refuses atomic.Bool
	var refused atomic.Int64
	f := start(t, ledger.NewMemory(), func(f *fixture, o *Options) {
		commit := o.Commit
		o.Now = time.Now
		o.Commit = func(ctx context.Context, batch []ledger.Op) error {
			if refuses.Load() {
				refused.Add(1)
				return errors.New("no space left on device")
			}
			return commit(ctx, batch)
		}
	})
	l := listen(t)
	serve(t, l, ServerOptions{Handler: f.handler, Logger: log.NewLogfmtLogger(f.log)})
	webhook := "http://" + l.Addr().String() + DefaultPath
	a, b := &real{t: t, dir: t.TempDir()}, &real{t: t, dir: t.TempDir()}
	for _, r := range []*real{a, b} {
		r.configure(webhook, "alertname, vm", 0)
		r.start()
	}
	// Alertmanager keeps milliseconds.
	now := time.Now().Truncate(time.Millisecond)
	hour := now.Add(time.Hour)

	fire("Down", "firing", now, hour, a, b)
	twice := f.got("firing", Firing, 2)
	if x, y := twice[0], twice[1]; x.Repeat || !y.Repeat || x.DeliveryKey != y.DeliveryKey || !x.Alerts[0].StartsAt.Equal(now) || x.Alerts[0].Fingerprint == "" {
		t.Errorf("of a pair: %+v, then %+v; want the same, and the second as a repeat", x, y)
	}
	fire("Down", "firing", now, now.Add(time.Millisecond), a, b)
	if ends := f.got("firing", Resolved, 2); ends[0].Repeat || !ends[1].Repeat || ends[0].DeliveryKey == twice[0].DeliveryKey {
		t.Errorf("resolved: %+v, then %+v", ends[0], ends[1])
	}

	refuses.Store(true)
	fire("Down", "again", now, hour, a)
	for refused.Load() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	refuses.Store(false)
	if n := f.got("again", Firing, 1); n[0].Repeat {
		t.Errorf("sent again after a 503: %+v, want it as new", n[0])
	}

	a.post("/api/v2/silences", map[string]any{
		"matchers": []map[string]any{{"name": "vm", "value": "silenced", "isRegex": false, "isEqual": true}},
		"startsAt": now.UTC().Format(time.RFC3339Nano), "endsAt": hour.UTC().Format(time.RFC3339Nano), "createdBy": "ada", "comment": "work",
	})
	fire("Down", "silenced", now, hour, a)
	fire("Maintenance", "all", now, hour, a)
	f.got("all", Firing, 1)
	fire("Down", "probe", now, hour, a) // its inhibitor learns of an alert a moment later than its dispatcher
	a.inhibits("probe")
	fire("Down", "inhibited", now, hour, a)
	fire("Other", "marker", now, hour, a)
	f.got("marker", Firing, 1)

	// One group now, of which one alert at most is told, and a group of another key.
	a.configure(webhook, "alertname", 1)
	a.post("/-/reload", nil)
	fire("Other", "second", now, hour, a)
	cut := false
	for end := time.Now().Add(30 * time.Second); !cut && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		f.mu.Lock()
		for _, n := range f.accepted {
			cut = cut || n.TruncatedAlerts > 0 && len(n.Alerts) == 1 && strings.Contains(n.GroupKey, `alertname="Other"`)
		}
		f.mu.Unlock()
	}
	if !cut {
		t.Errorf("no notification says that it was cut short\n%s", f.log)
	}

	b.stop()
	b.start()
	fire("Down", "after", now, hour, b)
	f.got("after", Firing, 1)

	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.accepted {
		for _, alert := range n.Alerts {
			if vm := alert.Labels["vm"]; vm == "silenced" || vm == "inhibited" {
				t.Errorf("of what is %s: %+v", vm, n)
			}
		}
	}
	if text := f.log.String(); strings.Contains(text, goodToken.Reveal()) {
		t.Errorf("the log shows the token:\n%s", text)
	}
}
