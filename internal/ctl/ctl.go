// Package ctl is hypervigilctl: its flags, its questions to the receiver's JSON API, and how the answers read. It keeps
// nothing between two calls.
//
//	os.Exit(ctl.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/generate"
	"github.com/hypervigil/hypervigil/rules"
)

// program is the command's name.
const program = "hypervigilctl"

// The exit codes: a question that was answered, one that was not, and a call that nobody understands.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// defaultReceiver is where the receiver's web listener is by default.
const defaultReceiver = generate.DefaultReceiver

// requestTimeout bounds one question to the receiver, whose answers come from memory.
const requestTimeout = 10 * time.Second

// ended is what kingpin's own --help and --version end parsing with.
type ended struct{ code int }

// Run carries out one command line and returns the exit code. Answers go to stdout, complaints to stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	app := kingpin.New(program, "Checks Hypervigil's configuration, writes that of Prometheus and Alertmanager, and asks the receiver what it does and why.")
	app.Version(version.Print(program))
	app.HelpFlag.Short('h')
	app.UsageWriter(stdout).ErrorWriter(stderr)
	// --help and --version end the program from within the parser.
	app.Terminate(func(code int) { panic(ended{code}) })
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(ended)
			if !ok {
				panic(r)
			}
			code = e.code
		}
	}()

	commands := map[string]func() error{}
	addConfig(app, commands, stdout)
	addGenerate(app, commands, stdout)
	addBudget(app, commands, stdout)
	addReceiver(ctx, app, commands, stdout, stderr)
	addDrill(ctx, app, commands, os.Stdin, stdout)

	command, err := app.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v; try %s --help\n", program, err, program)
		return exitUsage
	}
	if err := commands[command](); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return exitError
	}
	return exitOK
}

// addConfig adds "config check".
func addConfig(app *kingpin.Application, commands map[string]func() error, stdout io.Writer) {
	group := app.Command("config", "About hypervigil.yml.")
	check := group.Command("check", "Check a hypervigil.yml: every mistake is told with its line. Secrets are not read; the programs' own --config.check does that.")
	file := check.Arg("file", "Path of the file.").Default("hypervigil.yml").String()
	commands[check.FullCommand()] = func() error {
		c, err := config.Load(*file)
		if err != nil {
			return err
		}
		nodes, vms, instances := 0, 0, 0
		for _, cl := range c.Clusters {
			nodes += len(cl.Nodes)
			vms += len(cl.VirtualMachines)
			for _, vm := range cl.VirtualMachines {
				instances += len(vm.SQLServers)
			}
		}
		_, err = fmt.Fprintf(stdout, "%s is valid: clusters %d, nodes %d, virtual machines %d, SQL Server instances %d, policies %d\n",
			*file, len(c.Clusters), nodes, vms, instances, len(c.Receiver.Policies))
		return err
	}
}

