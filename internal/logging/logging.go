// Package logging makes the one logger of each program, and the slog handle over it that some libraries want. The
// logger is safe for concurrent use.
package logging

import (
	"io"
	"log/slog"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// Flags are what an operator may choose.
type Flags struct{ level, format *string }

// AddFlags adds --log.level and --log.format, named as Prometheus' programs name them.
func AddFlags(app *kingpin.Application) Flags {
	return Flags{
		level:  app.Flag("log.level", "Only log messages of this level or above: debug, info, warn, error.").Default("info").Enum("debug", "info", "warn", "error"),
		format: app.Flag("log.format", "Format of log messages: logfmt or json.").Default("logfmt").Enum("logfmt", "json"),
	}
}

// New returns the logger and its slog handle, once the flags are parsed.
func (f Flags) New(w io.Writer) (log.Logger, *slog.Logger) {
	return f.over(f.lines(log.NewSyncWriter(w)))
}

// lines returns the logger that writes lines in the format that was chosen.
func (f Flags) lines(w io.Writer) log.Logger {
	if *f.format == "json" {
		return log.NewJSONLogger(w)
	}
	return log.NewLogfmtLogger(w)
}

// over filters by the level that was chosen.
func (f Flags) over(bare log.Logger) (log.Logger, *slog.Logger) {
	var lowest slog.LevelVar
	if err := lowest.UnmarshalText([]byte(*f.level)); err != nil {
		lowest.Set(slog.LevelInfo) // the flag is an enumeration; this cannot be
	}
	filtered := level.NewFilter(bare, level.Allow(level.ParseDefault(*f.level, level.InfoValue())))
	return log.With(filtered, "ts", log.DefaultTimestampUTC, "caller", log.DefaultCaller), slog.New(sloggokit.NewGoKitHandler(bare, &lowest))
}
