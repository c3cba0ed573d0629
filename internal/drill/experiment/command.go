package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/render"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// Options are what the drill's reader may choose.
type Options struct {
	Faults         []string // names of shipped scenarios
	All            bool
	File           string // a scenario of the reader's own
	Configurations []string
	Eras           []string
	Profile        string // empty: paper in virtual time, quick on the real clock
	Clock          string // empty: both with All, otherwise the real one
	Trials         int
	Out            string
	List           bool

	programs *stage.ProgramOptions
}

// Flags adds the drill's flags.
func Flags(c *kingpin.CmdClause) *Options {
	o := &Options{}
	c.Flag("fault", "Play this scenario; may be given several times. --list shows them.").StringsVar(&o.Faults)
	c.Flag("all", "Play every row of the table in virtual time, and one of each class and configuration on the real clock.").BoolVar(&o.All)
	c.Flag("scenario", "Play a scenario file of your own.").PlaceHolder("FILE").StringVar(&o.File)
	c.Flag("configuration", "Only in this one, of "+strings.Join(drill.Configurations(), ", ")+"; may be given several times.").EnumsVar(&o.Configurations, drill.Configurations()...)
	c.Flag("era", "Only in this one, of "+strings.Join(drill.Eras(), ", ")+"; may be given several times.").EnumsVar(&o.Eras, drill.Eras()...)
	c.Flag("profile", "Durations that are given: paper or quick. Where absent, paper in virtual time and quick on the real clock.").EnumVar(&o.Profile, model.Paper().Name, model.Quick().Name)
	c.Flag("clock", "virtual: decisions over the lab's model, as fast as they can be computed. real: the programs as they are shipped. Where absent, both with --all, otherwise real.").EnumVar(&o.Clock, drill.VirtualClock, drill.RealClock, bothClocks)
	c.Flag("trials", "How often each row is repeated.").Default("1").IntVar(&o.Trials)
	c.Flag("out", "Folder for report.json, .txt, .md and .html, and for what the programs wrote.").Default(filepath.Join("build", "drill")).StringVar(&o.Out)
	c.Flag("list", "List the scenarios, and play none.").BoolVar(&o.List)
	o.programs = stage.ProgramFlags(c)
	return o
}

const bothClocks = "both"

// ErrDiffers is the error of a drill in which a row did not hold.
var ErrDiffers = errors.New("what happened is not what is expected")

// Run plays what the options name, tells how far it is, and writes the reports. It returns ErrDiffers where a row did not
// hold; the reports are written then, too.
func (o *Options) Run(ctx context.Context, out io.Writer) error {
	scenarios, err := drill.Scenarios()
	if err != nil {
		return err
	}
	if o.List {
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-26s %s\n", s.Name, s.Title)
		}
		return nil
	}
	plan, notes, err := o.plan(scenarios)
	if err != nil {
		return err
	}
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	p := &progress{out: out, left: plan, began: time.Now()}
	r := drill.Report{
		Program: "hypervigil-lab " + version.Info(), Machine: fmt.Sprintf("%d processors, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH),
		Command: o.command(), Began: p.began.UTC().Format(time.RFC3339),
	}
	fmt.Fprintf(out, "%d trials, about %s.\n", len(plan), p.remaining())
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	on := &real{dir: o.Out, out: out}
	if slices.ContainsFunc(plan, func(c setting) bool { return c.Clock == drill.RealClock }) {
		if on.programs, err = o.programs.Programs(); err != nil {
			return err
		}
	}
	r.Trials, err = playAll(ctx, plan, on, p)
	if err != nil && len(r.Trials) == 0 {
		return err
	}
	r.Given = givenOf(plan, on.given)
	if err := errors.Join(err, writeReports(o.Out, "report", r)); err != nil {
		return err
	}
	if err := render.Text(out, r); err != nil {
		return err
	}
	if err := o.as2010(out, plan, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe whole report: %s\n", filepath.Join(o.Out, "report.html"))
	return differences(r)
}

// differences is the error that names every row that did not hold.
func differences(r drill.Report) error {
	var errs []error
	for _, t := range r.Trials {
		for _, f := range t.Failures {
			errs = append(errs, fmt.Errorf("%w: %s: %s", ErrDiffers, title(t), f))
		}
	}
	return errors.Join(errs...)
}

// title names a trial.
func title(t drill.Trial) string {
	return fmt.Sprintf("%s in %s, era %s, %s clock, trial %d", t.Scenario, t.Configuration, t.Era, t.Clock, t.Repetition)
}

// command is what repeats the run.
func (o *Options) command() string {
	words := []string{"hypervigil-lab", "drill"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag+"="+value)
		}
	}
	for _, f := range o.Faults {
		add("fault", f)
	}
	if o.All {
		words = append(words, "--all")
	}
	add("scenario", o.File)
	for _, c := range o.Configurations {
		add("configuration", c)
	}
	for _, e := range o.Eras {
		add("era", e)
	}
	add("profile", o.Profile)
	add("clock", o.Clock)
	add("trials", fmt.Sprint(o.Trials))
	return strings.Join(words, " ")
}

