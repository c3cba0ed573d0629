// Package program is what the main functions of the exporter and the receiver share: their flags, what a signal means,
// the web listener, and the commands that make a Windows service of them. It starts nothing of its own but what Main is
// given, and ends when that does.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/hypervigil/hypervigil/internal/logging"
)

// Program is one of the two programs: its own flags are added to the application before Main.
type Program struct {
	*kingpin.Application
	description string
	file        *string
	check       *bool
	logs        logging.Flags
	toolkit     *web.FlagConfig
	service     service
}

// New returns a program with the flags that both have; listen is where its web listener is by default.
func New(name, description, listen string) *Program {
	app := kingpin.New(name, description)
	p := &Program{Application: app, description: description}
	p.file = app.Flag("config.file", "Path of hypervigil.yml.").Default("hypervigil.yml").String()
	p.check = app.Flag("config.check", "Check the configuration as this program uses it, and exit.").Bool()
	p.logs = logging.AddFlags(app)
	p.toolkit = kingpinflag.AddFlags(app, listen)
	app.Version(version.Print(name))
	app.HelpFlag.Short('h')
	app.Command("serve", "Serve until a signal ends it; what the program does without a command.").Default()
	p.service = addService(app)
	return p
}

// Run is what a program that serves is given.
type Run struct {
	// Config is the path of hypervigil.yml.
	Config string
	// Logger is the one logger.
	Logger log.Logger
	// WebGuarded is true where --web.config.file guards the web listener.
	WebGuarded bool

	slogger *slog.Logger
	toolkit *web.FlagConfig
	reload  <-chan os.Signal
	ready   func()
}

// Serve is a program's own part: it runs until ctx ends.
type Serve func(ctx context.Context, r *Run) error

// Main does what the arguments say and returns the exit code. check reads the configuration as the program would.
func (p *Program) Main(args []string, check func(file string) error, serve Serve) int {
	command := kingpin.MustParse(p.Parse(args))
	if *p.check {
		return p.say(errors.Join(check(*p.file), web.Validate(*p.toolkit.WebConfigFile)), *p.file+" is good for "+p.Name)
	}
	if command == "serve" {
		logger, slogger := p.logs.New(os.Stderr)
		return code(logger, p.Name, p.serve(logger, slogger, serve))
	}
	done, err := p.service.do(p, command, args, serve)
	return p.say(err, done)
}

// say prints what was done, or why it was not.
func (p *Program) say(err error, done string) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if done != "" {
		_, _ = io.WriteString(os.Stdout, done+"\n")
	}
	return 0
}

// code is the exit code; it logs why a program ended, where that was not asked for.
func code(logger log.Logger, name string, err error) int {
	if err != nil {
		level.Error(logger).Log("msg", "program stopped", "program", name, "err", err)
		return 1
	}
	return 0
}

// serve runs the program between signals: SIGHUP reads the configuration again, SIGINT and SIGTERM end it, and a second
// one ends it at once.
func (p *Program) serve(logger log.Logger, slogger *slog.Logger, serve Serve) error {
	// Before anything else: a SIGHUP sent while the program starts would end it.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return serve(ctx, p.run(logger, slogger, hangup, func() {}))
}

func (p *Program) run(logger log.Logger, slogger *slog.Logger, reload <-chan os.Signal, ready func()) *Run {
	return &Run{
		Config: *p.file, Logger: logger, WebGuarded: *p.toolkit.WebConfigFile != "",
		slogger: slogger, toolkit: p.toolkit, reload: reload, ready: ready,
	}
}
