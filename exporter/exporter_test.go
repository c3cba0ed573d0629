package exporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/exporter/guest"
	"github.com/hypervigil/hypervigil/exporter/mssql"
	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a set of peers that do what a test says.
type world struct {
	// availability answers for every instance; nil is a healthy one.
	availability func(ctx context.Context) sqlhealth.Availability
	// view is called before a node tells its view.
	view   func(node string)
	asked  atomic.Int32
	closed atomic.Int32
	opened atomic.Int32
	// certificate is when what every peer showed ends.
	certificate time.Time
	// abandoned is how many logins to each instance hang in the driver.
	abandoned atomic.Int32
	stale     atomic.Int64 // names answered from memory
}

var (
	_ host         = (*peer)(nil)
	_ guest.Source = (*peer)(nil)
	_ mssql.Source = (*peer)(nil)
)

// peer is any of them.
type peer struct {
	world *world
	name  string
}

func (p *peer) OperatingSystem(context.Context) (cluster.OperatingSystem, error) {
	return cluster.OperatingSystem{ComputerName: p.name, Version: "10.0.20348", Build: "20348", LastBoot: time.Unix(1_700_000_000, 0), MemoryTotal: 2, MemoryFree: 1}, nil
}

func (p *peer) CertificateExpiry() time.Time { return p.world.certificate }

func (p *peer) VirtualMachines(context.Context) ([]cluster.VirtualMachine, error) {
	return []cluster.VirtualMachine{{ID: "11111111-AAAA-0000-0000-000000000001", Name: "SQL01", State: cluster.VMRunning, Heartbeat: cluster.HeartbeatOK}}, nil
}

func (p *peer) Opinion(ctx context.Context, _ func(string) bool) (cluster.View, error) {
	return p.View(ctx)
}

func (p *peer) View(context.Context) (cluster.View, error) {
	if p.world.view != nil {
		p.world.view(p.name)
	}
	return cluster.View{
		By:    p.name,
		Nodes: []cluster.Node{{Name: "HV1", DynamicWeight: 1}, {Name: "HV2", DynamicWeight: 1}},
		// Two groups of one name cannot be: the second is left out, the rest is answered.
		Groups: []cluster.Group{{Name: "SQL01", Owner: "HV1"}, {Name: "SQL01", Owner: "HV2"}},
	}, nil
}

func (p *peer) Services(_ context.Context, names []string) ([]cluster.Service, error) {
	var services []cluster.Service
	for _, n := range names {
		services = append(services, cluster.Service{Name: n, State: cluster.ServiceRunning, StartMode: "Auto", ProcessID: 4711})
	}
	return services, nil
}

func (p *peer) Availability(ctx context.Context) sqlhealth.Availability {
	p.world.asked.Add(1)
	if p.world.availability != nil {
		return p.world.availability(ctx)
	}
	return sqlhealth.Availability{Up: true, Durations: map[dial.Phase]time.Duration{dial.PhaseTCP: time.Millisecond}, StartTime: time.Unix(1_700_000_000, 0)}
}

func (w *world) open(c *config.Config, _ log.Logger) (*sources, error) {
	w.opened.Add(1)
	s := &sources{
		hosts: map[[2]string]host{}, guests: map[[2]string]guest.Source{}, instances: map[[3]string]mssql.Source{},
		reach: func(context.Context, string) (time.Duration, error) { return time.Millisecond, nil },
		close: func() error { w.closed.Add(1); return nil },
		stale: func() []string { return make([]string, w.stale.Load()) },
	}
	for _, cl := range c.Clusters {
		for _, n := range cl.Nodes {
			s.hosts[[2]string{cl.Name, n.Name}] = &peer{w, n.Name}
		}
		for _, vm := range cl.VirtualMachines {
			if vm.Guest.Address != "" {
				s.guests[[2]string{cl.Name, vm.Name}] = &peer{w, vm.Name}
			}
			for _, i := range vm.SQLServers {
				s.instances[[3]string{cl.Name, vm.Name, i.Instance}] = &peer{w, vm.Name}
			}
		}
	}
	return s, nil
}

