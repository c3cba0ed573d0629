package exporter_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"

	"github.com/hypervigil/hypervigil/exporter"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// site is a real lab and a real exporter of it.
type site struct {
	lab    *lab.Lab
	config string
	*exporter.Exporter

	seen safeBuffer // everything that the exporter ever wrote: its log at level debug, and every answer
}

// safeBuffer is written to by several goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// unhurried gives every module a time-out that no busy machine reaches: what answers is waited for, and what is
// expected to be silent is given less by the scrape's own time-out.
const unhurried = `exporter:
  modules:
    mssql_availability: {timeout: 1m}
    hyperv: {timeout: 1m}
    wsfc: {timeout: 1m}
    guest: {timeout: 1m}
`

// serve starts a lab and an exporter of it, and at the end of the test looks for secrets in all that was written.
func serve(t *testing.T, p model.Profile, o lab.ConfigOptions) *site {
	t.Helper()
	return serveSpec(t, model.Default(p), o)
}

// serveSpec is serve for another cluster than the lab's own.
func serveSpec(t *testing.T, spec model.Spec, o lab.ConfigOptions) *site {
	t.Helper()
	return serveLab(t, lab.Options{Spec: spec}, o)
}

// serveLab is serve for any lab; Dir and Logger are set here.
func serveLab(t *testing.T, of lab.Options, o lab.ConfigOptions) *site {
	t.Helper()
	of.Dir, of.Logger = t.TempDir(), log.NewNopLogger()
	l, err := lab.Start(of)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{lab: l}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		s.wantNoSecret(t)
	})
	if s.config, err = l.Config(o); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(unhurried); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.Exporter, err = exporter.New(exporter.Options{
		ConfigFile: s.config, Logger: log.NewLogfmtLogger(&s.seen), Registry: prometheus.NewPedanticRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks a page.
func (s *site) get(method, page string, header http.Header) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, page, nil)
	maps.Copy(r.Header, header)
	s.Handler().ServeHTTP(w, r)
	fmt.Fprintf(&s.seen, "%s %s: %d %v\n%s\n", method, page, w.Code, w.Header(), w.Body)
	return w
}

// accounts are the lab's user names and passwords.
func (s *site) accounts() map[string]string {
	users, passwords := map[string]string{}, map[string]string{}
	for _, line := range s.lab.Exports() {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "export HYPERVIGIL_LAB_"), "=")
		if who, ok := strings.CutSuffix(name, "_USER"); ok {
			users[who] = value
		} else if who, ok := strings.CutSuffix(name, "_PASSWORD"); ok {
			passwords[who] = value
		}
	}
	out := map[string]string{}
	for who, user := range users {
		out[user] = passwords[who]
	}
	return out
}

// wantNoSecret looks for every password of the lab in all that the exporter wrote, as it is and as HTTP carries it.
func (s *site) wantNoSecret(t *testing.T) {
	t.Helper()
	wantNoneOf(t, s.seen.String(), s.accounts())
}

func wantNoneOf(t *testing.T, seen string, accounts map[string]string) {
	t.Helper()
	if len(accounts) == 0 || len(seen) == 0 {
		t.Error("there is nothing to look for, or to look through")
	}
	for user, password := range accounts {
		for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), url.QueryEscape(password)} {
			if i := strings.Index(seen, secret); i >= 0 {
				t.Errorf("the password of %s was written: …%s…", user, seen[max(0, i-200):min(len(seen), i+len(secret)+100)])
			}
		}
	}
}

// scrape asks a target as Prometheus does, with a scrape time-out in seconds. late is how long after the probe's own
// deadline the answer came, counted in steps that stretch where the machine is busy.
func (s *site) scrape(t *testing.T, module, target string, timeout float64) (families map[string][]string, late time.Duration) {
	t.Helper()
	// The exporter keeps 100 ms of the scrape's time-out for itself (its default timeout_offset).
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(timeout*float64(time.Second))-100*time.Millisecond)
	defer cancel()
	answered, counted := make(chan struct{}), make(chan time.Duration)
	go func() {
		<-ctx.Done()
		counted <- stepsUntil(answered)
	}()
	page := "/probe?" + url.Values{"module": {module}, "target": {target}}.Encode()
	w := s.get(http.MethodGet, page, http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {fmt.Sprint(timeout)}})
	close(answered)
	cancel()
	late = <-counted
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d %s", page, w.Code, w.Body)
	}
	return series(t, w.Body.Bytes()), late
}

// stepsUntil counts how long it takes until done is closed.
func stepsUntil(done <-chan struct{}) (passed time.Duration) {
	const step = 5 * time.Millisecond
	for {
		select {
		case <-done:
			return passed
		case <-time.After(step):
			passed += step
		}
	}
}

