package intake

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var received = time.Date(2026, 11, 23, 9, 20, 0, 0, time.UTC)

func decoded(t *testing.T, body string) Notification {
	t.Helper()
	n, dropped, err := decode([]byte(body), received)
	if err != nil || len(dropped) != 0 {
		t.Fatalf("decode() = %v, dropped %v, want neither", err, dropped)
	}
	return n
}

func TestDecodeReadsWhatAlertmanagerSends(t *testing.T) {
	t.Parallel()
	labels := func(instance string) map[string]string {
		return map[string]string{
			"alertname": "SQLServerDown", "cluster": "hv-cl1", "fault": "service", "hypervigil": "act", "job": "mssql",
			"severity": "critical", "sql_instance": instance, "vm": "SQL01",
		}
	}
	annotations := map[string]string{
		"description": "Port 1433 refuses connections.\nSince <5 s>.", "summary": "SQL Server on SQL01 is down",
		"runbook_url": "https://github.com/hypervigil/hypervigil/blob/main/docs/runbooks.md#sqlserverdown",
	}
	at := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		parsed, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	alert := func(status Status, instance, fingerprint, starts, ends string) Alert {
		return Alert{
			Status: status, Labels: labels(instance), Annotations: annotations, Fingerprint: fingerprint,
			StartsAt: at(starts), EndsAt: at(ends), GeneratorURL: "http://prometheus:9090/graph?g0.expr=mssql_up+%3D%3D+0&g0.tab=1",
		}
	}
	const (
		first, second = "a77dbe23dfcaa58a", "e5d101a96d1e76c4"
		begun, ended  = "2026-11-23T09:19:56.164Z", "2026-11-23T09:20:01.556Z"
	)
	for _, test := range []struct {
		file      string
		truncated uint64
		alerts    []Alert
	}{
		{"captured-0.31.1-firing.json", 0, []Alert{alert(Firing, "MSSQLSERVER", first, begun, "")}},
		{"captured-0.31.1-truncated.json", 1, []Alert{alert(Firing, "MSSQLSERVER", first, begun, "")}},
		{"captured-0.31.1-truncated-resolved.json", 1, []Alert{alert(Resolved, "MSSQLSERVER", first, begun, ended)}},
		{"captured-0.31.1-one-resolved.json", 0, []Alert{
			alert(Resolved, "MSSQLSERVER", first, begun, ended), alert(Firing, "PAYROLL", second, begun, ""),
		}},
		{"captured-0.31.1-resolved.json", 0, []Alert{alert(Resolved, "PAYROLL", second, begun, "2026-11-23T09:20:09.971Z")}},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			got := decoded(t, sample(t, test.file))
			want := Notification{
				At: received, GroupKey: `{}/{hypervigil="act"}:{cluster="hv-cl1", vm="SQL01"}`, Receiver: `hypervigil\.act`,
				ExternalURL: "http://vm:39903", TruncatedAlerts: test.truncated, Alerts: test.alerts, DeliveryKey: got.DeliveryKey,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decode() (-want +got):\n%s", diff)
			}
			if len(got.DeliveryKey) != 64 {
				t.Errorf("delivery key = %q, want 64 hexadecimal digits", got.DeliveryKey)
			}
		})
	}
	for file, statuses := range map[string][]Status{
		"notifier-0.34.2-firing.json":       {Firing, Firing},
		"notifier-0.34.2-one-resolved.json": {Resolved, Firing},
		"notifier-0.34.2-truncated.json":    {Firing},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got := decoded(t, sample(t, file))
			var gotStatuses []Status
			for i, a := range got.Alerts {
				gotStatuses = append(gotStatuses, a.Status)
				instance := []string{"MSSQLSERVER", "PAYROLL"}[i]
				if diff := cmp.Diff(labels(instance), a.Labels); diff != "" {
					t.Errorf("labels of alert %d (-want +got):\n%s", i, diff)
				}
				if a.StartsAt.IsZero() || (a.Status == Firing) != a.EndsAt.IsZero() {
					t.Errorf("alert %d is %s from %s to %s", i, a.Status, a.StartsAt, a.EndsAt)
				}
			}
			if !slices.Equal(gotStatuses, statuses) {
				t.Errorf("statuses = %v, want %v", gotStatuses, statuses)
			}
			if want := uint64(strings.Count(file, "truncated")); got.TruncatedAlerts != want {
				t.Errorf("truncated = %d, want %d", got.TruncatedAlerts, want)
			}
		})
	}
}

