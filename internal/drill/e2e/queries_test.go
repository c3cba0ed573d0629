//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/dashboards"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/rules"
)

// Where the answer to a query must have data, besides the faults' own names.
const (
	healthy = "healthy"         // on a cluster that nothing has happened to
	minute  = "within a minute" // the same, of what is looked at once a minute: asked of a machine that nothing happened to
	never   = "never on this lab"
)

// expected says where each query must answer with data that is not healthy or minute, which are told apart by how often
// it is scraped. Keys are the dashboard's file and the panel's title, "rules" and the rule's name; a letter in brackets
// is one query of several. Why stands beside every never.
var expected = map[string]struct{ when, why string }{
	// What happens only when something happens.
	"rules/SQLServerDown":                             {model.ServiceCrash, ""},
	"rules/SQLServerHung":                             {model.SQLHang, ""},
	"rules/SQLServerHostDown":                         {model.HostPowerOff, ""},
	"rules/vm:wsfc_lost:owner":                        {model.HostPowerOff, ""},
	"rules/SQLServerInternalError":                    {model.SQLInternal, ""},
	"rules/SQLServerStarved":                          {never, "a host's counters are asked for once a minute, and a trial is over before two of its readings"},
	"rules/vm:hyperv_host_pressed:owner":              {never, "the same"},
	"rules/vm:hyperv_pressed:owner":                   {never, "the same"},
	"rules/SQLServerGuestDown":                        {model.GuestCrash, ""},
	"rules/SQLServerCutOff":                           {model.LANBoard, ""},
	"rules/SQLServerUnreachable":                      {model.GuestCrash, ""}, // until the guest's own alert fires
	"rules/HypervigilCollectorBlind":                  {model.GuestCrash, ""}, // the same
	"overview/annotation Incidents":                   {model.ServiceCrash, ""},
	"overview/annotation Moves":                       {model.HostPowerOff, ""},
	"overview/Virtual machines (G)":                   {model.ServiceCrash, ""},
	"overview/Why probes fail now":                    {model.ServiceCrash, ""},
	"overview/Firing alerts":                          {model.ServiceCrash, ""},
	"overview/Open incidents by state":                {model.ServiceCrash, ""},
	"overview/Guards that stood against a command":    {model.ServiceCrash, ""},
	"overview/Commands":                               {model.ServiceCrash, ""},
	"sql-server-vm/Incidents begin with these":        {model.ServiceCrash, ""},
	"sql-server-vm/Why probes fail":                   {model.ServiceCrash, ""},
	"sql-server-vm/What stands in the way":            {model.ServiceCrash, ""}, // the cool-down after the command
	"incidents/What stands in a rung's way":           {model.ServiceCrash, ""},
	"incidents/How they ended":                        {model.ServiceCrash, ""},
	"incidents/What was refused, and why":             {model.ServiceCrash, ""},
	"incidents/Stages":                                {model.ServiceCrash, ""},
	"incidents/Commands by method and result":         {model.ServiceCrash, ""},
	"incidents/From incident to first command (A)":    {model.ServiceCrash, ""},
	"incidents/From incident to first command (B)":    {model.ServiceCrash, ""},
	"incidents/Open incidents by state":               {model.ServiceCrash, ""},
	"incidents/Guards that stood against a command":   {model.ServiceCrash, ""},
	"incidents/Commands":                              {model.ServiceCrash, ""},
	"incidents/Age of the last look before a command": {model.ServiceCrash, ""},
	"incidents/Acting alerts":                         {model.ServiceCrash, ""},
	"hyperv/Cluster events in the hosts' logs":        {never, "the host's log is read once a minute, and the trial is over before"},
	"rules/HypervigilIncidentProposed":                {never, "no trial here is left to a person; receiver's own tests have them"},
	"rules/HypervigilIncidentEscalated":               {never, "every command of the trials helps"},
	"rules/HypervigilVMLatched":                       {never, "the same"},
	"rules/HypervigilStormBrake":                      {never, "the trials come one after the other"},
	"overview/Storm brake":                            {never, "the same"},
	"rules/HypervigilRescueNotReady":                  {never, "the lab's machines can be rescued; the cool-down after a command is left out of the rule"},
	"rules/HypervigilCredentialRefused":               {never, "the lab takes its own passwords"},
	"rules/HypervigilCertificateRefused":              {never, "the lab's certificates are good"},
	"rules/HypervigilCertificateExpires":              {never, "and for longer than 14 days"},
	"rules/HypervigilClusterBlind":                    {never, "no fault of the lab silences every node"},
	"rules/HypervigilTargetsMissing":                  {never, "the exporter runs"},
	"rules/HypervigilProbesLost":                      {never, "the same"},
	"rules/HypervigilExporterDown":                    {never, "the same"},
	"rules/HypervigilReceiverDown":                    {never, "the receiver runs"},
	"rules/HypervigilReceiverNotReady":                {never, "and is ready before the first trial"},
	"rules/HypervigilConfigReloadFailed":              {never, "nothing is reloaded"},
	"rules/HypervigilNotificationsMissing":            {never, "Watchdog comes"},
	"rules/HypervigilNotificationsRefused":            {never, "Alertmanager is set up rightly"},
	"rules/HypervigilLedgerNotWritten":                {never, "the disk takes what is written"},
	"rules/SQLServerStopped":                          {never, "no trial here is a clean stop"},
	"rules/SQLServerHealthWarning":                    {never, "no trial lasts for its five minutes"},
	"rules/SQLServerVMPaused":                         {never, "no trial pauses a machine"},
	"rules/ClusterQuorumAtRisk":                       {never, "three nodes and a witness have a vote to spare with one node down"},
	"rules/ClusterWitnessLost":                        {never, "no trial takes it"},
	"rules/ClusterVolumeRedirected":                   {never, "nor a volume"},
	"rules/ClusterVolumeLost":                         {never, "the same"},
	"rules/ClusterNodeIsolated":                       {model.HostPowerOff, ""}, // before it is down
	"rules/ClusterFailoversUsedUp":                    {never, "the host's log is read once a minute, and no group is given up"},
	"rules/HypervigilSeveralControllers":              {never, "there is one receiver, and no availability group"},
	"rules/HypervigilPaused":                          {never, "nobody pauses"},
	"rules/HypervigilLabelsRenamed":                   {never, "the generated jobs honour the labels"},
	"rules/vm:backup_age_limit:seconds":               {minute, ""},
	"rules/vm:log_backup_age_limit:seconds":           {minute, ""},
	"rules/vm:log_used_limit:ratio":                   {minute, ""},
	"rules/database:backup_wanted:bool":               {minute, ""},
	"rules/database:backup_newest:timestamp_seconds":  {minute, ""},
	"rules/SQLServerBackupTooOld":                     {never, "the lab's backups are young"},
	"rules/SQLServerLogBackupTooOld":                  {never, "the same"},
	"rules/SQLServerBackupMissing":                    {never, "see the recordings that it is made of: it fires after a day"},
	"rules/SQLServerLogFull":                          {never, "the lab's logs have room"},
	"rules/SQLServerDatabaseWorse":                    {never, "the lab's databases are online"},
	"chain/Alerts of the chain":                       {never, "none of them is to be had, see the rules"},
	"chain/Collectors that cannot see":                {model.ServiceCrash, ""},
	"chain/Collectors that hang":                      {never, "the lab's faults end with the connection; internal/drill/hang has those that do not"},
	"cluster/Flags of nodes":                          {model.HostPowerOff, ""}, // isolated, before it is down
	"hyperv/Replication":                              {never, "no virtual machine of the lab is replicated"},
	"hyperv/Errors of virtual disks":                  {never, "the lab's disks are good"},
	"sql-server/Databases (E)":                        {never, "the lab makes no differential backups"},
	"sql-server/Replicas":                             {never, "the lab has no availability group"},
	"sql-server/Lag of the secondaries":               {never, "the same"},
	"sql-server/Log to send and to redo (A)":          {never, "the same"},
	"sql-server/Log to send and to redo (B)":          {never, "the same"},
	"sql-server/Ready to take over":                   {never, "the same"},
	"sql-server-vm/Could it be rescued now (A)":       {minute, ""}, // a rehearsal a minute
	"sql-server-vm/Could it be rescued now (B)":       {minute, ""},
	"overview/Virtual machines (D)":                   {minute, ""},
	"overview/Virtual machines (E)":                   {minute, ""},
	"incidents/Rungs (A)":                             {minute, ""},
	"incidents/Rungs (B)":                             {minute, ""},
	"incidents/Machines that could be rescued":        {minute, ""},
	"incidents/Time since the last rehearsal":         {minute, ""},
	"incidents/Readiness over time":                   {minute, ""},
	"cluster/Watched groups (C)":                      {minute, ""},
	"chain/Notifications":                             {minute, ""}, // Watchdog comes once a minute
	"chain/Duration of a commit":                      {minute, ""}, // of what was written since the last look
	"incidents/Notifications: time to answer (A)":     {minute, ""},
	"incidents/Notifications: time to answer (B)":     {minute, ""},
	"incidents/Ledger: time to commit (A)":            {minute, ""},
	"incidents/Ledger: time to commit (B)":            {minute, ""},
	"chain/Commits":                                   {minute, ""},
}

