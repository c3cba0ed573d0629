package alertmanager

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/google/go-cmp/cmp"
	api "github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// realConfig inhibits whatever is said about a cluster under maintenance.
const realConfig = `
route: {receiver: nobody, group_wait: 0s}
receivers: [{name: nobody}]
inhibit_rules:
  - source_matchers: ['alertname="Maintenance"']
    target_matchers: ['hypervigil="act"']
    equal: [cluster]
`

// real is a running Alertmanager, and the means to set it up.
type real struct {
	url string
	api *api.AlertmanagerAPI
}

var listening = regexp.MustCompile(`msg="Listening on" address=(127\.0\.0\.1:\d+)`)

// startReal runs an Alertmanager of its own on a port of the system's choice, below a path prefix, until the test ends.
func startReal(t *testing.T) real {
	t.Helper()
	program := os.Getenv("ALERTMANAGER")
	if program == "" {
		program = peers.Need(t, "alertmanager")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(realConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+dir, "--web.listen-address=127.0.0.1:0",
		"--web.route-prefix=/am", "--cluster.listen-address=")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, drained := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait() // it was killed
	})
	select {
	case a := <-address:
		return real{
			url: "http://" + a + "/am",
			api: api.NewHTTPClientWithConfig(strfmt.Default, &api.TransportConfig{Host: a, BasePath: "/am/api/v2", Schemes: []string{"http"}}),
		}
	case <-drained:
		t.Fatal("Alertmanager ended before it listened")
	case <-time.After(30 * time.Second):
		t.Fatal("Alertmanager does not listen after 30 s")
	}
	return real{}
}

// post gives Alertmanager an alert that ends at a time, as Prometheus does.
func (r real) post(t *testing.T, labels map[string]string, startsAt, endsAt time.Time) {
	t.Helper()
	_, err := r.api.Alert.PostAlerts(alert.NewPostAlertsParamsWithContext(t.Context()).WithAlerts(models.PostableAlerts{{
		StartsAt: strfmt.DateTime(startsAt), EndsAt: strfmt.DateTime(endsAt), Alert: models.Alert{Labels: labels},
	}}))
	if err != nil {
		t.Fatal(err)
	}
}

// silence mutes one virtual machine and returns the silence's id.
func (r real) silence(t *testing.T, vm string) string {
	t.Helper()
	name, regex, equal, by, why := "vm", false, true, "a person", "work on it"
	from, until := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	ok, err := r.api.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(t.Context()).WithSilence(&models.PostableSilence{
		Silence: models.Silence{
			Matchers: models.Matchers{{Name: &name, Value: &vm, IsRegex: &regex, IsEqual: &equal}},
			StartsAt: &from, EndsAt: &until, CreatedBy: &by, Comment: &why,
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return ok.Payload.SilenceID
}

// becomes asks again and again until the answer is as wanted: Alertmanager's inhibitor learns of an alert a moment
// after its API has taken it.
func becomes(t *testing.T, what string, want evidence.Alert, ask func(context.Context) evidence.Reading[evidence.Alert]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		got := ask(ctx)
		diff := cmp.Diff(want, got.Value)
		if got.Known() && diff == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: Ask = %+v; (-want +got):\n%s", what, got, diff)
		case <-again.C:
		}
	}
}

func TestARealAlertmanager(t *testing.T) {
	t.Parallel()
	am := startReal(t)
	c := client(t, am.url)
	// Alertmanager speaks in milliseconds.
	from, until := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond), time.Now().Add(time.Hour)
	mine := with(labelsOf("SQL01"), "sql_instance", "C:\\SQL \"prod\"\nGröße")
	ask := func(ctx context.Context) evidence.Reading[evidence.Alert] { return c.Ask(ctx, mine) }
	gone := evidence.Alert{Reachable: 1, Asked: 1}
	active := evidence.Alert{Active: true, StartsAt: from, Reachable: 1, Asked: 1}
	suppressed := evidence.Alert{Suppressed: true, StartsAt: from, Reachable: 1, Asked: 1}

	becomes(t, "nothing posted", gone, ask)
	am.post(t, mine, from, until)
	am.post(t, with(labelsOf("SQL02"), "hypervigil", "tell"), from, until)
	becomes(t, "posted", active, ask)
	acting, err := c.Acting(t.Context())
	if err != nil || len(acting) != 1 || !cmp.Equal(acting[0].Labels, mine) || !acting[0].StartsAt.Equal(from) || len(acting[0].Fingerprint) != 16 {
		t.Errorf("Acting = %+v, %v; want the one alert that asks to be acted on", acting, err)
	}

	id := am.silence(t, "SQL01")
	becomes(t, "silenced", suppressed, ask)
	if acting, err := c.Acting(t.Context()); err != nil || len(acting) != 0 {
		t.Errorf("Acting while silenced = %+v, %v; want none", acting, err)
	}
	if _, err := am.api.Silence.DeleteSilence(silence.NewDeleteSilenceParamsWithContext(t.Context()).WithSilenceID(strfmt.UUID(id))); err != nil {
		t.Fatal(err)
	}
	becomes(t, "silence expired", active, ask)

	maintenance := map[string]string{"alertname": "Maintenance", "cluster": "hv-cl1"}
	am.post(t, maintenance, from, until)
	becomes(t, "inhibited", suppressed, ask)
	am.post(t, maintenance, from, time.Now())
	becomes(t, "the inhibiting alert resolved", active, ask)

	am.post(t, mine, from, time.Now())
	becomes(t, "resolved", gone, ask)

	other := with(labelsOf("SQL01"), "node", "HV1")
	am.post(t, other, from, until)
	becomes(t, "only its like is active", gone, ask)
	becomes(t, "the like itself", active, func(ctx context.Context) evidence.Reading[evidence.Alert] { return c.Ask(ctx, other) })
}

// TestARealAlertmanagerTakesEveryValue posts each awkward value and asks for it.
func TestARealAlertmanagerTakesEveryValue(t *testing.T) {
	t.Parallel()
	am := startReal(t)
	c := client(t, am.url)
	from := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	for i, value := range awkward() {
		mine := with(labelsOf(fmt.Sprintf("SQL%02d", i)), "sql_instance", value)
		am.post(t, mine, from, from.Add(time.Hour))
		becomes(t, fmt.Sprintf("the value %q", value), evidence.Alert{Active: true, StartsAt: from, Reachable: 1, Asked: 1},
			func(ctx context.Context) evidence.Reading[evidence.Alert] { return c.Ask(ctx, mine) })
	}
}
