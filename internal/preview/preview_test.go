package preview

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/dashboards"
)

// prometheus answers every question with one series, and refuses those that contain refuse.
func prometheus(t *testing.T, refuse string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.FormValue("query")
		switch {
		case refuse != "" && strings.Contains(query, refuse):
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query timed out"}`)
		case strings.HasPrefix(r.URL.Path, "/api/v1/label/"):
			fmt.Fprint(w, `{"status":"success","data":["SQL01","SQL02"]}`)
		case r.URL.Path == "/api/v1/query":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"cluster":"hv-<cl1>","vm":"SQL01"},"value":[1700000000,"1"]}]}}`)
		default:
			end, err := strconv.ParseFloat(r.FormValue("end"), 64)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"vm":"SQL01"},"values":[[%.3f,"1"],[%.3f,"NaN"],[%.3f,"0"]]}]}}`, end-30, end-15, end)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestEveryDashboardIsDrawn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	if err := Draw(t.Context(), Options{Prometheus: prometheus(t, "") + "/", Dir: dir, Out: &out}); err != nil {
		t.Fatal(err)
	}
	all, err := dashboards.Load()
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	for name, d := range all {
		b, err := os.ReadFile(filepath.Join(dir, name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		page := string(b)
		if !strings.Contains(page, "This is not Grafana") {
			t.Errorf("%s does not say that it is a preview", name)
		}
		if got, want := strings.Count(page, "<section "), len(d.Panels); got != want {
			t.Errorf("%s has %d panels, want %d", name, got, want)
		}
		for _, m := range links.FindAllStringSubmatch(page, -1) {
			if _, ok := all[strings.TrimSuffix(m[1], ".html")]; !ok {
				t.Errorf("%s leads to %q, which is none of the pages", name, m[1])
			}
		}
		if strings.Contains(page, "hv-<cl1>") || strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%s holds text that was not escaped, or a style that was refused", name)
		}
		if !strings.Contains(out.String(), fmt.Sprintf("%s: %d panels, 0 of them without data", filepath.Join(dir, name+".html"), len(d.Panels))) {
			t.Errorf("%s is not reported: %s", name, &out)
		}
	}
}

func TestARefusedQueryIsToldAndTheRestDrawn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := Draw(t.Context(), Options{Prometheus: prometheus(t, "hypervigil_storm_brake"), Dir: dir, Out: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "overview, panel Storm brake: prometheus refuses") {
		t.Errorf("Draw = %v, want the panel and what Prometheus said", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "overview.html"))
	if err != nil || !strings.Contains(string(b), "query timed out") {
		t.Errorf("the page does not show the refusal: %v", err)
	}
}

func TestAVariableWithoutAValueIsAnError(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":[]}`)
	}))
	t.Cleanup(s.Close)
	d := drawing{ask: asker{s.URL}, to: time.Unix(1700000000, 0), from: time.Unix(1699996400, 0)}
	_, err := d.choose(t.Context(), []dashboards.Variable{{Name: "vm", Definition: "label_values(mssql_up, vm)"}})
	if err == nil || !strings.Contains(err.Error(), "variable vm") {
		t.Errorf("choose = %v, want an error about vm", err)
	}
}

func TestNumbersAreWrittenInTheirUnit(t *testing.T) {
	t.Parallel()
	to := time.Unix(1700000000, 0)
	for _, tt := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "none", "0"},
		{42, "none", "42"},
		{1.23456, "none", "1.23"},
		{0.000123, "none", "0.000123"},
		{4294967295, "none", "4294967295"},
		{0.625, "percentunit", "62.5 %"},
		{0, "s", "0 s"},
		{0.0042, "s", "4.2 ms"},
		{90, "s", "1.5 min"},
		{3600 * 36, "s", "1.5 d"},
		{1536, "bytes", "1.5 KiB"},
		{2500, "Bps", "2.5 kB/s"},
		{1700000000000 - 120000, "dateTimeFromNow", "2 min ago"},
		{0.5, "ops", "0.5 ops/s"},
	} {
		if got := number(tt.value, tt.unit, to); got != tt.want {
			t.Errorf("number(%v, %q) = %q, want %q", tt.value, tt.unit, got, tt.want)
		}
	}
}

