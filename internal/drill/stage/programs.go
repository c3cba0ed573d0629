package stage

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Programs are the paths of what a stage starts.
type Programs struct {
	Exporter, Receiver, Ctl            string
	Prometheus, Promtool, Alertmanager string
}

// Ours are the programs of this project in a folder; the others are left empty.
func Ours(dir string) Programs {
	name := func(program string) string {
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		return filepath.Join(dir, program)
	}
	return Programs{Exporter: name("hypervigil-exporter"), Receiver: name("hypervigil-receiver"), Ctl: name("hypervigilctl")}
}

// check reports the first program that cannot be run.
func (p Programs) check() error {
	for _, x := range []struct{ name, path, how string }{
		{"hypervigil-exporter", p.Exporter, "make build"},
		{"hypervigil-receiver", p.Receiver, "make build"},
		{"hypervigilctl", p.Ctl, "make build"},
		{"prometheus", p.Prometheus, "set PROMETHEUS, or use make demo, which builds it"},
		{"promtool", p.Promtool, "set PROMTOOL, or use make demo, which builds it"},
		{"alertmanager", p.Alertmanager, "set ALERTMANAGER, or use make demo, which builds it"},
	} {
		if _, err := exec.LookPath(x.path); err != nil {
			return fmt.Errorf("%s cannot be run (%w); %s", x.name, err, x.how)
		}
	}
	return nil
}
