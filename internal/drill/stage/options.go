package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// healCleanStop is the policy under which even a clean stop is healed; the only one that the demo knows by name.
const healCleanStop = "heal-clean-stop"

// DemoOptions are what the demo's reader may choose.
type DemoOptions struct {
	Fault  string // one of DemoFaults
	Policy string // empty or heal-clean-stop
	Keep   string // KEEP=1
	Dir    string
	ProgramOptions
}

// ProgramOptions say where the programs are that a stage starts.
type ProgramOptions struct {
	BinDir string // of our own programs; beside this one where empty

	Prometheus, Promtool, Alertmanager string
}

// ProgramFlags adds the flags of the programs. Each of others' can be given by the environment too, as make does.
func ProgramFlags(c *kingpin.CmdClause) *ProgramOptions {
	o := &ProgramOptions{}
	o.flags(c)
	return o
}

func (o *ProgramOptions) flags(c *kingpin.CmdClause) {
	c.Flag("programs", "Folder of Hypervigil's programs; that of this program where absent.").StringVar(&o.BinDir)
	c.Flag("prometheus", "Path of prometheus.").Envar("PROMETHEUS").Default("prometheus").StringVar(&o.Prometheus)
	c.Flag("promtool", "Path of promtool.").Envar("PROMTOOL").Default("promtool").StringVar(&o.Promtool)
	c.Flag("alertmanager", "Path of alertmanager.").Envar("ALERTMANAGER").Default("alertmanager").StringVar(&o.Alertmanager)
}

// DemoFaults are those that the demo knows the end of: one of each way in which SQL Server is lost. The drill has them all.
func DemoFaults() []string {
	return []string{model.ServiceCrash, model.ServiceStop, model.SQLHang, model.GuestCrash, model.GuestHang, model.HostPowerOff, model.LANBoard}
}

// DemoFlags adds the demo's flags. Each can be given by the environment too, as make does.
func DemoFlags(c *kingpin.CmdClause) *DemoOptions {
	o := &DemoOptions{}
	c.Flag("fault", "What to do to SQL01: "+strings.Join(DemoFaults(), ", ")+".").Envar("FAULT").Default(model.ServiceCrash).StringVar(&o.Fault)
	c.Flag("policy", "heal-clean-stop heals even what somebody stopped on purpose.").Envar("POLICY").StringVar(&o.Policy)
	c.Flag("keep", "1: inject nothing, leave everything running, report what is done from outside.").Envar("KEEP").StringVar(&o.Keep)
	c.Flag("dir", "Folder for the report, logs and configurations.").Default(filepath.Join("build", "demo")).StringVar(&o.Dir)
	o.flags(c)
	return o
}

// validate reports what cannot be meant, before anything is started.
func (o DemoOptions) validate() error {
	var errs []error
	if !slices.Contains(DemoFaults(), o.Fault) {
		errs = append(errs, fmt.Errorf("FAULT=%s is not a fault; use one of %s", o.Fault, strings.Join(DemoFaults(), ", ")))
	}
	if o.Policy != "" && o.Policy != healCleanStop {
		errs = append(errs, fmt.Errorf("POLICY=%s is not a policy of the demo; use %s, or none", o.Policy, healCleanStop))
	}
	if !slices.Contains([]string{"", "0", "1"}, o.Keep) {
		errs = append(errs, fmt.Errorf("KEEP=%s is not understood; use 1, or none", o.Keep))
	}
	return errors.Join(errs...)
}

func (o DemoOptions) keeps() bool { return o.Keep == "1" }

// Programs finds the programs. It does not look whether they are there.
func (o ProgramOptions) Programs() (Programs, error) {
	dir := o.BinDir
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return Programs{}, fmt.Errorf("find the folder of hypervigil-lab: %w", err)
		}
		dir = filepath.Dir(self)
	}
	p := Ours(dir)
	p.Prometheus, p.Promtool, p.Alertmanager = o.Prometheus, o.Promtool, o.Alertmanager
	return p, nil
}