// series are the lines of an answer by metric, each as labels and value.
func series(t *testing.T, body []byte) map[string][]string {
	t.Helper()
	parser := expfmt.NewTextParser(prom.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Errorf("the answer is no metrics: %v", err)
	}
	out := map[string][]string{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			slices.Sort(labels)
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			out[name] = append(out[name], fmt.Sprintf("{%s} %v", strings.Join(labels, ","), value))
		}
	}
	return out
}

// deciding are the series by which rules and people tell the faults of a virtual machine apart, sorted. The members of
// a state set that are 0 and what belongs to other machines are left out, and so is the label cluster, which all have.
func deciding(t *testing.T, all map[string][]string, vm string) []string {
	t.Helper()
	var out []string
	for _, name := range []string{
		"probe_success", "probe_failure_reason", "mssql_up", "mssql_server_state", "hyperv_up", "hyperv_vm_state", "hyperv_vm_heartbeat",
		"hyperv_guest_up", "hyperv_guest_service_state", "hyperv_guest_service_exit_code", "wsfc_up", "wsfc_view_success",
		"wsfc_node_state", "wsfc_node_status_flag", "wsfc_group_owner_info", "wsfc_group_state",
	} {
		for _, line := range all[name] {
			if member(name) && strings.HasSuffix(line, " 0") || !strings.Contains(line, `vm="`+vm+`"`) && strings.Contains(line, `vm="`) ||
				strings.HasPrefix(name, "wsfc_group") && !strings.Contains(line, `vm="`) {
				continue
			}
			out = append(out, name+line)
		}
	}
	for i, line := range out {
		cut := strings.Replace(line, `cluster="hv-lab",`, "", 1)
		cut = strings.Replace(cut, `cluster="hv-lab"`, "", 1)
		if cut == line {
			t.Errorf("%s lacks the cluster", line)
		}
		out[i] = cut
	}
	slices.Sort(out)
	return out
}

func member(name string) bool {
	return strings.HasSuffix(name, "_state") || strings.HasSuffix(name, "_flag") || strings.HasSuffix(name, "_reason") || name == "hyperv_vm_heartbeat"
}

// question is one probe that decides, and its answer. A silent one runs to its deadline.
type question struct {
	module, target string
	silent         bool
	want           []string
}

// The answers of what is well, and of what a fault makes of it.
var (
	sqlWell = question{"mssql_availability", "hv-lab/SQL01/MSSQLSERVER", false, []string{
		`mssql_server_state{sql_instance="MSSQLSERVER",state="running",vm="SQL01"} 1`,
		`mssql_up{sql_instance="MSSQLSERVER",vm="SQL01"} 1`,
		`probe_success{sql_instance="MSSQLSERVER",vm="SQL01"} 1`,
	}}
	guestWell = guestServices("running", 0, "running")
	hostWell  = hostSees("ok")
	allUp     = clusterSays("HV1", "up", "", true)
)

// sqlSick is an instance that fails for a reason; up is what its gauge shows, empty where it is left out.
func sqlSick(reason, up string) question {
	const labels = `{sql_instance="MSSQLSERVER",vm="SQL01"} `
	q := question{module: sqlWell.module, target: sqlWell.target, silent: strings.HasSuffix(reason, "timeout"), want: []string{
		`probe_failure_reason{collector="availability",reason="` + reason + `",sql_instance="MSSQLSERVER",vm="SQL01"} 1`,
		"probe_success" + labels + "0",
	}}
	if up != "" {
		q.want = append(q.want, "mssql_up"+labels+up)
	}
	return q
}

// guestServices is a guest that answers, with the states of SQL Server's service and of its Agent's.
func guestServices(engine string, exitCode int, agent string) question {
	series := func(metric, role, service, state string, v int) string {
		if state != "" {
			state = `,state="` + state + `"`
		}
		return fmt.Sprintf(`hyperv_guest_service_%s{role=%q,service=%q,sql_instance="MSSQLSERVER"%s,vm="SQL01"} %d`, metric, role, service, state, v)
	}
	return question{"guest", "hv-lab/SQL01", false, []string{
		`hyperv_guest_up{vm="SQL01"} 1`,
		series("state", "engine", "MSSQLSERVER", engine, 1),
		series("exit_code", "engine", "MSSQLSERVER", "", exitCode),
		series("state", "agent", "SQLSERVERAGENT", agent, 1),
		series("exit_code", "agent", "SQLSERVERAGENT", "", 0),
		`probe_success{vm="SQL01"} 1`,
	}}
}

