package incident_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// sicken has SQL Server call a component an error from now on; it goes on taking logins.
func (w *world) sicken(vm, component string) {
	w.vms[vm].failing, w.vms[vm].since = component, w.now
}

// TestAnInternalError: what is done about a SQL Server that takes logins and calls itself sick is the policy's level to say,
// and whether it is well again is its own.
func TestAnInternalError(t *testing.T) {
	t.Parallel()
	const terminate, start, stop = string(remedy.TerminateProcess), string(remedy.StartService), string(remedy.StopService)
	restart := []string{stop + " SQLSERVERAGENT", terminate, start + " MSSQLSERVER", start + " SQLSERVERAGENT"}
	tests := map[string]struct {
		policy    string
		component string
		while     func(*world) // a minute after the error began
		want      []string
		phase     incident.Phase
		says      string
	}{
		"restarted":             {actPolicy + "      internal_level: 4\n", "resource", nil, restart, incident.Healed, "Healed by hypervigil"},
		"no level is named":     {actPolicy, "system", nil, nil, incident.Told, "its internal_level is 0"},
		"above the level":       {actPolicy + "      internal_level: 3\n", "resource", nil, nil, incident.Told, "level 4; the policy acts up to level 3"},
		"only observed":         {"      mode: observe\n      internal_level: 5\n", "query_processing", nil, nil, incident.Told, "restart_service would be done"},
		"it does not tell":      {actPolicy + "      internal_level: 5\n", "", func(w *world) { w.vms["SQL01"].mum = true }, nil, incident.Refused, "could not be read"},
		"the alert was wrong":   {actPolicy + "      internal_level: 5\n", "", func(w *world) { w.change(time.Minute, func() { w.alert("SQL01", false) }) }, nil, incident.Healed, "by itself"},
		"much would be undone":  {actPolicy + "      internal_level: 5\n", "system", func(w *world) { w.vms["SQL01"].open = w.now.Add(-time.Hour) }, nil, incident.Proposed, "G36"},
		"it comes down to it":   {actPolicy + "      internal_level: 3\n", "resource", func(w *world) { w.change(2*time.Minute, func() { w.sicken("SQL01", "system") }) }, restart, incident.Healed, "Healed by hypervigil"},
		"it does not help":      {actPolicy + "      internal_level: 3\n", "system", func(w *world) { w.change(90*time.Second, func() { w.sicken("SQL01", "system") }) }, restart, incident.Escalated, "component system an error"},
		"its guest is not read": {actPolicy + "      internal_level: 3\n", "system", func(w *world) { w.blind["SQL01"] = true }, nil, incident.Refused, "does not tell the state"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.policy)
			w.warm()
			w.sicken("SQL01", tt.component)
			if tt.while != nil {
				tt.while(w)
			}
			w.advance(25 * time.Second)
			w.fire("SQL01", evidence.Internal)
			for range 80 {
				w.advance(15 * time.Second)
				if m := w.vms["SQL01"]; len(w.commands) > 0 { // a new process has no error until it gets one
					w.alert("SQL01", m.since.After(m.created))
				}
			}
			i := w.only("SQL01", evidence.Internal)
			var got []string
			for _, c := range w.commands {
				got = append(got, strings.TrimSpace(string(c.Method)+" "+c.Service))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || i.Phase != tt.phase || !strings.Contains(i.Summary, tt.says) {
				t.Errorf("commands (-want +got):\n%s%s, %q; want %s with %q", diff, i.Phase, i.Summary, tt.phase, tt.says)
			}
		})
	}
}
