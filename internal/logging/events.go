package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// EventKind is how Windows' event log sorts entries; its number is the event's id.
type EventKind uint32

// The kinds of events.
const (
	EventInfo    EventKind = 1
	EventWarning EventKind = 2
	EventError   EventKind = 3
)

// EventSink takes one line of the log.
type EventSink interface {
	Event(kind EventKind, line string) error
}

// maxEvent bounds a line: ReportEventW takes strings of up to 31,839 characters (learn.microsoft.com, ReportEventW,
// lpStrings).
const maxEvent = 31000

// NewEvents returns what New returns, with an event for each line instead of a line of a file.
func (f Flags) NewEvents(sink EventSink) (log.Logger, *slog.Logger) {
	return f.over(log.LoggerFunc(func(keyvals ...any) error {
		var line bytes.Buffer
		if err := f.lines(&line).Log(keyvals...); err != nil {
			return err
		}
		return sink.Event(kindOf(keyvals), eventText(line.String()))
	}))
}

// kindOf finds the level among the keys.
func kindOf(keyvals []any) EventKind {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] == level.Key() {
			switch keyvals[i+1] {
			case level.ErrorValue():
				return EventError
			case level.WarnValue():
				return EventWarning
			}
		}
	}
	return EventInfo
}

// eventText makes a line fit for an event: no zero, which ends a string of Windows', and not too long.
func eventText(line string) string {
	line = strings.ReplaceAll(strings.TrimSpace(line), "\x00", `\x00`)
	if len(line) <= maxEvent {
		return line
	}
	line = line[:maxEvent]
	for !utf8.ValidString(line) && len(line) > maxEvent-utf8.UTFMax {
		line = line[:len(line)-1]
	}
	return line + " …"
}