func TestDecodeMakesAlertmanagersFingerprintWhereItIsMissing(t *testing.T) {
	t.Parallel()
	full := sample(t, "captured-0.31.1-one-resolved.json")
	bare := strings.NewReplacer(`,"fingerprint":"a77dbe23dfcaa58a"`, "", `,"fingerprint":"e5d101a96d1e76c4"`, "").Replace(full)
	if bare == full {
		t.Fatal("the sample has no fingerprints")
	}
	if diff := cmp.Diff(decoded(t, full), decoded(t, bare)); diff != "" {
		t.Errorf("decode() without fingerprints (-with +without):\n%s", diff)
	}
}

func TestDecodeRefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	good := body("SQL01", "firing", received)
	decoded(t, good)
	for _, test := range []struct{ name, body, want string }{
		{"nothing", "", "no JSON document"},
		{"not JSON", "alert!", "no JSON document"},
		{"cut short", good[:len(good)-1], "no JSON document"},
		{"rubbish behind it", good + "x", "no JSON document"},
		{"a second object behind it", good + good, "no JSON document"},
		{"another type", `["4"]`, "is not of type"},
		{"a number as version", strings.Replace(good, `"4"`, `4`, 1), `member "version"`},
		{"version 3", strings.Replace(good, `"4"`, `"3"`, 1), `version is "3", only "4" is understood`},
		{"no version", strings.Replace(good, `"version":"4",`, ``, 1), `version is ""`},
		{"a custom payload", `{"text":"SQL01 is down"}`, `version is ""`},
		{"no alerts", `{"version":"4","groupKey":"g"}`, "no alerts"},
		{"null alerts", `{"version":"4","groupKey":"g","alerts":null}`, "no alerts"},
		{"alerts of another type", `{"version":"4","alerts":{"a":1}}`, `member "alerts"`},
		{"a time that is none", strings.Replace(good, "2026-11-23", "23.11.2026", 1), "RFC 3339"},
		{"a negative number", `{"version":"4","alerts":[],"truncatedAlerts":-1}`, `member "truncatedAlerts"`},
		{"too many alerts", `{"version":"4","alerts":[{}` + strings.Repeat(",{}", maxAlerts) + `]}`, "holds 10001 alerts"},
		{"too deep", strings.Repeat("[", 100_000), "no JSON document"},
		{"null", "null", `version is ""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n, _, err := decode([]byte(test.body), received)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("decode() = %+v, %v, want an error with %q", n, err, test.want)
			}
		})
	}
}

func TestDecodeAcceptsWhatAlertmanagerMayAdd(t *testing.T) {
	t.Parallel()
	n := decoded(t, `  {"version":"4","novel":{"a":[1]},"alerts":[{"status":"firing","novel":null,"labels":{"vm":"SQL01"}}]}`+"\r\n ")
	if len(n.Alerts) != 1 || n.Alerts[0].Labels["vm"] != "SQL01" {
		t.Errorf("decode() = %+v, want the one alert", n)
	}
	if n := decoded(t, `{"version":"4","alerts":[]}`); len(n.Alerts) != 0 {
		t.Errorf("decode() = %+v, want no alerts", n)
	}
}

// One alert that cannot be kept does not take the others with it.
func TestDecodeDropsSingleAlerts(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range maxLabels + 1 {
		many[fmt.Sprintf("l%d", i)] = ""
	}
	alert := func(status string, labels map[string]string, more string) string {
		l, err := json.Marshal(labels)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"status":%q,"labels":%s%s}`, status, l, more)
	}
	good := alert("firing", map[string]string{"vm": "SQL01"}, "")
	for _, test := range []struct {
		name, bad string
		why       dropReason
	}{
		{"an unknown status", alert("smouldering", nil, ""), dropStatus},
		{"no status", `{}`, dropStatus},
		{"a label too long", alert("firing", map[string]string{"vm": strings.Repeat("x", maxLabelBytes)}, ""), dropSize},
		{"too many labels", alert("firing", many, ""), dropSize},
		{"a fingerprint too long", alert("firing", nil, `,"fingerprint":"`+strings.Repeat("f", 300)+`"`), dropSize},
		{"a start after the year 9999", alert("firing", nil, `,"startsAt":"9999-12-31T23:59:59-14:00"`), dropTime},
		{"an end before the year 0", alert("resolved", nil, `,"endsAt":"0000-01-01T00:00:00+14:00"`), dropTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n, dropped, err := decode([]byte(`{"version":"4","alerts":[`+good+`,`+test.bad+`,`+good+`]}`), received)
			if err != nil || len(n.Alerts) != 2 || n.Dropped != 1 || !slices.Equal(dropped, []dropReason{test.why}) {
				t.Errorf("decode() = %d alerts, %d dropped for %q, %v, want 2 and 1 for %q", len(n.Alerts), n.Dropped, dropped, err, test.why)
			}
			if _, err := n.encode(); err != nil {
				t.Errorf("encode() = %v, want no error", err)
			}
		})
	}
}