const inventory = `credentials:
  reader: {username: r, password_file: %s}
clusters:
  - name: hv-cl1
    reader: reader
    nodes:
      - {name: HV1, addresses: [n1]}
      - {name: HV2, addresses: [n2]}
    virtual_machines:
      - name: SQL01
        guest: {address: v1}
        sql_servers:
          - {instance: MSSQLSERVER, address: "v1:1433", credential: reader}
          - {instance: SALES, address: "v1:1434", credential: reader}
      - name: SQL02
        sql_servers:
          - {instance: MSSQLSERVER, address: "v2:1433", credential: reader}
`

// secret is what no page may show.
const secret = "hunter2-Passw0rd"

// start makes an exporter of the inventory. The file's path is returned for tests that reload it.
func start(t *testing.T, w *world) (*Exporter, string) {
	t.Helper()
	dir := t.TempDir()
	password, file := filepath.Join(dir, "password"), filepath.Join(dir, "hypervigil.yml")
	write(t, password, secret)
	write(t, file, fmt.Sprintf(inventory, password))
	e, err := New(Options{ConfigFile: file, Logger: log.NewNopLogger(), Registry: prometheus.NewPedanticRegistry(), open: w.open})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e, file
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get asks a page, with a scrape time-out where one is given.
func get(e *Exporter, method, url string, scrapeTimeout ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, url, nil)
	for _, t := range scrapeTimeout {
		r.Header.Set(scrapeTimeoutHeader, t)
	}
	e.Handler().ServeHTTP(w, r)
	return w
}

const probeSQL01 = "/probe?module=mssql_availability&target=hv-cl1/SQL01/MSSQLSERVER"

// values are the series of an answer, by name and labels.
func values(t *testing.T, w *httptest.ResponseRecorder) map[string]float64 {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status = %d: %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatalf("the answer is no metrics: %v", err)
	}
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			out[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue()
		}
	}
	return out
}

// expect compares some of the series; NaN-free, a missing one is -1 here.
func expect(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for series, v := range want {
		g, ok := got[series]
		if !ok {
			g = -1
		}
		if g != v {
			t.Errorf("%s = %v, want %v (-1 is absent)", series, g, v)
		}
	}
}

const sql01 = `cluster="hv-cl1",sql_instance="MSSQLSERVER",vm="SQL01"`

func TestProbeHealthy(t *testing.T) {
	t.Parallel()
	e, _ := start(t, &world{})
	got := values(t, get(e, http.MethodGet, probeSQL01))
	expect(t, got, map[string]float64{
		"probe_success{" + sql01 + "}": 1,
		"mssql_up{" + sql01 + "}":      1,
		`probe_collector_success{cluster="hv-cl1",collector="availability",sql_instance="MSSQLSERVER",vm="SQL01"}`:                   1,
		`probe_failure_reason{cluster="hv-cl1",collector="availability",reason="tcp_refused",sql_instance="MSSQLSERVER",vm="SQL01"}`: 0,
		`mssql_connect_duration_seconds{cluster="hv-cl1",phase="tcp",sql_instance="MSSQLSERVER",vm="SQL01"}`:                         0.001,
	})
	// Every series of an inventoried target says which one it is, and none is called up.
	for _, q := range []struct{ url, labels string }{
		{probeSQL01, `cluster="hv-cl1" sql_instance="MSSQLSERVER" vm="SQL01"`},
		{"/probe?module=guest&target=hv-cl1/SQL01", `cluster="hv-cl1" vm="SQL01"`},
		{"/probe?module=hyperv&target=hv-cl1/HV1", `cluster="hv-cl1" node="HV1"`},
		{"/probe?module=wsfc&target=hv-cl1", `cluster="hv-cl1"`},
	} {
		got := values(t, get(e, http.MethodGet, q.url))
		if len(got) < 20 {
			t.Errorf("%s: %d series, want the prober's", q.url, len(got))
		}
		for series := range got {
			for _, l := range strings.Fields(q.labels) {
				if !strings.Contains(series, l) {
					t.Errorf("%s: %s lacks %s", q.url, series, l)
				}
			}
			if strings.HasPrefix(series, "up{") {
				t.Errorf("%s exports up", q.url)
			}
		}
	}
}

