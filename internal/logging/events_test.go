package logging

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log/level"
	"github.com/google/go-cmp/cmp"
)

type event struct {
	Kind EventKind
	Line string
}

type sink struct{ all []event }

func (s *sink) Event(kind EventKind, line string) error {
	s.all = append(s.all, event{kind, line})
	return nil
}

func parsed(t *testing.T, args ...string) Flags {
	t.Helper()
	app := kingpin.New("test", "")
	flags := AddFlags(app)
	if _, err := app.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var s sink
	logger, slogger := parsed(t).NewEvents(&s)
	level.Debug(logger).Log("msg", "not wanted")
	level.Info(logger).Log("msg", "an info")
	level.Warn(logger).Log("msg", "a warning")
	level.Error(logger).Log("msg", "an error")
	slogger.Debug("not wanted")
	slogger.Warn("of a library")
	slogger.Error("worse of a library")
	var got []event
	for _, e := range s.all {
		_, msg, _ := strings.Cut(e.Line, " msg=")
		got = append(got, event{e.Kind, msg})
	}
	want := []event{
		{EventInfo, `"an info"`},
		{EventWarning, `"a warning"`},
		{EventError, `"an error"`},
		{EventWarning, `"of a library"`},
		{EventError, `"worse of a library"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEventsInJSON(t *testing.T) {
	t.Parallel()
	var s sink
	logger, _ := parsed(t, "--log.format=json", "--log.level=debug").NewEvents(&s)
	level.Debug(logger).Log("msg", "wanted")
	if len(s.all) != 1 || s.all[0].Kind != EventInfo || !json.Valid([]byte(s.all[0].Line)) {
		t.Errorf("%+v", s.all)
	}
}

func TestEventText(t *testing.T) {
	t.Parallel()
	if got, want := eventText("a\x00b\n"), `a\x00b`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for cut := range 4 {
		long := strings.Repeat("x", maxEvent-cut) + strings.Repeat("😀", 10)
		got := eventText(long)
		if !utf8.ValidString(got) || len(got) > maxEvent+len(" …") || !strings.HasPrefix(long, strings.TrimSuffix(got, " …")) || !strings.HasSuffix(got, " …") {
			t.Errorf("a character that begins %d before the limit: %d bytes ending in %q", cut, len(got), got[len(got)-12:])
		}
	}
}
