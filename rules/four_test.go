package rules

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is a story as it is judged: its samples by series, and how often it is looked at.
type told struct {
	scenario
	samples map[string]string
	every   time.Duration
}

// tellings are all stories at the standard speed, as the tests above tell them.
func tellings(t *testing.T) []told {
	t.Helper()
	timing, err := Standard.Timing()
	if err != nil {
		t.Fatal(err)
	}
	seldom, daily := timing, timing
	seldom.SQL = timing.TellEvaluation
	daily.SQL, daily.TellEvaluation = time.Minute, 5*time.Minute
	var all []told
	add := func(timing Timing, every time.Duration, stories []scenario) {
		for _, s := range stories {
			samples := map[string]string{}
			for name, values := range s.world.series(timing, timing.SQL, s.end) {
				samples[name] = strings.Join(values, " ")
			}
			all = append(all, told{s, samples, every})
		}
	}
	add(timing, timing.Evaluation, scenarios(timing))
	add(timing, timing.TellEvaluation, tellScenarios(timing))
	add(seldom, timing.TellEvaluation, stateScenarios(timing))
	add(daily, daily.TellEvaluation, missing())
	return all
}

func (s told) watches(alert string) bool {
	return slices.Contains(s.watch, alert) || len(s.watch) == 0 && slices.Contains(acting, alert)
}

func (s told) firings(alert string) []alertTime {
	var list []alertTime
	for _, a := range s.fires {
		if a.name == alert {
			list = append(list, alertTime{a.from, a.until})
		}
	}
	return list
}

type alertTime struct{ from, until time.Duration }

var instanceAndJob = regexp.MustCompile(`instance="[^"]*",job="[^"]*"`)

// beside reports whether a story is another one but for one thing: one target alone says something else, in a metric that is
// read. Of what our own programs say of themselves it is one metric, unless it is about their being there at all; what else
// is asked may fail as a whole.
func (s told) beside(other told, read map[string]bool) bool {
	targets, metrics := map[string]bool{}, map[string]bool{}
	reads, own := false, true
	names := maps.Clone(s.samples)
	maps.Copy(names, other.samples)
	for name := range names {
		a, b := s.samples[name], other.samples[name]
		n := min(len(a), len(b)) // the one may end before the other
		if a != "" && b != "" && a[:n] == b[:n] {
			continue
		}
		metric, _, _ := strings.Cut(name, "{")
		targets[instanceAndJob.FindString(name)], metrics[metric] = true, true
		reads = reads || read[metric]
		own = own && strings.Contains(name, `job="hypervigil_`)
	}
	return reads && len(targets) == 1 && (!own || len(metrics) == 1 || read["up"] && metrics["up"])
}

// changes reports whether anything that is read comes, goes, or changes otherwise than by the same at each sample.
func (s told) changes(read map[string]bool) bool {
	for name, values := range s.samples {
		if metric, _, _ := strings.Cut(name, "{"); !read[metric] {
			continue
		}
		var before, by float64
		seen := 0
		for n, value := range strings.Fields(values) {
			if value == "_" {
				continue
			}
			if value == "stale" || seen == 0 && n > 0 {
				return true
			}
			now := number(value)
			if seen == 1 {
				by = now - before
			}
			if seen > 1 && now-before != by {
				return true
			}
			before = now
			seen++
		}
	}
	return false
}

var words = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)

// reads lists the words of an alert's expression and of the recordings in it.
func reads(exprs map[string]string, expr string, into map[string]bool) {
	for _, word := range words.FindAllString(expr, -1) {
		if into[word] {
			continue
		}
		into[word] = true
		if more, ok := exprs[word]; ok {
			reads(exprs, more, into)
		}
	}
}

// TestEveryAlertIsToldInFourWays: silent when all is well, silent one moment before its time, firing, resolving; and silent in a
// situation that looks like it, which shares its series with a firing one but for one target's word.
func TestEveryAlertIsToldInFourWays(t *testing.T) {
	t.Parallel()
	exprs := map[string]string{}
	var alerts []string
	for _, g := range load(t, Standard).Groups {
		for _, r := range g.Rules {
			if exprs[r.Record+r.Alert] = r.Expr; r.Alert != "" {
				alerts = append(alerts, r.Alert)
			}
		}
	}
	stories := tellings(t)
	for _, name := range alerts {
		if name == "Watchdog" {
			continue // it fires always
		}
		read := map[string]bool{}
		reads(exprs, exprs[name], read)
		var before, resolves, well, alike bool
		for _, s := range stories {
			if !s.watches(name) {
				continue
			}
			fires := s.firings(name)
			for _, f := range fires {
				before = before || f.from >= s.every
				resolves = resolves || f.until > 0 && f.until <= s.end
			}
			if len(fires) > 0 {
				continue
			}
			well = well || len(s.fires) == 0 || len(s.fires) == 1 && s.fires[0].name == "Watchdog"
			alike = alike || s.changes(read) && slices.ContainsFunc(stories, func(o told) bool {
				return o.watches(name) && len(o.firings(name)) > 0 && s.beside(o, read)
			})
		}
		for what, told := range map[string]bool{
			"it is silent one moment before its time": before, "it resolves": resolves, "all is well": well, "something looks like it, and it is silent": alike,
		} {
			if !told {
				t.Errorf("%s: there is no story in which %s", name, what)
			}
		}
	}
}