func TestProbeOfAContradictoryPeerAnswersTheRest(t *testing.T) {
	t.Parallel()
	e, _ := start(t, &world{})
	got := values(t, get(e, http.MethodGet, "/probe?module=wsfc&target=hv-cl1"))
	expect(t, got, map[string]float64{`wsfc_up{cluster="hv-cl1"}`: 1, `probe_success{cluster="hv-cl1"}`: 1})
	if got := testutil.ToFloat64(e.metrics.gatherErrors); got != 1 {
		t.Errorf("gather errors = %v, want 1", got)
	}
}

func TestProbeSick(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason dial.Reason
		up     float64 // -1: absent
	}{
		{dial.Refused, 0},
		{dial.LoginTimeout, 0},
		{dial.TLSTimeout, 0},
		{dial.TCPTimeout, -1},
		{dial.Unreachable, -1},
		{dial.Auth, -1},
		{dial.DNS, -1},
		{dial.TLS, -1},
	} {
		t.Run(string(tc.reason), func(t *testing.T) {
			t.Parallel()
			w := &world{availability: func(context.Context) sqlhealth.Availability {
				return sqlhealth.Availability{Reason: tc.reason, Err: errors.New("no"), Durations: map[dial.Phase]time.Duration{dial.PhaseTCP: time.Millisecond}}
			}}
			e, _ := start(t, w)
			got := values(t, get(e, http.MethodGet, probeSQL01))
			want := map[string]float64{
				"probe_success{" + sql01 + "}": 0,
				"mssql_up{" + sql01 + "}":      tc.up,
				`probe_collector_success{cluster="hv-cl1",collector="availability",sql_instance="MSSQLSERVER",vm="SQL01"}`: 0,
				`probe_collector_timeout{cluster="hv-cl1",collector="availability",sql_instance="MSSQLSERVER",vm="SQL01"}`: 0,
			}
			for _, r := range dial.Reasons() {
				v := 0.0
				if r == tc.reason {
					v = 1
				}
				want[fmt.Sprintf(`probe_failure_reason{cluster="hv-cl1",collector="availability",reason=%q,sql_instance="MSSQLSERVER",vm="SQL01"}`, r)] = v
			}
			expect(t, got, want)
			for series := range got {
				if strings.HasPrefix(series, "mssql_start_time_seconds") || strings.HasPrefix(series, "mssql_server_info") {
					t.Errorf("a sick target has %s", series)
				}
			}
		})
	}
}

func TestProbeRefusesWhatIsNotInTheInventory(t *testing.T) {
	t.Parallel()
	w := &world{}
	e, _ := start(t, w)
	for _, tc := range []struct {
		url  string
		code int
		says string
	}{
		{"/probe", 400, "module is missing; use one of"},
		{"/probe?module=snmp&target=hv-cl1", 400, `unknown module "snmp"; use one of ["application" "guest"`},
		// The design's module that this release does not have is none.
		{"/probe?module=application&target=hv-cl1/SQL01", 404, "of a virtual machine with an application"},
		{"/probe?module=wsfc", 404, "target is missing; the module wsfc takes cluster"},
		{"/probe?module=mssql_availability&target=evil.example:1433", 404, `unknown target "evil.example:1433"; the module mssql_availability takes cluster/vm/instance, as the inventory names it, for example "hv-cl1/SQL01/MSSQLSERVER"`},
		{"/probe?module=mssql_availability&target=hv-cl1/SQL01", 404, "unknown target"},
		{"/probe?module=mssql_availability&target=HV-CL1/SQL01/MSSQLSERVER", 404, "unknown target"},
		{"/probe?module=hyperv&target=hv-cl1/SQL01", 404, "unknown target"},
		{"/probe?module=guest&target=hv-cl1/SQL02", 404, "of a virtual machine with a guest address"},
		{"/sd", 400, "module is missing"},
		{"/sd?module=snmp", 400, "unknown module"},
		{"/nothing", 404, "not found"},
		{"/probe/", 404, "not found"},
	} {
		got := get(e, http.MethodGet, tc.url)
		if got.Code != tc.code || !strings.Contains(got.Body.String(), tc.says) {
			t.Errorf("%s: %d %q, want %d and %q", tc.url, got.Code, got.Body, tc.code, tc.says)
		}
	}
	if got := w.asked.Load(); got != 0 {
		t.Errorf("%d peers were asked, want none", got)
	}
	for _, page := range pages {
		if page == "/-/reload" {
			continue
		}
		if got := get(e, http.MethodPost, page); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d, want 405", page, got.Code)
		}
	}
}

