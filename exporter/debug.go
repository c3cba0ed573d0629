package exporter

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/common/expfmt"
	"go.yaml.in/yaml/v3"
)

// debugLog keeps the log of one probe. A collector that was abandoned may still write to it when it has been read.
type debugLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// maxDebugLog bounds the log of one probe; what comes later is dropped.
const maxDebugLog = 1 << 20

// Write implements io.Writer.
func (d *debugLog) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.buf.Len()+len(p) <= maxDebugLog {
		d.buf.Write(p)
	}
	return len(p), nil
}

func (d *debugLog) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

// writeDebug answers ?debug=true: what came of each collector, the probe's log, its metrics, and the configuration it ran under. The configuration
// holds references to secrets only, and secrets never reach a log.
func (e *Exporter) writeDebug(w http.ResponseWriter, f *flight, outcomes []outcome, answered families) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# probe of %s by the module %s, deadline %s\n\n# result\n", f.target.name, f.module.Name, f.deadline.Sub(f.start))
	for _, o := range outcomes {
		said := "ok"
		if o.result.Err != nil {
			said = string(o.reason)
		}
		fmt.Fprintf(&out, "%s: %s, %s\n", o.name, said, o.duration.Round(time.Microsecond))
	}
	fmt.Fprintf(&out, "\n# log\n%s\n# metrics\n", f.log.String())
	if err := answered.write(&out, expfmt.NewFormat(expfmt.TypeTextPlain)); err != nil {
		fmt.Fprintf(&out, "# not all metrics could be written: %v\n", err)
	}
	fmt.Fprint(&out, "\n# configuration\n")
	for _, part := range []struct {
		name  string
		value any
	}{{"module", f.module}, {"target", f.target.entry}} {
		text, err := yaml.Marshal(map[string]any{part.name: part.value})
		if err != nil {
			fmt.Fprintf(&out, "# %s: %v\n", part.name, err)
			continue
		}
		out.Write(text)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := out.WriteTo(w); err != nil {
		level.Debug(e.logger).Log("msg", "debug answer not written", "err", err)
	}
}
