package drill

import (
	"cmp"
	"slices"
	"strings"
)

// The figures of a trial, by their names in its JSON.
const (
	DetectionFigure = "detection_seconds"
	CommandFigure   = "first_command_seconds"
	RecoveryFigure  = "recovery_seconds"
	MoveFigure      = "move_seconds"
	TCPFigure       = "tcp_lost_seconds"
	PingFigure      = "ping_lost_seconds"
	DownFigure      = "sql_down_seconds"
	StopFigure      = "service_stop_seconds"
	StartFigure     = "service_start_seconds"
)

// StagesFigure is what a given parameter names that sets a part of every stage; the name of a stage means that one alone.
const StagesFigure = "stages"

// Figure is a number of each trial, in seconds.
type Figure struct {
	Name  string // in the trial's JSON
	Title string // for people
	Of    func(Trial) *float64
}

// Figures lists them in the order of a report.
func Figures() []Figure {
	with := func(of func(*Experiment) *float64) func(Trial) *float64 {
		return func(t Trial) *float64 {
			if t.Experiment == nil {
				return nil
			}
			return of(t.Experiment)
		}
	}
	return []Figure{
		{DetectionFigure, "fault to detection", func(t Trial) *float64 { return t.DetectionSeconds }},
		{CommandFigure, "fault to first command", func(t Trial) *float64 { return t.FirstCommandSeconds }},
		{RecoveryFigure, "detection to recovery", func(t Trial) *float64 {
			if t.Experiment == nil {
				return t.recovery()
			}
			return t.RecoverySeconds
		}},
		{MoveFigure, "duration of the move", with(func(e *Experiment) *float64 { return e.MoveSeconds })},
		{TCPFigure, "TCP lost", with(func(e *Experiment) *float64 { return e.TCPLostSeconds })},
		{PingFigure, "ping lost", with(func(e *Experiment) *float64 { return e.PingLostSeconds })},
		{DownFigure, "SQL Server down", func(t Trial) *float64 { return t.SQLDownSeconds }},
		{StopFigure, "service stopped (event log)", with(func(e *Experiment) *float64 { return e.ServiceStopSeconds })},
		{StartFigure, "service started (event log)", with(func(e *Experiment) *float64 { return e.ServiceStartSeconds })},
	}
}

// Key is what the trials of a group have in common. Clock, Era and Ladder are empty for a demo's trials, which do not
// say them.
type Key struct {
	Configuration, Era, Profile, Ladder, Clock string
	Scenario, Fault                            string
}

// Group is the trials that repeat one experiment, and their statistics.
type Group struct {
	Key
	Title  string  // of the scenario; the fault where it has none
	Class  string  // of fault
	Trials []Trial // as they stand in the report
	Places []int   // where each stands in the report, from 0
	// Figures are as in the function of that name, Stages as the trials name them, each in its first trial's order.
	Figures, Stages []Statistic
}

// Statistic is one figure over the trials of a group. What no trial knows has no mean: it is null, never zero.
type Statistic struct {
	Name, Title string
	Samples     []float64 // each known value, in the order of the trials
	Unknown     int       // trials in which it never came
	// Mean and the others are of Samples; the median of an even number is the mean of the two in the middle.
	Mean, Median, Minimum, Maximum *float64
	// Given are the places in Report.Given, from 0, of the parameters that set a part of it: where there is one, the
	// figure agrees with nothing.
	Given []int
}

// Statistics groups the report's trials by configuration, era, profile, ladder, clock and fault, in the order in which
// each group first comes, and computes every figure. A real clock's trials and a virtual one's are never mixed.
func Statistics(r Report) []Group {
	place := map[Key]int{}
	var groups []Group
	for n, t := range r.Trials {
		k := KeyOf(t)
		i, ok := place[k]
		if !ok {
			i = len(groups)
			place[k] = i
			groups = append(groups, Group{Key: k, Title: t.Fault})
			if t.Experiment != nil {
				groups[i].Title, groups[i].Class = cmp.Or(t.Title, t.Fault), t.Class
			}
		}
		groups[i].Trials, groups[i].Places = append(groups[i].Trials, t), append(groups[i].Places, n)
	}
	for i := range groups {
		g := &groups[i]
		for _, f := range Figures() {
			s := statistic(f, g.Trials)
			s.Given = r.GivenOf(f.Name, g.Key)
			g.Figures = append(g.Figures, s)
		}
		for _, name := range stages(g.Trials) {
			s := statistic(Figure{Name: name, Title: name, Of: func(t Trial) *float64 { return stage(t, name) }}, g.Trials)
			s.Given = r.GivenOfStage(name, g.Key)
			g.Stages = append(g.Stages, s)
		}
	}
	return groups
}