// addReceiver adds the commands that talk to the receiver.
func addReceiver(ctx context.Context, app *kingpin.Application, commands map[string]func() error, stdout, stderr io.Writer) {
	var url, httpConfig string
	var asJSON bool
	// at adds the flags that say where the receiver is.
	at := func(c *kingpin.CmdClause) *kingpin.CmdClause {
		c.Flag("receiver.url", "URL of the receiver's web listener.").Default(defaultReceiver).Envar("HYPERVIGIL_RECEIVER_URL").StringVar(&url)
		c.Flag("http.config.file", "Prometheus' HTTP client configuration, for a receiver that wants TLS or a password.").StringVar(&httpConfig)
		return c
	}
	withJSON := func(c *kingpin.CmdClause) *kingpin.CmdClause {
		c.Flag("json", "Print the receiver's own JSON.").BoolVar(&asJSON)
		return c
	}
	client := func() (*api, error) {
		settings := &promconfig.HTTPClientConfig{}
		if httpConfig != "" {
			var err error
			if settings, _, err = promconfig.LoadHTTPConfigFile(httpConfig); err != nil {
				return nil, fmt.Errorf("read --http.config.file %s: %w", httpConfig, err)
			}
		}
		return newAPI(url, *settings)
	}

	list := withJSON(at(app.Command("incidents", "List the receiver's incidents, newest first, or show one.")))
	id := list.Arg("id", "One incident.").String()
	commands[list.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		if *id == "" {
			return a.list(ctx, stdout, asJSON)
		}
		return a.show(ctx, stdout, *id, asJSON, writeIncident)
	}

	explain := withJSON(at(app.Command("explain", "Say why the receiver did what it did about one incident, or why it did nothing: each guard's verdict, and what would change it. Of a virtual machine that is well: whether it could be rescued.")))
	which := explain.Arg("id", "The incident, or a virtual machine as CLUSTER/VM or VM.").Required().String()
	commands[explain.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		return a.explain(ctx, stdout, *which, asJSON)
	}

	evidence := withJSON(at(app.Command("evidence", "Show what was read of a SQL Server, its guest and its host right before a rung that ends them: the last diagnostics, waits, what was open, the host's disks, events.")))
	evidenceOf := evidence.Arg("id", "The incident.").Required().String()
	commands[evidence.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		return a.evidence(ctx, stdout, *evidenceOf, asJSON)
	}

	replayed := withJSON(at(app.Command("replay", "Play what the receiver saw once more, through this version and, with --policy, under another configuration, and list what would have been decided differently, beside what really happened. Nothing is sent.")))
	since := replayed.Flag("since", "From when on: a time such as 2026-11-24T12:00:00Z, or how long ago, such as 24h. All that is kept where absent.").String()
	policy := replayed.Flag("policy", "A hypervigil.yml to decide by; what the receiver had then where absent.").String()
	commands[replayed.FullCommand()] = func() error {
		from, err := moments(*since, time.Now())
		if err != nil {
			return err
		}
		var cfg *config.Config
		if *policy != "" {
			if cfg, err = config.Load(*policy); err != nil {
				return err
			}
		}
		a, err := client()
		if err != nil {
			return err
		}
		return a.replay(ctx, stdout, from, cfg, asJSON)
	}

	ack := at(app.Command("ack", "Acknowledge an incident whose action did not succeed: the virtual machine's latch opens."))
	acked := ack.Arg("id", "The incident.").Required().String()
	by := ack.Flag("by", "Who acknowledges.").Default(os.Getenv("USER")).String()
	commands[ack.FullCommand()] = func() error {
		if *by == "" {
			return errors.New("say who acknowledges with --by; the environment has no USER")
		}
		a, err := client()
		if err != nil {
			return err
		}
		return a.ack(ctx, stdout, *acked, *by)
	}

	approve := at(app.Command("approve", "Approve the plan that an incident offers, once. Every guard is asked again before anything is sent."))
	approved := approve.Arg("id", "The incident.").Required().String()
	plan := approve.Flag("plan", "The plan's hash, as explain shows it: what you have looked at, and nothing else, is approved.").Required().String()
	tokenFile := approve.Flag("token-file", "File with your own token, where a client certificate does not prove who you are (receiver.approvers).").String()
	commands[approve.FullCommand()] = func() error {
		token := ""
		if *tokenFile != "" {
			s, err := (&config.Approver{TokenFile: *tokenFile}).Token()
			if err != nil {
				return fmt.Errorf("read --token-file: %w", err)
			}
			token = s.Reveal()
		}
		a, err := client()
		if err != nil {
			return err
		}
		return a.approve(ctx, stdout, *approved, *plan, token)
	}

	record := app.Command("audit", "About the record of everything that was decided and refused.")
	export := at(record.Command("export", "Write the whole record, a line of JSON each, and prove it on the way."))
	out := export.Flag("out", "File to write; standard output where absent.").String()
	commands[export.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		if *out == "" {
			return a.export(ctx, stdout, stderr)
		}
		f, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // an older record is not written over
		if err != nil {
			return err
		}
		return errors.Join(a.export(ctx, f, stdout), f.Sync(), f.Close())
	}
	verify := at(record.Command("verify", "Prove that a file holds a whole record: no line changed, dropped, swapped or put in."))
	file := verify.Arg("file", "The file.").Required().String()
	head := verify.Flag("head", "Hash that it must end with, from an export, the receiver's log or another copy: only that shows that lines at its end are missing.").String()
	live := verify.Flag("live", "Compare it with the receiver's own record too.").Bool()
	commands[verify.FullCommand()] = func() error {
		report, err := verifyFile(*file, *head, stdout)
		if err != nil || !*live {
			return err
		}
		a, err := client()
		if err != nil {
			return err
		}
		return a.compare(ctx, report, stdout)
	}

	pauses := withJSON(at(app.Command("pauses", "List the pauses in force.")))
	commands[pauses.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		return a.pauses(ctx, stdout, asJSON)
	}

	pause := at(app.Command("pause", "Stop commands for a while: for everything, a cluster, a virtual machine or one rung. What runs already is finished."))
	var p newPause
	pause.Flag("cluster", "Only for this cluster.").StringVar(&p.Cluster)
	pause.Flag("vm", "Only for this virtual machine; needs --cluster.").StringVar(&p.VM)
	pause.Flag("rung", "Only for this rung, such as restart_service.").StringVar(&p.Rung)
	pause.Flag("owner", "Who pauses.").Default(os.Getenv("USER")).StringVar(&p.Owner)
	pause.Flag("reason", "Why; the next person on call reads it.").Required().StringVar(&p.Reason)
	lasts := pause.Flag("for", "How long.").Default("4h").Duration()
	commands[pause.FullCommand()] = func() error {
		switch {
		case p.Owner == "":
			return errors.New("say who pauses with --owner; the environment has no USER")
		case *lasts <= 0:
			return fmt.Errorf("--for %v is no time; use a positive one such as 90m", *lasts)
		}
		p.ExpiresIn = lasts.String()
		a, err := client()
		if err != nil {
			return err
		}
		return a.pause(ctx, stdout, p)
	}

	resume := at(app.Command("resume", "End a pause before its time."))
	paused := resume.Arg("pause", "The pause's id, as pauses lists it.").Required().String()
	commands[resume.FullCommand()] = func() error {
		a, err := client()
		if err != nil {
			return err
		}
		return a.resume(ctx, stdout, *paused)
	}
}

