package budget

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/guard"
)

// sight is how a fault comes to be seen by an expression: by one observer, the last one that it waits for.
type sight struct {
	job      string
	notice   Span // until the observer itself knows
	noticed  string
	given    bool
	phase    Span // until the job's next scrape
	probe    Span // until that scrape has its answer
	confirm  Span // until the expression's window holds nothing else
	interval time.Duration
	window   time.Duration
	// other is the wait for the evaluation of a recording rule of another group.
	other Span
}

func (s sight) total() Span {
	return s.notice.plus(s.phase).plus(s.probe).plus(s.confirm).plus(s.other)
}

func (s sight) stages() []Stage {
	stages := []Stage{
		{Name: "notice", Span: s.notice, Why: s.noticed, Given: s.given},
		{Name: "scrape", Span: s.phase, Why: "job " + s.job + " every " + s.interval.String()},
		{Name: "probe", Span: s.probe, Why: "the answer, or its time-out"},
		{Name: "recording", Span: s.other, Why: "a recording rule of another group"},
	}
	if s.window > 0 {
		stages = append(stages, Stage{Name: "confirmation", Span: s.confirm, Why: "a window of " + s.window.String() + " holds nothing else"})
	}
	return stages
}

// errorSets is the exporter's count of sets in which SQL Server called a component an error.
const errorSets = "mssql_server_diagnostics_error_sets"

// want is what an expression is asked about: which fault it is to see, evaluated in which group.
type want struct {
	group string
	fault evidence.Fault
	given Given
}

// detection is the slowest observer that an expression waits for.
func (c *Chain) detection(e parser.Expr, w want) (sight, error) {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return c.detection(e.Expr, w)
	case *parser.AggregateExpr:
		return c.detection(e.Expr, w)
	case *parser.UnaryExpr:
		return c.detection(e.Expr, w)
	case *parser.StepInvariantExpr:
		return c.detection(e.Expr, w)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return sight{}, nil
	case *parser.Call:
		var slowest sight
		for _, arg := range e.Args {
			s, err := c.detection(arg, w)
			if err != nil {
				return sight{}, err
			}
			slowest = later(slowest, s)
		}
		return slowest, nil
	case *parser.BinaryExpr:
		return c.binary(e, w)
	case *parser.MatrixSelector:
		v, ok := e.VectorSelector.(*parser.VectorSelector)
		if !ok {
			return sight{}, fmt.Errorf("cannot reckon with %s", e)
		}
		return c.selector(v, e.Range, w)
	case *parser.VectorSelector:
		return c.selector(e, 0, w)
	}
	return sight{}, fmt.Errorf("cannot reckon with %s (%T)", e, e)
}

// binary: "or" is content with the sooner side, "unless" takes nothing but away, everything else needs both.
func (c *Chain) binary(e *parser.BinaryExpr, w want) (sight, error) {
	left, err := c.detection(e.LHS, w)
	if err != nil || e.Op == parser.LUNLESS {
		return left, err
	}
	right, err := c.detection(e.RHS, w)
	if err != nil {
		return sight{}, err
	}
	if e.Op == parser.LOR && right.total().Worst < left.total().Worst {
		return right, nil
	}
	if e.Op == parser.LOR {
		return left, nil
	}
	return later(left, right), nil
}

func later(a, b sight) sight {
	if b.total().Worst > a.total().Worst {
		return b
	}
	return a
}

// selector is one metric: a recording rule's, which stands for its own expression, or one that a job scrapes.
func (c *Chain) selector(v *parser.VectorSelector, window time.Duration, w want) (sight, error) {
	if v.OriginalOffset != 0 || v.Timestamp != nil || v.StartOrEnd != 0 {
		return sight{}, fmt.Errorf("cannot reckon with the offset of %s", v)
	}
	if r, ok := c.records[v.Name]; ok {
		s, err := c.detection(r.expr, want{group: r.group, fault: w.fault, given: w.given})
		if err == nil && r.group != w.group {
			s.other = s.other.plus(phase(r.interval))
		}
		return s, err
	}
	j, err := c.jobOf(v)
	if err != nil {
		return sight{}, err
	}
	s := sight{job: j.name, phase: phase(j.interval), interval: j.interval, window: window}
	s.probe = Span{0, 0, j.timeout}
	if waitsForTimeout(v) {
		s.probe = fixed(j.timeout)
	}
	switch {
	case w.fault == evidence.Host && strings.HasPrefix(v.Name, "wsfc_"):
		s.notice, s.given = fixed(w.given.Info.SameSubnetDelay*time.Duration(w.given.Info.SameSubnetThreshold)), true
		s.noticed = "the other nodes miss its heartbeats"
	case w.fault == evidence.Guest && v.Name == "hyperv_vm_heartbeat":
		s.notice, s.given = fixed(w.given.GuestHeartbeat), true
		s.noticed = "its host calls its heartbeat lost"
	case v.Name == errorSets:
		every := sqlhealth.RepeatInterval(w.given.Policy.HealthCheckTimeout)
		s.notice = fixed((guard.ErrorSets - 1) * every).plus(phase(every))
		s.noticed = fmt.Sprintf("SQL Server calls itself sick %d times, every %s", guard.ErrorSets, every)
	}
	if window > 0 {
		s.probe = Span{} // in the window
		s.confirm = windowed(j, window, waitsForTimeout(v)).minus(s.phase)
	}
	return s, nil
}

// windowed is how long after the fault a window holds nothing but the fault: the last good sample, which is as old as the
// phase had gone on, must have left it, and the second bad one must have come.
func windowed(j job, window time.Duration, slow bool) Span {
	gone := Span{max(0, window-j.interval), window - j.interval/2, window}
	answer := Span{0, 0, j.timeout}
	if slow {
		answer = fixed(j.timeout)
	}
	return gone.atLeast(phase(j.interval).plus(fixed(j.interval)).plus(answer))
}

// waitsForTimeout reports whether the selector speaks of a probe that got no answer: such a probe ends when its time-out does.
func waitsForTimeout(v *parser.VectorSelector) bool {
	for _, m := range v.LabelMatchers {
		if m.Name != "reason" {
			continue
		}
		for _, r := range []dial.Reason{dial.TCPTimeout, dial.TLSTimeout, dial.LoginTimeout, dial.QueryTimeout} {
			if (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp) && m.Matches(string(r)) {
				return true
			}
		}
	}
	return false
}

// proberName is the part of a metric's name that tells who exports it.
var proberName = regexp.MustCompile(`^(mssql|hyperv|wsfc|guest|application)_`)

// jobOf finds the job that scrapes a metric; of several the most frequent one. What every prober exports (probe_…) is told
// apart by its collector.
func (c *Chain) jobOf(v *parser.VectorSelector) (job, error) {
	var prober, collector string
	if m := proberName.FindStringSubmatch(v.Name); m != nil {
		prober = m[1]
	}
	for _, m := range v.LabelMatchers {
		if m.Name == "collector" && m.Type == labels.MatchEqual {
			collector = m.Value
		}
	}
	if prober == "" && collector == "" {
		return job{}, fmt.Errorf("which job scrapes %s cannot be told: neither its name nor a matcher of collector says so", v)
	}
	var best job
	for _, j := range c.jobs {
		runs := (prober == "" || string(j.module.Prober) == prober) && (collector == "" || slices.Contains(j.collectors(), collector))
		if runs && (best.interval == 0 || j.interval < best.interval) {
			best = j
		}
	}
	if best.interval == 0 {
		return job{}, fmt.Errorf("no scrape job asks for a module that exports %s: the alert can never fire", v)
	}
	return best, nil
}