// GivenOf are the places, from 0, of the given parameters that set a part of a figure in a world.
func (r Report) GivenOf(figure string, in Key) []int {
	var places []int
	for n, g := range r.Given {
		if g.about(in) && slices.Contains(g.Sets, figure) {
			places = append(places, n)
		}
	}
	return places
}

// GivenOfStage is GivenOf for a stage of our chain: those that name it, and those that name all stages.
func (r Report) GivenOfStage(name string, in Key) []int {
	places := append(r.GivenOf(name, in), r.GivenOf(StagesFigure, in)...)
	slices.Sort(places)
	return slices.Compact(places)
}

// KeyOf tells to which group a trial belongs.
func KeyOf(t Trial) Key {
	k := Key{Configuration: t.Configuration, Profile: t.Profile, Scenario: t.Fault, Fault: t.Fault}
	if e := t.Experiment; e != nil {
		k.Era, k.Ladder, k.Clock, k.Scenario = e.Era, e.Ladder, e.Clock, cmp.Or(e.Scenario, t.Fault)
	}
	return k
}

// Figure is the group's statistic by its name in the trial's JSON; one without samples where there is none.
func (g Group) Figure(name string) Statistic {
	for _, s := range g.Figures {
		if s.Name == name {
			return s
		}
	}
	return Statistic{Name: name, Title: name, Unknown: len(g.Trials)}
}

// Failures are what did not come out as expected, each once, as the trials tell it.
func (g Group) Failures() []string {
	var all []string
	for _, t := range g.Trials {
		for _, f := range t.failures() {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// Judged reports whether anything was expected of the group: a demo's trials are judged elsewhere.
func (g Group) Judged() bool {
	return slices.ContainsFunc(g.Trials, func(t Trial) bool { return t.Experiment != nil })
}

// PaperExperiment reports whether the group repeats what the white paper measured: its fault of a service, and nothing
// else broken.
func (g Group) PaperExperiment() bool {
	rows := PaperRows()
	return rows[len(rows)-1].Plays(g.Trials[0])
}

func (t Trial) failures() []string {
	if t.Experiment == nil {
		return nil
	}
	return t.Experiment.Failures
}

func statistic(f Figure, trials []Trial) Statistic {
	s := Statistic{Name: f.Name, Title: f.Title}
	for _, t := range trials {
		if v := f.Of(t); v != nil {
			s.Samples = append(s.Samples, *v)
		} else {
			s.Unknown++
		}
	}
	n := len(s.Samples)
	if n == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(s.Samples))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	mean, median := sum/float64(n), (sorted[(n-1)/2]+sorted[n/2])/2
	s.Mean, s.Median, s.Minimum, s.Maximum = &mean, &median, &sorted[0], &sorted[n-1]
	return s
}

// stages are the names of the stages, each once, in the order in which the trials have them.
func stages(trials []Trial) []string {
	var names []string
	for _, t := range trials {
		if t.Experiment == nil {
			continue
		}
		for _, s := range t.Stages {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// stage is how long the stages of one name took together; null where the trial has none.
func stage(t Trial, name string) *float64 {
	if t.Experiment == nil {
		return nil
	}
	var sum *float64
	for _, s := range t.Stages {
		if s.Name == name {
			d := s.Until - s.From
			if sum != nil {
				d += *sum
			}
			sum = &d
		}
	}
	return sum
}

// ConfigurationTitle is a configuration's name for people.
func ConfigurationTitle(name string) string { return strings.ReplaceAll(name, "-", " ") }