// guestSick is a guest that does not answer.
func guestSick(reason, up string) question {
	q := question{"guest", "hv-lab/SQL01", true, []string{
		`probe_failure_reason{collector="os",reason="` + reason + `",vm="SQL01"} 1`,
		`probe_failure_reason{collector="services",reason="` + reason + `",vm="SQL01"} 1`,
		`probe_success{vm="SQL01"} 0`,
	}}
	if up != "" {
		q.want = append(q.want, `hyperv_guest_up{vm="SQL01"} `+up)
	}
	return q
}

// hostSees is the owner that answers, with the guest's heartbeat as it sees it.
func hostSees(heartbeat string) question {
	return question{"hyperv", "hv-lab/HV1", false, []string{
		`hyperv_up{node="HV1"} 1`,
		`hyperv_vm_heartbeat{node="HV1",state="` + heartbeat + `",vm="SQL01"} 1`,
		`hyperv_vm_state{node="HV1",state="running",vm="SQL01"} 1`,
		`probe_success{node="HV1"} 1`,
	}}
}

// hostSilent is the owner without power.
var hostSilent = question{"hyperv", "hv-lab/HV1", true, unseen("hyperv", "tcp_timeout", `node="HV1"`)}

// unseen is a target about which no collector of a built-in module could learn anything, all for one reason.
func unseen(module, reason, target string) []string {
	want := []string{"probe_success{" + target + "} 0"}
	for _, c := range config.DefaultModules()[module].Collectors {
		labels := []string{`collector="` + c + `"`, `reason="` + reason + `"`, target}
		slices.Sort(labels)
		want = append(want, "probe_failure_reason{"+strings.Join(labels, ",")+"} 1")
	}
	slices.Sort(want)
	return want
}

// clusterSays is the cluster's word: who owns SQL01, and what HV1 is; the other nodes are up. Whether HV1 answers is
// another matter.
func clusterSays(owner, hv1, flag string, answers bool) question {
	q := question{module: "wsfc", target: "hv-lab", silent: !answers, want: []string{
		`wsfc_up{} 1`, `probe_success{} 1`,
		`wsfc_group_owner_info{group="SQL01",node="` + owner + `",vm="SQL01"} 1`,
		`wsfc_group_state{group="SQL01",state="online",vm="SQL01"} 1`,
		`wsfc_node_state{node="HV1",state="` + hv1 + `"} 1`,
		`wsfc_node_state{node="HV2",state="up"} 1`,
		`wsfc_node_state{node="HV3",state="up"} 1`,
		`wsfc_view_success{node="HV1"} 0`,
		`wsfc_view_success{node="HV2"} 1`,
		`wsfc_view_success{node="HV3"} 1`,
	}}
	if flag != "" {
		q.want = append(q.want, `wsfc_node_status_flag{flag="`+flag+`",node="HV1"} 1`)
	}
	if answers {
		q.want[7] = `wsfc_view_success{node="HV1"} 1`
	}
	return q
}

// still is a profile in which nothing happens by itself but what a test gives a duration.
func still(change func(*model.Profile)) model.Profile {
	p := model.Profile{
		Name: "still", HeartbeatDelay: time.Hour, HeartbeatThreshold: 1, Resiliency: time.Hour, Failover: time.Hour, Boot: time.Hour,
		ServiceStart: time.Hour, ServiceStop: time.Hour, NodeBoot: time.Hour,
	}
	if change != nil {
		change(&p)
	}
	return p
}

