package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Orderly is what a guest says of a shutdown, a restart or an update of its own: what makes it fall silent although it is
// well.
type Orderly struct {
	LastBoot time.Time `json:"last_boot,omitzero"`
	// Events are 1074 (who began a shutdown or restart), 6006 (the event log stopped) and 17147 (SQL Server ends because the
	// system shuts down), of this run of the guest.
	Events []Event `json:"events,omitempty"`
	// Servicing are the processes that install an update.
	Servicing []string `json:"servicing,omitempty"`
	// PendingReboot says that an update was installed that waits for a restart: events 21 and 22 of the Windows Update client
	// in this run of the guest. The registry tells it too, but only by a method, which the reader's account may not call.
	PendingReboot bool `json:"pending_reboot,omitempty"`
}

// The events: User32 and EventLog in the System log (learn.microsoft.com, "Troubleshoot unexpected reboots using system
// event logs"), and SQL Server's own in the Application log ("Database Engine events and errors": 17147, "SQL Server is
// terminating because of a system shutdown").
var orderlyEvents = []struct {
	log    string
	id     uint32
	source string // SourceName; an instance's own name where empty
}{
	{"System", 1074, "User32"},
	{"System", 6006, "EventLog"},
	{"Application", 17147, ""},
	{"System", restartRequired, sourceUpdate},
	{"System", restartScheduled, sourceUpdate},
}

// The Windows Update client's events in the System log: "Restart Required", without and with a schedule ("Software Update
// Services Deployment White Paper"; the provider's manifest).
const (
	sourceUpdate     = "Microsoft-Windows-WindowsUpdateClient"
	restartRequired  = 21
	restartScheduled = 22
)

// The programs that install updates: the servicing stack's worker, and the stand-alone installer (learn.microsoft.com,
// "Windows Update Standalone Installer in Windows").
var servicing = []string{"TiWorker.exe", "wusa.exe"}

// Orderly reads it, events from since on. It answers all of it or nothing: a part that is missing could be the one that
// counts.
func (g *Guest) Orderly(ctx context.Context, since time.Time) (Orderly, error) {
	var o Orderly
	events := make([][]Event, len(orderlyEvents))
	running := make([][]Process, len(servicing))
	questions := []func(context.Context) error{into(&o.LastBoot, func(ctx context.Context) (time.Time, error) {
		return one(ctx, &g.machine, nsWindows, "SELECT LastBootUpTime FROM Win32_OperatingSystem", func(f *fields) time.Time {
			return must(f, f.object.Time, "LastBootUpTime")
		})
	})}
	for n, e := range orderlyEvents {
		questions = append(questions, into(&events[n], func(ctx context.Context) ([]Event, error) {
			wql := fmt.Sprintf("SELECT Logfile, EventCode, SourceName, TimeGenerated FROM Win32_NTLogEvent WHERE Logfile = %s AND EventCode = %d AND TimeGenerated >= '%s'",
				wsman.Quote(e.log), e.id, wsman.DMTF(since.Truncate(time.Second)))
			return all(ctx, &g.machine, nsWindows, wql, func(f *fields) Event {
				return Event{Log: f.text("Logfile"), ID: f.mustUint32("EventCode"), Source: f.text("SourceName"), At: must(f, f.object.Time, "TimeGenerated")}
			})
		}))
	}
	for n, name := range servicing {
		questions = append(questions, into(&running[n], func(ctx context.Context) ([]Process, error) { return g.ProcessesNamed(ctx, name) }))
	}
	if err := together(ctx, questions...); err != nil {
		return Orderly{}, fmt.Errorf("read whether guest %s shuts down: %w", g.name, err)
	}
	for n, list := range events {
		for _, e := range list {
			switch want := orderlyEvents[n]; {
			case e.At.Before(o.LastBoot): // what an earlier run of the guest ended with has passed
			case want.source != "" && !strings.EqualFold(e.Source, want.source): // the number is another source's too
			case want.source == sourceUpdate:
				o.PendingReboot = true
			default:
				o.Events = append(o.Events, e)
			}
		}
	}
	for n, list := range running {
		if len(list) > 0 {
			o.Servicing = append(o.Servicing, servicing[n])
		}
	}
	return o, nil
}
