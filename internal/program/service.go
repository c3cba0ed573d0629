package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/hypervigil/hypervigil/internal/winservice"
)

// serviceTimeout bounds how long start and stop wait for the service.
const serviceTimeout = 90 * time.Second

// service are the commands of the Windows service.
type service struct {
	install, start, stop, remove, run *kingpin.CmdClause
	account                           *string
}

func addService(app *kingpin.Application) service {
	parent := app.Command("service", "The Windows service of this program. Elsewhere these commands say so and do nothing.")
	s := service{
		install: parent.Command("install", "Install the service; it starts with Windows, with the flags that stand beside this command."),
		start:   parent.Command("start", "Start the service, and wait until it runs."),
		stop:    parent.Command("stop", "Stop the service, and wait until it has ended."),
		remove:  parent.Command("remove", "Remove the stopped service and its source in the event log."),
		run:     parent.Command("run", "What Windows' service control manager starts; nobody else can."),
	}
	s.account = s.install.Flag("account", "Account without a password of its own: DOMAIN\\name$ (a group managed service account), NT AUTHORITY\\NetworkService, or the service's own virtual account where this is not given.").String()
	return s
}

// do carries out a command and returns what to say of it.
func (s service) do(p *Program, command string, args []string, serve Serve) (string, error) {
	if command == s.run.FullCommand() {
		if err := p.serveService(serve); err != nil {
			return "", fmt.Errorf("%s %s: %w", p.Name, command, err)
		}
		return "", nil
	}
	done, err := s.manage(p, command, args)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", p.Name, command, err)
	}
	return done, nil
}

func (s service) manage(p *Program, command string, args []string) (done string, err error) {
	m, disconnect, err := winservice.Connect()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, disconnect()) }()
	ctx, cancel := context.WithTimeout(context.Background(), serviceTimeout)
	defer cancel()
	switch command {
	case s.install.FullCommand():
		parsed, err := p.ParseContext(args)
		if err != nil {
			return "", err
		}
		path, err := os.Executable()
		if err != nil {
			return "", err
		}
		spec, err := s.spec(p, parsed, path, filepath.Abs)
		if err != nil {
			return "", err
		}
		return "installed: " + winservice.CommandLine(spec.Path, spec.Args), winservice.Install(m, spec)
	case s.start.FullCommand():
		return "the service runs", winservice.Launch(ctx, m, p.Name)
	case s.stop.FullCommand():
		return "the service has stopped", winservice.Halt(ctx, m, p.Name)
	default:
		return "the service is removed", winservice.Remove(m, p.Name)
	}
}

// paths are the flags that name files. A service's working directory is the system's, so that they are made absolute.
func paths() []string { return []string{"config.file", "web.config.file"} }

// spec is the service of a parsed command line: the program's own flags, in their order, and none that is about the
// installation itself.
func (s service) spec(p *Program, parsed *kingpin.ParseContext, path string, absolute func(string) (string, error)) (winservice.Spec, error) {
	spec := winservice.Spec{
		Name: p.Name, DisplayName: "Hypervigil (" + p.Name + ")", Description: p.description, Path: path,
		Args: []string{"service", "run"}, Account: *s.account,
	}
	if spec.Account == "" {
		spec.Account = winservice.DefaultAccount(p.Name)
	}
	named := false
	add := func(name, value string) error {
		if slices.Contains(paths(), name) && value != "" {
			var err error
			if value, err = absolute(value); err != nil {
				return err
			}
		}
		spec.Args = append(spec.Args, "--"+name+"="+value)
		return nil
	}
	for _, e := range parsed.Elements {
		flag, ok := e.Clause.(*kingpin.FlagClause)
		if !ok || e.Value == nil || flag == s.install.GetFlag("account") {
			continue
		}
		m := flag.Model()
		named = named || m.Name == "config.file"
		switch {
		case !m.IsBoolFlag():
			if err := add(m.Name, *e.Value); err != nil {
				return spec, err
			}
		case *e.Value == "true":
			spec.Args = append(spec.Args, "--"+m.Name)
		default:
			spec.Args = append(spec.Args, "--no-"+m.Name)
		}
	}
	if !named { // the default is relative
		if err := add("config.file", *p.file); err != nil {
			return spec, err
		}
	}
	return spec, nil
}

// serveService is serve with the service control manager in the place of signals, and the event log in that of standard
// error, which a service has none of.
func (p *Program) serveService(serve Serve) (err error) {
	sink, end, err := winservice.Events(p.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	logger, slogger := p.logs.NewEvents(sink)
	return winservice.Serve(p.Name, func(ctx context.Context, ready func(), reload <-chan os.Signal) error {
		err := serve(ctx, p.run(logger, slogger, reload, ready))
		code(logger, p.Name, err)
		return err
	})
}