func TestProbeTimeout(t *testing.T) {
	t.Parallel()
	const module, offset = 900 * time.Millisecond, 100 * time.Millisecond
	for header, want := range map[string]time.Duration{
		"": module, "x": module, "-1": module, "0": module, "NaN": module, "Inf": module, "1e300": module, "15": module, "1": module,
		"0.5": 400 * time.Millisecond, "0.15": 75 * time.Millisecond,
	} {
		if got := probeTimeout(module, offset, header); got != want {
			t.Errorf("probeTimeout(%q) = %s, want %s", header, got, want)
		}
	}
}

// TestHungCollector has a driver that does not return at its deadline: the answer is there all the same, in time.
func TestHungCollector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := &world{availability: func(context.Context) sqlhealth.Availability {
			<-release
			return sqlhealth.Availability{Up: true}
		}}
		e, _ := start(t, w)
		for i := range maxAbandoned {
			begun := time.Now()
			got := values(t, get(e, http.MethodGet, probeSQL01))
			if took := time.Since(begun); took < 900*time.Millisecond || took > time.Second {
				t.Errorf("answered after %s, want the deadline of 900ms and at most 100ms", took)
			}
			expect(t, got, map[string]float64{
				"probe_success{" + sql01 + "}": 0,
				"mssql_up{" + sql01 + "}":      -1,
				`probe_collector_timeout{cluster="hv-cl1",collector="availability",sql_instance="MSSQLSERVER",vm="SQL01"}`:                     1,
				`probe_failure_reason{cluster="hv-cl1",collector="availability",reason="provider_hung",sql_instance="MSSQLSERVER",vm="SQL01"}`: 1,
			})
			if got := e.flights.abandoned(); got["hv-cl1/SQL01/MSSQLSERVER"] != i+1 {
				t.Errorf("abandoned = %v, want %d", got, i+1)
			}
		}
		// No more of them: the next scrape is answered at once, without asking.
		begun := time.Now()
		expect(t, values(t, get(e, http.MethodGet, probeSQL01)), map[string]float64{"probe_success{" + sql01 + "}": 0})
		if took := time.Since(begun); took != 0 || w.asked.Load() != maxAbandoned {
			t.Errorf("answered after %s with %d asked, want at once and %d", took, w.asked.Load(), maxAbandoned)
		}
		close(release)
		synctest.Wait()
		if got := e.flights.abandoned(); len(got) != 0 {
			t.Errorf("abandoned = %v after the driver came back, want none", got)
		}
		expect(t, values(t, get(e, http.MethodGet, probeSQL01)), map[string]float64{"probe_success{" + sql01 + "}": 1})
		if got := testutil.ToFloat64(e.metrics.abandonedTotal); got != maxAbandoned {
			t.Errorf("abandoned in all = %v, want %d", got, maxAbandoned)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestStuckDriver has logins that hang behind collectors which returned in time: they are shown all the same.
func TestStuckDriver(t *testing.T) {
	t.Parallel()
	w := &world{}
	e, _ := start(t, w)
	const series = `hypervigil_exporter_abandoned_queries{target="hv-cl1/SQL01/MSSQLSERVER"}`
	if body := get(e, http.MethodGet, "/metrics").Body.String(); strings.Contains(body, series) {
		t.Error("/metrics has logins that hang before there are any")
	}
	w.abandoned.Store(2)
	w.stale.Store(3)
	if body := get(e, http.MethodGet, "/metrics").Body.String(); !strings.Contains(body, "hypervigil_exporter_stale_names 3\n") {
		t.Error("/metrics lacks three names that are answered from memory")
	}
	e.flights.hang(hungKey{"hv-cl1/SQL01/MSSQLSERVER", "availability"}, 1)
	if body := get(e, http.MethodGet, "/metrics").Body.String(); !strings.Contains(body, series+" 3\n") {
		t.Error("/metrics lacks two logins that hang, and a collector")
	}
	e.flights.hang(hungKey{"hv-cl1/SQL01/MSSQLSERVER", "availability"}, -1)
}

// TestHungLeftovers has a node that does not return at its deadline, though its collectors do: what they leave behind
// is counted and bounded like a collector that hangs.
func TestHungLeftovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int32
		e, _ := start(t, &world{view: func(node string) {
			if node == "HV2" {
				asked.Add(1)
				<-release
			}
		}})
		const probe = "/probe?module=wsfc&target=hv-cl1"
		for i := range maxAbandoned {
			expect(t, values(t, get(e, http.MethodGet, probe)), map[string]float64{
				`probe_success{cluster="hv-cl1"}`:                               1,
				`wsfc_view_success{cluster="hv-cl1",node="HV1"}`:                1,
				`wsfc_view_success{cluster="hv-cl1",node="HV2"}`:                0,
				`wsfc_node_views{cluster="hv-cl1",node="HV2"}`:                  1,
				`wsfc_view_quorum{cluster="hv-cl1",node="HV2"}`:                 -1,
				`wsfc_views_read{cluster="hv-cl1"}`:                             1,
				`probe_collector_timeout{cluster="hv-cl1",collector="cluster"}`: 0,
			})
			time.Sleep(2 * leftoverGrace)
			if got := e.flights.abandoned(); got["hv-cl1"] != i+1 {
				t.Errorf("abandoned = %v, want %d", got, i+1)
			}
		}
		expect(t, values(t, get(e, http.MethodGet, probe)), map[string]float64{
			`probe_success{cluster="hv-cl1"}`: 0,
			`wsfc_up{cluster="hv-cl1"}`:       -1,
			`probe_failure_reason{cluster="hv-cl1",collector="cluster",reason="provider_hung"}`: 1,
			`probe_failure_reason{cluster="hv-cl1",collector="views",reason="provider_hung"}`:   1,
		})
		if got := asked.Load(); got != maxAbandoned {
			t.Errorf("asked %d times, want %d", got, maxAbandoned)
		}
		close(release)
		synctest.Wait()
		if got := e.flights.abandoned(); len(got) != 0 {
			t.Errorf("abandoned = %v after the node came back, want none", got)
		}
		expect(t, values(t, get(e, http.MethodGet, probe)), map[string]float64{`wsfc_views_read{cluster="hv-cl1"}`: 2})
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestAHurriedScrapeAnswersForNobodyElse: whoever asks with a time-out too short for the target must not put false evidence
// into the answers of those who wait.
func TestAHurriedScrapeAnswersForNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{availability: func(ctx context.Context) sqlhealth.Availability {
			select {
			case <-time.After(30 * time.Millisecond):
				return sqlhealth.Availability{Up: true}
			case <-ctx.Done():
				return sqlhealth.Availability{Reason: dial.LoginTimeout, Err: ctx.Err()}
			}
		}}
		e, _ := start(t, w)
		var hurried sync.WaitGroup
		hurried.Go(func() { get(e, http.MethodGet, probeSQL01, "0.02") })
		time.Sleep(time.Millisecond)
		for series, v := range values(t, get(e, http.MethodGet, probeSQL01, "10")) {
			if strings.HasPrefix(series, "probe_success{") && v != 1 {
				t.Errorf("%s = %v of an instance that answers in 30 ms, want 1", series, v)
			}
		}
		hurried.Wait()
	})
}