// asked is a query of a panel, an annotation or a rule.
type asked struct {
	key    string
	target dashboards.Target
	when   string
}

// queries lists all of them. Annotations are the same on every page but for the variables.
func queries(t *testing.T) []asked {
	t.Helper()
	all, err := dashboards.Load()
	if err != nil {
		t.Fatal(err)
	}
	var list []asked
	add := func(key string, target dashboards.Target) {
		a := asked{key, target, healthy}
		if target.Interval != "" {
			a.when = minute
		}
		if e, ok := expected[key]; ok {
			a.when = e.when
		}
		list = append(list, a)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, p := range all[name].Panels {
			for _, target := range p.Targets {
				key := name + "/" + p.Title
				if len(p.Targets) > 1 {
					key += " (" + target.RefID + ")"
				}
				add(key, target)
			}
		}
		if name == "overview" {
			for _, a := range all[name].Annotations.List {
				add(name+"/annotation "+a.Name, dashboards.Target{Expr: a.Expr})
			}
		}
	}
	text, err := rules.Generate(rules.Fast)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			add("rules/"+r.Record+r.Alert, dashboards.Target{Expr: r.Expr})
		}
	}
	return list
}

// TestEveryExpectationIsOfAQuery: one that is about nothing would hide that its query was renamed.
func TestEveryExpectationIsOfAQuery(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, q := range queries(t) {
		known[q.key] = true
	}
	for key, e := range expected {
		if !known[key] {
			t.Errorf("%s is no query", key)
		}
		if (e.when == never) != (e.why != "") {
			t.Errorf("%s: a query that never answers says why, and no other does", key)
		}
	}
}