// writeReports writes a report in each of its forms.
func writeReports(dir, name string, r drill.Report) error {
	errs := []error{r.Write(filepath.Join(dir, name+".json"))}
	for _, form := range []struct {
		ext  string
		draw func(io.Writer, drill.Report) error
	}{{".txt", render.Text}, {".md", render.Markdown}, {".html", render.HTML}} {
		path := filepath.Join(dir, name+form.ext)
		f, err := os.Create(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, form.draw(f, r), f.Close())
	}
	return errors.Join(errs...)
}

// givenOf are the parameters that were put into the settings' trials.
func givenOf(plan []setting, of []drill.Given) []drill.Given {
	var list []drill.Given
	var profiles, eras []string
	clocks := map[string]bool{}
	for _, c := range plan {
		clocks[c.Clock] = true
		if !slices.Contains(profiles, c.Profile.Name) {
			profiles = append(profiles, c.Profile.Name)
		}
		if !slices.Contains(eras, c.Era) {
			eras = append(eras, c.Era)
		}
	}
	for _, name := range profiles {
		if p, err := model.ProfileNamed(name); err == nil {
			list = append(list, given(p, eras)...)
		}
	}
	if clocks[drill.VirtualClock] {
		list = append(list, ofVirtualTime())
	}
	if slices.ContainsFunc(plan, func(c setting) bool { return c.Scenario.Policy == drill.WhitePaperPolicy }) {
		list = append(list, ofLadder(drill.WhitePaperPolicy)...)
	}
	return append(list, of...)
}

// plan lists the trials, those in virtual time first. The notes say what is played otherwise than it was asked for.
func (o *Options) plan(scenarios []drill.Scenario) (list []setting, notes []string, err error) {
	chosen, err := o.choose(scenarios)
	if err != nil {
		return nil, nil, err
	}
	if o.Trials < 1 {
		return nil, nil, fmt.Errorf("--trials=%d: at least one is needed", o.Trials)
	}
	table, err := drill.Table()
	if err != nil {
		return nil, nil, err
	}
	clock := o.Clock
	if clock == "" {
		clock = drill.RealClock
		if o.All {
			clock = bothClocks
		}
	}
	var virtually, really []setting
	for _, s := range chosen {
		noted := false
		for _, c := range o.rows(s, table) {
			why := playable(s, c.Expected)
			inReal := clock != drill.VirtualClock && why == "" && (!o.All || represents(c))
			if !noted && !o.All && clock == drill.RealClock && why != "" {
				notes = append(notes, fmt.Sprintf("%s is played in virtual time alone: %s.", s.Name, why))
				noted = true
			}
			for n := range o.Trials {
				c.Repetition = n + 1
				if clock != drill.RealClock || why != "" && !o.All {
					c.Clock, c.Profile = drill.VirtualClock, o.profile(model.Paper())
					virtually = append(virtually, c)
				}
				if inReal {
					c.Clock, c.Profile = drill.RealClock, o.profile(model.Quick())
					really = append(really, c)
				}
			}
		}
	}
	if len(virtually)+len(really) == 0 {
		return nil, nil, errors.New("no row of expected.yml is both of these faults and in these configurations and eras")
	}
	// Those without a receiver come first: several of them run at once.
	slices.SortStableFunc(really, func(a, b setting) int { return cmp.Compare(boolean(a.monitored()), boolean(b.monitored())) })
	return append(virtually, really...), notes, nil
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o *Options) profile(fallback model.Profile) model.Profile {
	if p, err := model.ProfileNamed(o.Profile); err == nil {
		return p
	}
	return fallback
}

