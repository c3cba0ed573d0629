package dashboards

import (
	"testing"
	"time"
)

func TestAQueryIsFilledInAsGrafanaDoesIt(t *testing.T) {
	t.Parallel()
	f := Fill{Variables: map[string]string{"vm": "SQL01", "cluster": ".*"}, Range: time.Hour, Step: 15 * time.Second, Scrape: 15 * time.Second}
	for _, tt := range []struct {
		what   string
		target Target
		step   time.Duration
		want   string
	}{
		{"variables", Target{Expr: `x{cluster=~"$cluster", vm="$vm"}[$__range]`}, 15 * time.Second, `x{cluster=~".*", vm="SQL01"}[3600s]`},
		{"four scrapes at least", Target{Expr: `rate(x[$__rate_interval])`}, 15 * time.Second, `rate(x[60s])`},
		{"a step and a scrape where that is more", Target{Expr: `rate(x[$__rate_interval])`}, 2 * time.Minute, `rate(x[135s])`},
		{"four of the query's own", Target{Expr: `rate(x[$__rate_interval])`, Interval: "1m"}, 15 * time.Second, `rate(x[240s])`},
	} {
		f := f
		f.Step = tt.step
		if got := f.In(tt.target); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
}