// TestConcurrentScrapesShareOneAnswer has a slow target scraped by four at once, one of them in a hurry.
func TestConcurrentScrapesShareOneAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{availability: func(ctx context.Context) sqlhealth.Availability {
			select {
			case <-time.After(800 * time.Millisecond):
				return sqlhealth.Availability{Up: true}
			case <-ctx.Done():
				return sqlhealth.Availability{Reason: dial.LoginTimeout, Err: ctx.Err()}
			}
		}}
		e, _ := start(t, w)
		var wg sync.WaitGroup
		scrape := func(delay time.Duration, timeout, url string, success float64, after time.Duration) {
			wg.Go(func() {
				time.Sleep(delay)
				begun := time.Now()
				got := values(t, get(e, http.MethodGet, url, timeout))
				if took := time.Since(begun); took != after {
					t.Errorf("scrape with time-out %q was answered after %s, want %s", timeout, took, after)
				}
				for series, v := range got {
					if strings.HasPrefix(series, "probe_success{") && v != success {
						t.Errorf("scrape with time-out %q: %s = %v, want %v", timeout, series, v, success)
					}
				}
			})
		}
		scrape(0, "10", probeSQL01, 1, 800*time.Millisecond)
		scrape(100*time.Millisecond, "10", probeSQL01, 1, 700*time.Millisecond)
		scrape(200*time.Millisecond, "10", probeSQL01, 1, 600*time.Millisecond)
		// Its own deadline comes before the shared answer.
		scrape(100*time.Millisecond, "0.5", probeSQL01, 0, 400*time.Millisecond)
		// Another instance is another target.
		scrape(100*time.Millisecond, "10", "/probe?module=mssql_availability&target=hv-cl1/SQL01/SALES", 1, 800*time.Millisecond)
		wg.Wait()
		if got := w.asked.Load(); got != 2 {
			t.Errorf("asked %d times, want once for each target", got)
		}
		if got := testutil.ToFloat64(e.metrics.shared); got != 3 {
			t.Errorf("shared = %v, want 3", got)
		}
		expect(t, values(t, get(e, http.MethodGet, probeSQL01)), map[string]float64{"probe_success{" + sql01 + "}": 1})
		if got := w.asked.Load(); got != 3 {
			t.Errorf("asked %d times, want a new question after the answer went out", got)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestPanicInACollectorIsItsOwnFailure(t *testing.T) {
	t.Parallel()
	w := &world{availability: func(context.Context) sqlhealth.Availability { panic("boom") }}
	e, _ := start(t, w)
	var logged bytes.Buffer
	e.logger = log.NewLogfmtLogger(&logged)
	expect(t, values(t, get(e, http.MethodGet, probeSQL01)), map[string]float64{
		"probe_success{" + sql01 + "}": 0,
		`probe_failure_reason{cluster="hv-cl1",collector="availability",reason="other",sql_instance="MSSQLSERVER",vm="SQL01"}`: 1,
	})
	for _, want := range []string{"panic=boom", "TestPanicInACollectorIsItsOwnFailure"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %q: %s", want, logged.String())
		}
	}
}