// choose finds the scenarios that are meant.
func (o *Options) choose(scenarios []drill.Scenario) ([]drill.Scenario, error) {
	var list []drill.Scenario
	if o.All {
		list = append(list, scenarios...)
	}
	for _, name := range o.Faults {
		i := slices.IndexFunc(scenarios, func(s drill.Scenario) bool { return s.Name == name })
		if i < 0 {
			var names []string
			for _, s := range scenarios {
				names = append(names, s.Name)
			}
			return nil, fmt.Errorf("--fault=%s is no scenario; use one of %s", name, strings.Join(names, ", "))
		}
		list = append(list, scenarios[i])
	}
	if o.File != "" {
		b, err := os.ReadFile(o.File)
		if err != nil {
			return nil, err
		}
		s, err := drill.ParseScenario(o.File, b)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, errors.New("nothing to play; use --fault=NAME, --scenario=FILE or --all")
	}
	return list, nil
}

// rows are a scenario's, within the chosen configurations and eras. One of which nothing is expected is played in each.
func (o *Options) rows(s drill.Scenario, table []drill.Expected) []setting {
	in := func(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
	expected := s.Expectations()
	if len(expected) == 0 {
		for _, e := range table {
			if e.Fault == s.Name {
				expected = append(expected, e)
			}
		}
	}
	var list []setting
	for _, e := range expected {
		if in(o.Configurations, e.Configuration) && in(o.Eras, e.Era) {
			list = append(list, setting{Scenario: s, Configuration: e.Configuration, Era: e.Era, Expected: &e})
		}
	}
	if len(expected) > 0 {
		return list
	}
	for _, c := range drill.Configurations() {
		for _, e := range drill.Eras() {
			if in(o.Configurations, c) && in(o.Eras, e) {
				list = append(list, setting{Scenario: s, Configuration: c, Era: e})
			}
		}
	}
	return list
}

// represents reports whether a row is its class' on the real clock: one scenario of each class, in today's era, and the
// plainest of those in which nothing is wrong with SQL Server.
func represents(c setting) bool {
	ofClass := map[string]string{
		"service": serviceCrash, "hang": "sql-hang", "guest": "guest-crash", "network": "lan-board", "host": powerOff,
		"storage": "volume-lost", "resource": "guest-starved", "internal": "sql-internal", "database": "database-suspect", "": "monitor-password",
	}
	return c.Era == drill.EraToday && ofClass[c.Scenario.Class] == c.Scenario.Name
}

// The scenarios of the white paper's measurement, and of the fault that it found in itself: two failovers.
const (
	serviceCrash = "service-crash"
	powerOff     = "host-power-off"
)

// as2010 plays what the white paper played with the receiver of 2010, beside ours, and writes a report of its own: the other
// one holds what is ours alone.
func (o *Options) as2010(out io.Writer, plan []setting, r drill.Report) error {
	v := &virtual{}
	both := r
	both.Trials, both.Given = nil, append(slices.Clip(r.Given), ofLadder(named2010)...)
	for _, name := range []string{serviceCrash, powerOff} {
		i := slices.IndexFunc(plan, func(c setting) bool { return c.Scenario.Name == name && c.monitored() })
		if i < 0 {
			continue
		}
		theirs := len(both.Trials)
		for n := range max(o.Trials, 3) {
			c := of2010(setting{Scenario: plan[i].Scenario, Clock: drill.VirtualClock, Profile: model.Paper(), Repetition: n + 1})
			t, err := v.play(c)
			if err != nil {
				return fmt.Errorf("the receiver of 2010: %w", err)
			}
			both.Trials = append(both.Trials, t)
		}
		ours := len(both.Trials)
		for _, t := range r.Trials {
			if t.Scenario == name && t.Configuration == drill.MonitoredHostCluster {
				both.Trials = append(both.Trials, t)
			}
		}
		fmt.Fprintf(out, "\n%s: with the receiver of 2010 (no G10, G12, G17) %s; with ours %s.", plan[i].Scenario.Title, came(both.Trials[theirs:ours]), came(both.Trials[ours:]))
	}
	if len(both.Trials) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nBoth beside each other: %s\n", filepath.Join(o.Out, "2010.html"))
	return writeReports(o.Out, "2010", both)
}

// came says what trials came to: failovers at most, and how long SQL Server was down.
func came(trials []drill.Trial) string {
	failovers, n, least, most := 0, 0, 0.0, 0.0
	for _, t := range trials {
		failovers = max(failovers, t.FailoversByCluster+t.FailoversCommanded)
		if d := t.SQLDownSeconds; d != nil {
			if n == 0 || *d < least {
				least = *d
			}
			n, most = n+1, max(most, *d)
		}
	}
	if n == 0 {
		return fmt.Sprintf("failovers %d, and SQL Server not back", failovers)
	}
	return fmt.Sprintf("failovers %d, down %.0f to %.0f s", failovers, least, most)
}