func TestDecodeShortensWhatIsForPeople(t *testing.T) {
	t.Parallel()
	annotations := map[string]string{"long": strings.Repeat("ü", maxAnnotation), strings.Repeat("n", maxName+1): "dropped"}
	for i := range maxAnnotations {
		annotations[fmt.Sprintf("a%03d", i)] = "kept"
	}
	b, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": strings.Repeat("g", 3*maxGroupKey), "receiver": strings.Repeat("r", 3*maxText), "externalURL": strings.Repeat("u", 3*maxText),
		"alerts": []any{map[string]any{"status": "firing", "annotations": annotations, "generatorURL": strings.Repeat("u", 3*maxText)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := decoded(t, string(b))
	for name, text := range map[string]string{
		"group key": n.GroupKey, "receiver": n.Receiver, "external URL": n.ExternalURL, "generator URL": n.Alerts[0].GeneratorURL,
	} {
		want := maxText
		if name == "group key" {
			want = maxGroupKey
		}
		if len(text) != want || !strings.HasSuffix(text, "…") {
			t.Errorf("%s has %d bytes, want %d that end with an ellipsis", name, len(text), want)
		}
	}
	if kept := len(n.Alerts[0].Annotations); kept != maxAnnotations {
		t.Errorf("%d annotations kept, want %d", kept, maxAnnotations)
	}
	n = decoded(t, `{"version":"4","alerts":[{"status":"firing","annotations":{"long":"`+strings.Repeat("ü", maxAnnotation)+`"}}]}`)
	long := n.Alerts[0].Annotations["long"]
	if len(long) > maxAnnotation || len(long) < maxAnnotation-4 || !utf8.ValidString(long) || !strings.HasSuffix(long, "ü…") {
		t.Errorf("a long annotation has %d bytes and ends with %q, want at most %d, valid, with an ellipsis", len(long), long[len(long)-8:], maxAnnotation)
	}
}

func TestDeliveryKey(t *testing.T) {
	t.Parallel()
	base := decoded(t, sample(t, "captured-0.31.1-one-resolved.json"))
	key := func(change func(*Notification)) string {
		n := base
		n.Alerts = slices.Clone(base.Alerts)
		change(&n)
		return deliveryKey(n.GroupKey, n.Alerts)
	}
	same := key(func(*Notification) {})
	if same != base.DeliveryKey {
		t.Errorf("key = %s, want the notification's own %s", same, base.DeliveryKey)
	}
	for name, change := range map[string]func(*Notification){
		"order":      func(n *Notification) { slices.Reverse(n.Alerts) },
		"annotation": func(n *Notification) { n.Alerts[0].Annotations = nil },
		"end":        func(n *Notification) { n.Alerts[0].EndsAt = received },
		"receiver":   func(n *Notification) { n.Receiver = "other" },
	} {
		if got := key(change); got != same {
			t.Errorf("another %s makes another key", name)
		}
	}
	for name, change := range map[string]func(*Notification){
		"group":       func(n *Notification) { n.GroupKey = "other" },
		"status":      func(n *Notification) { n.Alerts[0].Status = Firing },
		"start":       func(n *Notification) { n.Alerts[0].StartsAt = n.Alerts[0].StartsAt.Add(time.Nanosecond) },
		"fingerprint": func(n *Notification) { n.Alerts[0].Fingerprint = "other" },
		"number":      func(n *Notification) { n.Alerts = n.Alerts[:1] },
		"swap":        func(n *Notification) { n.Alerts[0].Status, n.Alerts[1].Status = n.Alerts[1].Status, n.Alerts[0].Status },
	} {
		if got := key(change); got == same {
			t.Errorf("another %s makes the same key", name)
		}
	}
	a := []Alert{{Fingerprint: "ab", Status: "c"}}
	b := []Alert{{Fingerprint: "a", Status: "bc"}}
	if deliveryKey("g", a) == deliveryKey("g", b) || deliveryKey("g", nil) == deliveryKey("", nil) {
		t.Error("fields run into each other")
	}
}

func FuzzPayload(f *testing.F) {
	for _, name := range []string{
		"captured-0.31.1-firing.json", "captured-0.31.1-one-resolved.json", "captured-0.31.1-truncated-resolved.json", "notifier-0.34.2-firing.json",
	} {
		f.Add([]byte(sample(f, name)))
	}
	f.Add([]byte(`{"version":"4","alerts":[{"status":"firing","labels":{"vm":"\ud800"},"startsAt":"9999-12-31T23:59:59-14:00"}]}`))
	f.Add([]byte(`{"version":"4","alerts":[{"status":"firing"},{"status":"resolved"}],"alerts":[{"labels":{"a":"b"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, dropped, err := decode(body, received)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		if n.Dropped != len(dropped) || len(n.Alerts) > maxAlerts {
			t.Errorf("%d alerts, %d dropped, for %q", len(n.Alerts), n.Dropped, dropped)
		}
		record, err := n.encode()
		if err != nil {
			t.Fatalf("encode() = %v, want no error: what is accepted can be written", err)
		}
		if len(record) > recordBound(len(body)) {
			t.Errorf("a body of %d bytes became a record of %d", len(body), len(record))
		}
		var again Notification
		if err := json.Unmarshal(record, &again); err != nil {
			t.Fatalf("the record cannot be read: %v", err)
		}
		if deliveryKey(n.GroupKey, n.Alerts) != deliveryKey(again.GroupKey, again.Alerts) {
			t.Errorf("the record %s says something else than %+v", record, n)
		}
		shuffled := slices.Clone(n.Alerts)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if deliveryKey(n.GroupKey, n.Alerts) != deliveryKey(n.GroupKey, shuffled) {
			t.Error("the delivery key depends on the order of alerts")
		}
		for _, a := range n.Alerts {
			if a.Status != Firing && a.Status != Resolved || a.Fingerprint == "" {
				t.Errorf("alert kept: %+v", a)
			}
		}
	})
}

// recordBound is how large the record of a body may be: a byte becomes at most three (an invalid one, U+FFFD), and the
// shortest alert of 20 bytes gets the fixed parts of a record, some 110.
func recordBound(n int) int { return 1000 + 10*n }