// span is a time in which something was so with a virtual machine.
type span struct {
	vm       string
	from, to time.Time
}

// silent lists the queries for which Prometheus had no data at any moment of the span, of those that must have.
func silent(t *testing.T, s *stage.Stage, when string, during span) []string {
	t.Helper()
	fill := dashboards.Fill{
		Variables: map[string]string{"cluster": "hv-lab", "vm": during.vm, "instance": ".+"},
		Range:     time.Since(during.from) + time.Minute, Step: time.Second, Scrape: 5 * time.Second,
	}
	var none []string
	for _, q := range queries(t) {
		if q.when != when {
			continue
		}
		var answer struct {
			Data struct {
				Result []struct{ Values [][2]any }
			}
		}
		code, body := fetch(t, s.Endpoints.Prometheus+"/api/v1/query_range?"+url.Values{
			"query": {fill.In(q.target)}, "step": {"1"}, "start": {stamp(during.from)}, "end": {stamp(during.to)},
		}.Encode())
		if code != http.StatusOK {
			t.Errorf("%s: %s\n%s", q.key, fill.In(q.target), body)
			continue
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		// A share of nothing is NaN, and no data: Grafana draws none of it.
		known := false
		for _, series := range answer.Data.Result {
			known = known || slices.ContainsFunc(series.Values, func(v [2]any) bool { return v[1] != "NaN" })
		}
		if !known {
			none = append(none, q.key)
		}
	}
	return none
}

func stamp(at time.Time) string { return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64) }

// answers waits until every query that must have data in such a time has had some, from the span's beginning to now.
func answers(t *testing.T, s *stage.Stage, when, vm string, from time.Time, within time.Duration) {
	t.Helper()
	began := time.Now()
	for {
		none := silent(t, s, when, span{vm, from, time.Now()})
		if len(none) == 0 || t.Failed() {
			t.Logf("%s: every query has answered, %.1f s later", when, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > within {
			t.Errorf("%s, %s: no data for\n  %s", when, vm, strings.Join(none, "\n  "))
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(time.Second):
		}
	}
}