// TestATableJoinsItsAnswers by what all of them have; a label of one alone is a column of it.
func TestATableJoinsItsAnswers(t *testing.T) {
	t.Parallel()
	all, err := dashboards.Load()
	if err != nil {
		t.Fatal(err)
	}
	var p dashboards.Panel
	for _, q := range all["overview"].Panels {
		if q.Title == "Virtual machines" {
			p = q
		}
	}
	one := func(value float64, labels ...string) series {
		s := series{labels: map[string]string{"cluster": "c"}, points: []point{{1700000000, value}}}
		for i := 0; i < len(labels); i += 2 {
			s.labels[labels[i]] = labels[i+1]
		}
		return s
	}
	answers := []answer{
		{p.Targets[0], []series{one(1, "vm", "SQL01"), one(-1, "vm", "SQL02")}},
		{p.Targets[2], []series{one(1, "vm", "SQL02", "node", "HV2"), one(1, "vm", "SQL01", "node", "HV1")}},
		{p.Targets[3], []series{one(0, "vm", "SQL02")}},
		{p.Targets[4], nil},
	}
	got := tableOf(p, answers, time.Unix(1700000000, 0))
	want := &tableData{
		Head: []string{"cluster", "vm", "SQL Server", "owner", "rescue"},
		Rows: [][]cell{
			{{Text: "c"}, {Text: "SQL01"}, {"up", colour("green")}, {Text: "HV1"}, {}},
			{{Text: "c"}, {Text: "SQL02"}, {"not seen", colour("orange")}, {Text: "HV2"}, {"not ready", colour("orange")}},
		},
	}
	got.Head = got.Head[:len(want.Head)]
	for i := range got.Rows {
		got.Rows[i] = got.Rows[i][:len(want.Head)]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestACurveBreaksWhereNothingIsKnown: a gap is drawn as one, never as a line through it.
func TestACurveBreaksWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	same := func(v float64) float64 { return v }
	lines, areas := pieces([]point{{0, 1}, {10, 2}, {40, 3}, {50, 4}, {60, 5}}, 10*time.Second, same, same)
	want := []string{"0.0,1.00 10.0,2.00", "40.0,3.00 50.0,4.00 60.0,5.00"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := areas[1], "40.0,100.0 40.0,3.00 50.0,4.00 60.0,5.00 60.0,100.0"; got != want {
		t.Errorf("area %q, want %q", got, want)
	}
	if lines, _ := pieces([]point{{5, 1}}, 10*time.Second, same, same); len(lines) != 1 || lines[0] != "5.0,1.00 7.0,1.00" {
		t.Errorf("a point alone is drawn as %q", lines)
	}
}

func TestATimelineKeepsItsGaps(t *testing.T) {
	t.Parallel()
	from, to := time.Unix(1000, 0), time.Unix(1100, 0)
	p := dashboards.Panel{FieldConfig: &dashboards.FieldConfig{Defaults: dashboards.Field{Mappings: []dashboards.Mapping{{
		Options: map[string]dashboards.Mapped{"1": {Text: "up", Color: "green"}, "0": {Text: "down", Color: "red"}},
	}}}}}
	answers := []answer{{dashboards.Target{Legend: "{{vm}}"}, []series{{
		labels: map[string]string{"vm": "SQL01"}, points: []point{{1000, 1}, {1010, 1}, {1020, 0}, {1050, 0}},
	}}}}
	got := barsOf(p, answers, from, to, 10*time.Second).Rows
	want := []barRow{{"SQL01", []bar{{0, 200, colour("green")}, {200, 100, colour("red")}, {500, 100, colour("red")}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