func TestServiceDiscovery(t *testing.T) {
	t.Parallel()
	e, _ := start(t, &world{})
	type labels = map[string]string
	for module, want := range map[string][]labels{
		"mssql_availability": {
			{"__param_target": "hv-cl1/SQL01/MSSQLSERVER", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "MSSQLSERVER"},
			{"__param_target": "hv-cl1/SQL01/SALES", "cluster": "hv-cl1", "vm": "SQL01", "sql_instance": "SALES"},
			{"__param_target": "hv-cl1/SQL02/MSSQLSERVER", "cluster": "hv-cl1", "vm": "SQL02", "sql_instance": "MSSQLSERVER"},
		},
		"guest":  {{"__param_target": "hv-cl1/SQL01", "cluster": "hv-cl1", "vm": "SQL01"}},
		"hyperv": {{"__param_target": "hv-cl1/HV1", "cluster": "hv-cl1", "node": "HV1"}, {"__param_target": "hv-cl1/HV2", "cluster": "hv-cl1", "node": "HV2"}},
		"wsfc":   {{"__param_target": "hv-cl1", "cluster": "hv-cl1"}},
	} {
		got := get(e, http.MethodGet, "http://exporter.example:9877/sd?module="+module)
		if ct := got.Header().Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("%s: Content-Type = %q", module, ct)
		}
		var groups []sdGroup
		if err := json.Unmarshal(got.Body.Bytes(), &groups); err != nil {
			t.Fatal(err)
		}
		var wanted []sdGroup
		for _, l := range want {
			l["__param_module"], l["__metrics_path__"], l["instance"] = module, "/probe", l["__param_target"]
			wanted = append(wanted, sdGroup{Targets: []string{"exporter.example:9877"}, Labels: l})
		}
		if diff := cmp.Diff(wanted, groups); diff != "" {
			t.Errorf("%s (-want +got):\n%s", module, diff)
		}
		// Each of them can be probed.
		for _, g := range groups {
			if p := get(e, http.MethodGet, "/probe?module="+module+"&target="+g.Labels["__param_target"]); p.Code != http.StatusOK {
				t.Errorf("probe of %s: %d", g.Labels["__param_target"], p.Code)
			}
		}
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := &world{}
	e, file := start(t, w)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gauge := func() float64 { return testutil.ToFloat64(e.metrics.reloadOK) }
	if gauge() != 1 {
		t.Error("config_last_reload_successful is not 1 after the start")
	}
	write(t, file, strings.Replace(string(good), "name: SQL02", "name: SQL03\n        colour: red", 1))
	if got := get(e, http.MethodPost, "/-/reload"); got.Code != 500 || !strings.Contains(got.Body.String(), "colour: unknown field") {
		t.Errorf("reload of a bad file: %d %q", got.Code, got.Body)
	}
	if gauge() != 0 {
		t.Error("config_last_reload_successful is not 0 after a refused reload")
	}
	const old, next = "/probe?module=mssql_availability&target=hv-cl1/SQL02/MSSQLSERVER", "/probe?module=mssql_availability&target=hv-cl1/SQL03/MSSQLSERVER"
	if got := get(e, http.MethodGet, old); got.Code != 200 {
		t.Errorf("a refused reload changed something: %d", got.Code)
	}
	write(t, file, strings.Replace(string(good), "name: SQL02", "name: SQL03", 1))
	if got := get(e, http.MethodGet, "/-/reload"); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET /-/reload: %d", got.Code)
	}
	if got := get(e, http.MethodPost, "/-/reload"); got.Code != 200 {
		t.Errorf("reload: %d %q", got.Code, got.Body)
	}
	if gauge() != 1 {
		t.Error("config_last_reload_successful is not 1 after a reload")
	}
	if a, b := get(e, http.MethodGet, old).Code, get(e, http.MethodGet, next).Code; a != 404 || b != 200 {
		t.Errorf("after the reload: old target %d, new target %d, want 404 and 200", a, b)
	}
	// An unreadable password refuses the reload too.
	write(t, file, strings.Replace(string(good), "password_file: ", "password_file: /nowhere", 1))
	if got := get(e, http.MethodPost, "/-/reload"); got.Code != 500 || !strings.Contains(got.Body.String(), `password of the credential "reader"`) {
		t.Errorf("reload with an unreadable password file: %d %q", got.Code, got.Body)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if o, c := w.opened.Load(), w.closed.Load(); o != 2 || c != 2 {
		t.Errorf("sources opened %d and closed %d times, want 2 and 2", o, c)
	}
	if got := get(e, http.MethodGet, "/-/ready"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("ready after Close: %d", got.Code)
	}
	if got := get(e, http.MethodGet, old); got.Code != http.StatusServiceUnavailable {
		t.Errorf("probe after Close: %d", got.Code)
	}
}

