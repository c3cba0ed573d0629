package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	promconfig "github.com/prometheus/common/config"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/internal/drill/onsite"
	"github.com/hypervigil/hypervigil/internal/drill/render"
)

// drillFlags are the flags of "drill" that onsite.Options do not take as they are.
type drillFlags struct {
	file, vm, confirm, shape, out string
	receiver, receiverHTTP        string
	prometheus, prometheusHTTP    string
	credential, database          string
	o                             onsite.Options
	rows                          int
	hold                          time.Duration
}

// addDrill adds "drill".
func addDrill(ctx context.Context, app *kingpin.Application, commands map[string]func() error, stdin io.Reader, stdout io.Writer) {
	var f drillFlags
	c := app.Command("drill", "Measure a fault on a real cluster: you make it when you are asked, everything else is measured. Sends no command; what acts is the receiver, as far as its policy lets it. Refuses to begin unless its checks pass.")
	c.Flag("config", "Path of hypervigil.yml.").Default("hypervigil.yml").StringVar(&f.file)
	c.Flag("vm", "The virtual machine, as CLUSTER/VM.").Required().StringVar(&f.vm)
	c.Flag("confirm", "The virtual machine once more.").Required().StringVar(&f.confirm)
	c.Flag("instance", "The instance of SQL Server, where there are several.").StringVar(&f.o.Instance)
	c.Flag("fault", "What you will do: "+strings.Join(onsite.Faults(), ", ")+".").Required().EnumVar(&f.o.Fault, onsite.Faults()...)
	c.Flag("era", "What the cluster does by itself: that of Windows Server 2008 R2, or today's. It chooses the expectation that the report shows.").Default(drill.EraToday).EnumVar(&f.o.Era, drill.Eras()...)
	c.Flag("receiver.url", "URL of the receiver's web listener.").Default(defaultReceiver).Envar("HYPERVIGIL_RECEIVER_URL").StringVar(&f.receiver)
	c.Flag("http.config.file", "Prometheus' HTTP client configuration, for a receiver that wants TLS or a password.").StringVar(&f.receiverHTTP)
	c.Flag("prometheus.url", "URL of Prometheus.").Default("http://127.0.0.1:9090").StringVar(&f.prometheus)
	c.Flag("prometheus.http.config.file", "Prometheus' HTTP client configuration, for a Prometheus that wants TLS or a password.").StringVar(&f.prometheusHTTP)
	c.Flag("load.database", "The database in which the load makes its two tables, and removes them. Not tempdb, nor another of SQL Server's own.").Required().StringVar(&f.database)
	c.Flag("load.credential", "The credential of hypervigil.yml that the load logs in with; the instance's own where absent. It needs db_ddladmin, db_datareader and db_datawriter in that database.").StringVar(&f.credential)
	c.Flag("load.shape", "Transactions of one row each, or of every row of the table.").Default(load.Short.String()).EnumVar(&f.shape, load.Short.String(), load.Long.String())
	c.Flag("load.rows", "Rows of the tables; 1 or 10,000 by the shape where absent.").IntVar(&f.rows)
	c.Flag("load.hold", "How long each transaction stays open.").DurationVar(&f.hold)
	c.Flag("patience", "How long after the fault an incident may take to come.").Default("5m").DurationVar(&f.o.Patience)
	c.Flag("bound", "How long the whole trial may take.").Default("30m").DurationVar(&f.o.Bound)
	c.Flag("out", "Folder for report.json, report.html and report.md.").Required().StringVar(&f.out)
	commands[c.FullCommand()] = func() error {
		f.o.In, f.o.Out, f.o.Logger = stdin, stdout, log.NewNopLogger()
		return f.run(ctx, stdout)
	}
}

// run checks the flags, makes the drill and writes its report.
func (f *drillFlags) run(ctx context.Context, stdout io.Writer) error {
	if f.vm != f.confirm {
		return fmt.Errorf("--vm %s and --confirm %s are two machines; name the one that is to suffer twice", f.vm, f.confirm)
	}
	var ok bool
	if f.o.Cluster, f.o.VM, ok = strings.Cut(f.vm, "/"); !ok || f.o.Cluster == "" || f.o.VM == "" {
		return fmt.Errorf("--vm %q: use CLUSTER/VM", f.vm)
	}
	var err error
	if f.o.Config, err = config.Load(f.file); err != nil {
		return err
	}
	shape, err := load.ShapeNamed(f.shape)
	if err != nil {
		return err
	}
	f.o.Load = onsite.Load{Credential: f.credential, Database: f.database, Shape: shape, Rows: f.rows, Hold: f.hold}
	if f.o.Endpoints.Receiver, f.o.Endpoints.Clients.Receiver, err = endpoint("--receiver.url", f.receiver, "--http.config.file", f.receiverHTTP); err != nil {
		return err
	}
	if f.o.Endpoints.Prometheus, f.o.Endpoints.Clients.Prometheus, err = endpoint("--prometheus.url", f.prometheus, "--prometheus.http.config.file", f.prometheusHTTP); err != nil {
		return err
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return err
	}
	f.o.Command = fmt.Sprintf("%s drill --vm %s --confirm %s --fault %s --load.database %s --load.shape %s", program, f.vm, f.confirm, f.o.Fault, f.database, f.shape)
	report, err := onsite.Run(ctx, f.o)
	if len(report.Trials) > 0 {
		err = errors.Join(err, f.write(report, stdout))
	}
	if err != nil {
		return err
	}
	if failures := report.Trials[0].Failures; len(failures) > 0 {
		return fmt.Errorf("the trial did not come out as it must: %s", strings.Join(failures, "; "))
	}
	return nil
}

// write writes the report in each of its forms.
func (f *drillFlags) write(r drill.Report, stdout io.Writer) error {
	if err := r.Write(filepath.Join(f.out, "report.json")); err != nil {
		return err
	}
	for name, form := range map[string]func(io.Writer, drill.Report) error{"report.html": render.HTML, "report.md": render.Markdown} {
		file, err := os.Create(filepath.Join(f.out, name))
		if err != nil {
			return err
		}
		if err := errors.Join(form(file, r), file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", file.Name(), err)
		}
	}
	fmt.Fprintln(stdout)
	if err := render.Text(stdout, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "\nThe report: %s\n", filepath.Join(f.out, "report.html"))
	return err
}

// endpoint is a base URL and the client to ask it with. A password belongs into the file: addresses stand in errors.
func endpoint(flag, address, fileFlag, file string) (string, *http.Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return "", nil, fmt.Errorf("%s is no address; use http://host:port or https://host:port, and %s for a password", flag, fileFlag)
	}
	settings := &promconfig.HTTPClientConfig{}
	if file != "" {
		if settings, _, err = promconfig.LoadHTTPConfigFile(file); err != nil {
			return "", nil, fmt.Errorf("read %s %s: %w", fileFlag, file, err)
		}
	}
	client, err := promconfig.NewClientFromConfig(*settings, program)
	if err != nil {
		return "", nil, fmt.Errorf("use %s: %w", fileFlag, err)
	}
	return strings.TrimSuffix(address, "/"), client, nil
}