// addGenerate adds "generate prometheus", "generate alertmanager" and "generate rules".
func addGenerate(app *kingpin.Application, commands map[string]func() error, stdout io.Writer) {
	group := app.Command("generate", "Write the configuration of Prometheus or Alertmanager, or the rules, that fits a hypervigil.yml.")
	var o generate.Options
	var file, speed, dir string
	common := func(c *kingpin.CmdClause) {
		c.Flag("config", "Path of hypervigil.yml.").Default("hypervigil.yml").StringVar(&file)
		c.Flag("speed", "How often Prometheus looks: standard (SQL Server every 5 s) or fast (every second).").
			Default(rules.Standard.String()).EnumVar(&speed, rules.Standard.String(), rules.Fast.String())
		c.Flag("out", "Folder to write into; standard output where absent.").StringVar(&dir)
	}
	add := func(name, help, as string, make func(*config.Config) ([]byte, error)) *kingpin.CmdClause {
		c := group.Command(name, help)
		common(c)
		commands[c.FullCommand()] = func() error {
			o.Speed = rules.Speed(speed)
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			out, err := make(cfg)
			if err != nil {
				return err
			}
			return put(stdout, dir, as, out)
		}
		return c
	}
	prometheus := add("prometheus", "Write prometheus.yml: a job for each module of the exporter and for each program of the chain, the rules, the Alertmanagers.", "prometheus.yml",
		func(c *config.Config) ([]byte, error) { return generate.Prometheus(c, o) })
	prometheus.Flag("exporter.url", "Where Prometheus reaches the exporter.").Default(generate.DefaultExporter).StringVar(&o.Exporter)
	prometheus.Flag("receiver.url", "Where Prometheus reaches the receiver's web listener.").Default(generate.DefaultReceiver).StringVar(&o.Receiver)
	prometheus.Flag("prometheus.url", "Where Prometheus reaches itself.").Default(generate.DefaultPrometheus).StringVar(&o.Prometheus)
	prometheus.Flag("ca-file", "Authority of the programs' certificates, on Prometheus' machine.").StringVar(&o.CAFile)

	alertmanager := add("alertmanager", "Write alertmanager.yml: the route that the receiver is made for, and what one alert says of another.", "alertmanager.yml",
		func(c *config.Config) ([]byte, error) { return generate.Alertmanager(c, o) })
	alertmanager.Flag("webhook.url", "Webhook of a receiver, such as https://receiver:9879/webhook; may be repeated.").StringsVar(&o.Webhooks)
	alertmanager.Flag("token-file", "File with the webhook's token on Alertmanager's machine; receiver.webhook.token_file where absent.").StringVar(&o.TokenFile)
	alertmanager.Flag("ca-file", "Authority of the webhook's certificate, on Alertmanager's machine.").StringVar(&o.CAFile)
	alertmanager.Flag("cert-file", "Alertmanager's own certificate, where the webhook demands one.").StringVar(&o.CertFile)
	alertmanager.Flag("key-file", "Its key.").StringVar(&o.KeyFile)

	add("rules", "Write the recording and alerting rules.", rules.File,
		func(*config.Config) ([]byte, error) { return rules.Generate(o.Speed) })
}