// TestFaults injects each fault and compares what the probes say that decide about it. Connections have been made
// before, but where that makes a difference.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fault string
		profile     model.Profile
		config      lab.ConfigOptions
		until       func(*model.Model) bool // what to wait for before the probes; nothing where nil
		cold        bool                    // without connections from before
		want        []question
	}{
		{
			name: "healthy", profile: still(nil),
			want: []question{sqlWell, guestWell, hostWell, allUp},
		},
		{
			name: "service-crash", fault: model.ServiceCrash, profile: still(nil),
			want: []question{sqlSick("tcp_refused", "0"), guestServices("stopped", 1067, "running"), hostWell, allUp},
		},
		{
			name: "service-stop under way", fault: model.ServiceStop, profile: still(nil),
			want: []question{sqlSick("tcp_refused", "0"), guestServices("stop_pending", 0, "stop_pending"), hostWell, allUp},
		},
		{
			name: "service-stop", fault: model.ServiceStop, profile: still(func(p *model.Profile) { p.ServiceStop = 0 }),
			want: []question{sqlSick("tcp_refused", "0"), guestServices("stopped", 0, "stopped"), hostWell, allUp},
		},
		{
			name: "sql-hang, TDS 8.0", fault: model.SQLHang, profile: still(nil),
			want: []question{sqlSick("tls_timeout", "0"), guestWell, hostWell, allUp},
		},
		{
			name: "sql-hang, TDS 7.4", fault: model.SQLHang, profile: still(nil), config: lab.ConfigOptions{Encrypt: "mandatory"},
			want: []question{sqlSick("login_timeout", "0"), guestWell, hostWell, allUp},
		},
		{
			name: "guest-crash", fault: model.GuestCrash, profile: still(nil),
			want: []question{sqlSick("tcp_timeout", ""), guestSick("tcp_timeout", ""), hostSees("lost_communication"), allUp},
		},
		{
			// On a kept connection it would be query_timeout, and tls_timeout from the next probe on.
			name: "guest-hang", fault: model.GuestHang, profile: still(nil), cold: true,
			want: []question{sqlSick("tls_timeout", "0"), guestSick("tls_timeout", "0"), hostSees("lost_communication"), allUp},
		},
		{
			name: "lan-board", fault: model.LANBoard, profile: still(nil),
			want: []question{sqlSick("tcp_timeout", ""), guestSick("tcp_timeout", ""), hostWell, allUp},
		},
		{
			// The other nodes have not noticed yet and call the owner up.
			name: "host-power-off", fault: model.HostPowerOff, profile: still(nil),
			want: []question{sqlSick("tcp_timeout", ""), guestSick("tcp_timeout", ""), hostSilent, clusterSays("HV1", "up", "", false)},
		},
		{
			name: "host-power-off, noticed", fault: model.HostPowerOff, profile: still(func(p *model.Profile) { p.HeartbeatDelay = 0 }),
			until: func(m *model.Model) bool { return m.Nodes[0].Status&cluster.NodeIsolated != 0 },
			want:  []question{sqlSick("tcp_timeout", ""), guestSick("tcp_timeout", ""), hostSilent, clusterSays("HV1", "down", "isolated", false)},
		},
		{
			name: "host-power-off, failed over", fault: model.HostPowerOff,
			profile: model.Profile{Name: "instant", HeartbeatThreshold: 1, NodeBoot: time.Hour},
			until:   func(m *model.Model) bool { return m.VMs[0].Servers[0].Up },
			want:    []question{sqlWell, guestWell, hostSilent, clusterSays("HV2", "down", "", false)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.profile, tt.config)
			for _, q := range []question{sqlWell, guestWell, hostWell, allUp} {
				if !tt.cold {
					s.ask(t, q)
				}
			}
			if tt.fault != "" {
				if _, err := s.lab.Inject(model.Request{Fault: tt.fault, VM: "SQL01"}); err != nil {
					t.Fatal(err)
				}
			}
			s.lab.State() // lets its time pass
			if tt.until != nil {
				if err := s.lab.Await(t.Context(), tt.until); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			for _, q := range tt.want {
				wg.Go(func() { s.ask(t, q) })
			}
			wg.Wait()
		})
	}
}

// lateness is what an answer may take beyond its deadline.
const lateness = 100 * time.Millisecond

// ask scrapes and compares. A machine too busy to run us makes an answer late or robs it of its reason; the fault stays,
// and what is silent is asked again before that counts.
func (s *site) ask(t *testing.T, q question) {
	t.Helper()
	tries, timeout := 1, 30.
	if q.silent {
		tries, timeout = 3, 1
		if q.module == "wsfc" {
			timeout = 2 // the other nodes have to answer in it
		}
	}
	var trouble []string
	for ; tries > 0; tries-- {
		if trouble = s.check(t, q, timeout); len(trouble) == 0 {
			return
		}
	}
	t.Errorf("%s of %s: %s", q.module, q.target, strings.Join(trouble, "\n"))
}

// check asks once and returns what is wrong with the answer.
func (s *site) check(t *testing.T, q question, timeout float64) (trouble []string) {
	t.Helper()
	all, late := s.scrape(t, q.module, q.target, timeout)
	if diff := cmp.Diff(slices.Sorted(slices.Values(q.want)), deciding(t, all, "SQL01")); diff != "" {
		trouble = append(trouble, "(-want +got):\n"+diff)
	}
	if q.silent && late > lateness {
		trouble = append(trouble, fmt.Sprintf("answered %s after its deadline", late))
	}
	if slices.ContainsFunc(all["probe_collector_success"], func(l string) bool { return strings.HasSuffix(l, " 1") }) {
		return trouble
	}
	// Nothing was seen: then there is nothing but how the attempt went.
	for name := range all {
		switch name {
		case "mssql_up", "hyperv_up", "hyperv_guest_up", "mssql_connect_duration_seconds", "hyperv_wmi_namespace_up", "hyperv_wmi_namespace_duration_seconds":
		default:
			if !strings.HasPrefix(name, "probe_") {
				trouble = append(trouble, "shows "+name+" of what it could not see")
			}
		}
	}
	return trouble
}