// TestReloadDuringAProbe reloads while a target is being asked: the probe ends with what it began with, and its
// sources stay open so long.
func TestReloadDuringAProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		w.availability = func(context.Context) sqlhealth.Availability {
			time.Sleep(500 * time.Millisecond)
			if w.closed.Load() != 0 {
				return sqlhealth.Availability{Reason: dial.Other, Err: errors.New("closed under the probe")}
			}
			return sqlhealth.Availability{Up: true}
		}
		e, _ := start(t, w)
		var wg sync.WaitGroup
		wg.Go(func() {
			expect(t, values(t, get(e, http.MethodGet, probeSQL01)), map[string]float64{"probe_success{" + sql01 + "}": 1})
		})
		time.Sleep(100 * time.Millisecond)
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
		// The new configuration's probe does not board the old one's flight.
		asked := w.asked.Load()
		wg.Go(func() { get(e, http.MethodGet, probeSQL01) })
		synctest.Wait()
		if got := w.asked.Load(); got != asked+1 {
			t.Errorf("asked %d times, want a question of its own after the reload", got)
		}
		wg.Wait()
		synctest.Wait()
		if got := w.closed.Load(); got != 1 {
			t.Errorf("closed %d times, want the old sources closed", got)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestDebugShowsLogMetricsAndConfiguration(t *testing.T) {
	t.Parallel()
	w := &world{availability: func(context.Context) sqlhealth.Availability {
		return sqlhealth.Availability{Reason: dial.Refused, Err: errors.New("connection refused")}
	}}
	e, _ := start(t, w)
	got := get(e, http.MethodGet, probeSQL01+"&debug=true")
	body := got.Body.String()
	for _, want := range []string{
		"# probe of hv-cl1/SQL01/MSSQLSERVER by the module mssql_availability, deadline 900ms",
		"\n# result\navailability: tcp_refused, ",
		`msg="login attempted" up=false reason=tcp_refused err="connection refused"`,
		`msg="collector ended"`,
		"mssql_up{" + sql01 + "} 0",
		"prober: mssql",
		"address: v1:1433",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, secret) {
		t.Error("the page shows a secret")
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestLandingPageLinksEveryProbe(t *testing.T) {
	t.Parallel()
	e, _ := start(t, &world{})
	got := get(e, http.MethodGet, "/")
	if got.Code != 200 || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", got.Code, got.Header())
	}
	body := strings.ReplaceAll(got.Body.String(), "&amp;", "&")
	for _, want := range []string{
		`href="probe?module=wsfc&target=hv-cl1"`,
		`href="probe?module=hyperv&target=hv-cl1%2FHV1"`,
		`href="probe?module=guest&target=hv-cl1%2FSQL01"`,
		`href="probe?module=mssql_availability&target=hv-cl1%2FSQL01%2FSALES"`,
		`href="probe?module=mssql_availability&target=hv-cl1%2FSQL01%2FSALES&debug=true"`,
		`href="sd?module=wsfc"`,
		`href="metrics"`,
		"no address to probe", // the guest of SQL02
		"configuration read 20",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, "<script") {
		t.Error("the page refers to something outside")
	}
}

func TestOwnMetricsExistBeforeTheyCount(t *testing.T) {
	t.Parallel()
	e, _ := start(t, &world{})
	body := get(e, http.MethodGet, "/metrics").Body.String()
	for _, want := range []string{
		"hypervigil_exporter_build_info{",
		"hypervigil_exporter_config_last_reload_successful 1",
		"hypervigil_exporter_config_last_reload_success_timestamp_seconds ",
		`hypervigil_exporter_probe_inflight{kind="mssql"} 0`,
		`hypervigil_exporter_probes_total{module="wsfc",result="failure"} 0`,
		`hypervigil_exporter_probe_duration_seconds_count{module="guest"} 0`,
		`hypervigil_exporter_http_requests_total{code="200",handler="/probe"} 0`,
		"hypervigil_exporter_probes_shared_total 0",
		"hypervigil_exporter_abandoned_queries_total 0",
		"hypervigil_exporter_stale_names 0",
		"hypervigil_exporter_gather_errors_total 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	get(e, http.MethodGet, probeSQL01)
	get(e, http.MethodGet, "/probe?module=x")
	body = get(e, http.MethodGet, "/metrics").Body.String()
	for _, want := range []string{
		`hypervigil_exporter_probes_total{module="mssql_availability",result="success"} 1`,
		`hypervigil_exporter_http_requests_total{code="200",handler="/probe"} 1`,
		`hypervigil_exporter_http_requests_total{code="400",handler="/probe"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	problems, err := testutil.GatherAndLint(e.options.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{},
		{ConfigFile: "f", Logger: log.NewNopLogger()},
		{ConfigFile: "f", Registry: prometheus.NewRegistry()},
		{ConfigFile: filepath.Join(t.TempDir(), "none.yml"), Logger: log.NewNopLogger(), Registry: prometheus.NewRegistry()},
	} {
		if e, err := New(o); err == nil {
			t.Errorf("New(%+v) succeeded", o)
			_ = e.Close(context.Background())
		}
	}
}
