package rules

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// standing are the alerts that tell how SQL Server, its machines and the cluster stand. Each is asked about in every one
// of their stories.
var standing = []string{
	"SQLServerStopped", "SQLServerHealthWarning", "SQLServerVMPaused", "ClusterQuorumAtRisk", "ClusterWitnessLost", "ClusterVolumeRedirected",
	"ClusterVolumeLost", "ClusterNodeIsolated", "ClusterFailoversUsedUp", "HypervigilSeveralControllers", "HypervigilPaused", "HypervigilLabelsRenamed",
	"SQLServerBackupTooOld", "SQLServerLogBackupTooOld", "SQLServerBackupMissing", "SQLServerLogFull", "SQLServerDatabaseWorse",
}

// asking is a target that says what the story makes it say.
func asking(job string, every time.Duration, says own) target {
	return target{job: job, instance: "hv-cl1/" + job, labels: []string{"cluster", "hv-cl1"}, every: every, scrape: says.scrape}
}

// states writes a state set: usual, and other from begin until end.
func states(o own, metric, label string, members []string, begin, end time.Duration, usual, other string, labels ...string) {
	for _, s := range members {
		at := func(t time.Duration) float64 {
			now := usual
			if t >= begin && t < end {
				now = other
			}
			if now == s {
				return 1
			}
			return 0
		}
		o[series(metric, append(slices.Clone(labels), label, s)...)] = at
	}
}

var (
	databaseStates = []string{"online", "restoring", "recovering", "recovery_pending", "suspect", "emergency", "offline", "copying", "offline_secondary", "other"}
	healthStates   = []string{"clean", "warning", "error", "unknown", "other"}
	csvStates      = []string{"none", "redirected_access", "no_access", "in_maintenance", "other"}
	serviceStates  = []string{"running", "stopped", "start_pending", "stop_pending", "paused", "other"}
)

// stateScenarios tells the stories of these alerts.
func stateScenarios(timing Timing) []scenario {
	const (
		minute = time.Minute
		fault  = 2 * minute // what is asked once a minute is asked at this moment
		end    = 20 * minute
	)
	story := func(name string, every time.Duration, says own, end time.Duration, fires ...alert) scenario {
		return scenario{name: name, world: with(quiet(), func(w *world) {
			w.asked = []target{asking("story", every, says)}
		}), end: end, fires: fires, watch: standing}
	}
	sql := []string{"cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL"}
	vm := []string{"cluster", "hv-cl1", "vm", "SQL01"}
	db := append(slices.Clone(sql), "database", "Sales")

	stopped := func(exit float64, mode string) own {
		o := own{}
		engine := append(slices.Clone(sql), "role", "engine", "service", "MSSQL$PAYROLL")
		states(o, "hyperv_guest_service_state", "state", serviceStates, fault, fault+3*minute, "running", "stopped", engine...)
		states(o, "hyperv_guest_service_start_mode", "mode", []string{"auto", "manual", "disabled", "other"}, 0, 0, mode, mode, engine...)
		o[series("hyperv_guest_service_exit_code", engine...)] = is(exit)
		return o
	}
	health := func(component, other string) own {
		o := own{}
		for _, c := range []string{"system", "resource", "query_processing", "io_subsystem", "events"} {
			state := "clean"
			if c == component {
				state = other
			}
			states(o, "mssql_server_diagnostics_state", "state", healthStates, fault, fault+7*minute, "clean", state, append(slices.Clone(sql), "component", c)...)
		}
		return o
	}
	warns := func(component string) alert {
		return tells("SQLServerHealthWarning", "warning", "SQL Server PAYROLL on SQL01 (hv-cl1) warns of its "+component+".",
			"For five minutes sp_server_diagnostics has called the component "+component+" worse than clean. It answers, and nothing is done about it.",
			fault+5*minute, fault+7*minute, append(slices.Clone(sql), "component", component)...)
	}
	paused := func(on, other string) own {
		o := own{series("wsfc_group_owner_info", append(slices.Clone(vm), "group", "Group of SQL01", "node", "HV1")...): is(1)}
		for _, node := range []string{"HV1", "HV2"} {
			state := "off"
			if node == on {
				state = other
			}
			states(o, "hyperv_vm_state", "state", []string{"running", "off", "paused", "critical", "saved"}, fault, fault+3*minute, "running", state, append(slices.Clone(vm), "node", node)...)
		}
		return o
	}
	votes := func(current, needed float64) own {
		return own{
			series("wsfc_quorum_votes_current", "cluster", "hv-cl1"): between(fault, fault+3*minute, current, 5),
			series("wsfc_quorum_votes_needed", "cluster", "hv-cl1"):  between(fault, fault+3*minute, needed, 3),
		}
	}
	risk := tells("ClusterQuorumAtRisk", "warning", "hv-cl1 has no vote to spare.",
		"If one more of the nodes with a vote, or the witness, is lost, the cluster stops, and every virtual machine with it. While the votes are short the receiver moves nothing.",
		fault+minute, fault+3*minute, "cluster", "hv-cl1")
	volume := func(lasts time.Duration, other string) own {
		o := own{}
		states(o, "wsfc_csv_fault_state", "state", csvStates, fault, fault+lasts, "none", other, "cluster", "hv-cl1", "volume", "Volume1")
		return o
	}
	flagged := func(flag string, lasts time.Duration) own {
		o := own{}
		for _, f := range []string{"isolated", "quarantined", "drain_in_progress", "avoid_placement"} {
			v := is(0)
			if f == flag {
				v = between(fault, fault+lasts, 1, 0)
			}
			o[series("wsfc_node_status_flag", "cluster", "hv-cl1", "node", "HV2", "flag", f)] = v
		}
		return o
	}
	shunned := func(flag string) alert {
		return tells("ClusterNodeIsolated", "warning", "The cluster hv-cl1 calls its node HV2 "+flag+".",
			"An isolated node has lost its connection to the others and keeps its virtual machines for the resiliency period; a quarantined one left too often and is kept out. Nothing is moved there.",
			fault+30*time.Second, fault+3*minute, "cluster", "hv-cl1", "node", "HV2", "flag", flag)
	}
	events := func(id string) own {
		o := own{}
		for _, e := range []string{"1069", "1254"} {
			v := is(4)
			if e == id {
				v = between(fault, time.Hour, 5, 4)
			}
			o[series("hyperv_host_cluster_events_total", "cluster", "hv-cl1", "node", "HV2", "event", e)] = v
		}
		return o
	}
	two := func(other string) alert {
		return tells("HypervigilSeveralControllers", "warning", "SQL01 (hv-cl1) has a second controller: "+other+".",
			"Besides the receiver, "+other+" acts on faults of SQL01. Two that act on one fault undo each other: one of them has to be left to tell.",
			fault+10*minute, fault+12*minute, append(slices.Clone(vm), "other", other)...)
	}
	group := func(mode string, rescued bool) own {
		o := own{}
		states(o, "mssql_ag_replica_failover_mode", "state", []string{"automatic", "manual", "external", "other"}, fault, fault+12*minute, "manual", mode,
			append(slices.Clone(sql), "ag", "AG1", "replica", "SQL01", "is_local", "true")...)
		states(o, "mssql_ag_replica_failover_mode", "state", []string{"automatic", "manual", "external", "other"}, 0, 0, "automatic", "automatic",
			append(slices.Clone(sql), "ag", "AG1", "replica", "SQL09", "is_local", "false")...)
		if rescued {
			o[series("hypervigil_rescue_ready", append(slices.Clone(vm), "rung", "restart_service")...)] = is(0)
		}
		return o
	}
	receivers := func(second bool) *world {
		w := quiet()
		w.own = map[string]func(time.Duration) scrape{receiverJob + " " + receiverAt: receiver(nil).scrape}
		if second {
			w.own[receiverJob+" 127.0.0.2:9878"] = func(t time.Duration) scrape {
				if t < fault || t >= fault+12*minute {
					return nil
				}
				return receiver(nil).scrape(t)
			}
		}
		return w
	}

	pause := func(lasts time.Duration) *world {
		return quiet().programs(exporter(nil).scrape, receiver(own{"hypervigil_pauses{}": between(fault, fault+lasts, 2, 0)}).scrape)
	}
	renamed := func(lasts time.Duration) own {
		return own{series("probe_success", append(slices.Clone(sql), "exported_cluster", "hv-cl1")...): between(fault, fault+lasts, 1, math.NaN())}
	}

	// Databases: names that differ from the firing case in one thing.
	database := func(change own, name string, labels ...string) own {
		o := own{}
		at := append(append(slices.Clone(sql), "database", name), labels...)
		states(o, "mssql_database_state", "state", databaseStates, 0, 0, "online", "online", at...)
		o[series("mssql_database_state_code", at...)] = is(0)
		o[series("mssql_database_read_only", at...)] = is(0)
		o[series("probe_collector_success", append(slices.Clone(sql), "collector", "databases")...)] = is(1)
		for k, v := range change {
			o[k] = v
		}
		return o
	}
	const week = 192 * time.Hour
	made := func(kind string, at func(time.Duration) float64) own {
		return own{series("mssql_backup_last_"+kind+"_timestamp_seconds", db...): at}
	}
	// old is too old from the fault on, until the next backup.
	mended := fault + 18*minute
	old := func(limit time.Duration) func(time.Duration) float64 {
		return func(t time.Duration) float64 {
			if t >= mended {
				return t.Seconds()
			}
			// One evaluation before the fault it is as old as it may be, and no older.
			return (fault - timing.TellEvaluation - limit).Seconds()
		}
	}
	limit := func(metric string, v float64) own { return own{series(metric, vm...): is(v)} }
	tooOld := func(from, until time.Duration) alert {
		return tells("SQLServerBackupTooOld", "warning", "The newest backup of Sales on SQL01 (PAYROLL, hv-cl1) is too old.",
			"Neither a full nor a differential backup has ended since thresholds.backup_age of SQL01. What happened since would be lost with its disks, but for what log backups hold.",
			from, until, db...)
	}
	logTooOld := func(from, until time.Duration) alert {
		return tells("SQLServerLogBackupTooOld", "warning", "The newest log backup of Sales on SQL01 (PAYROLL, hv-cl1) is too old.",
			"Its log was backed up before, and has not been since thresholds.log_backup_age of SQL01. The log grows until its disk is full, and what happened since would be lost with it.",
			from, until, db...)
	}
	full := func(used, limit float64, lasts time.Duration) own {
		o := database(own{series("mssql_database_log_used_ratio", db...): between(fault, fault+lasts, used, 0.2)}, "Sales")
		if limit > 0 {
			o[series("hypervigil_threshold_log_used_ratio", vm...)] = is(limit)
		}
		return o
	}
	isFull := func(percent string) alert {
		return tells("SQLServerLogFull", "warning", "The log of Sales on SQL01 (PAYROLL, hv-cl1) is "+percent+" full.",
			"For five minutes as much of it as thresholds.log_used_percent of SQL01 says has been in use. Once it is full and cannot grow, nothing can be written to the database: error 9002.",
			fault+5*minute, fault+7*minute, db...)
	}
	became := func(usual, other string, lasts time.Duration) own {
		o := own{}
		states(o, "mssql_database_state", "state", databaseStates, fault, fault+lasts, usual, other, db...)
		return o
	}
	worse := func(state string) alert {
		return tells("SQLServerDatabaseWorse", "critical", "Sales on SQL01 (PAYROLL, hv-cl1) is "+state+".",
			"SQL Server answers, and the database does not: it was online before, or is in a state that no database should be in. Restarting SQL Server seldom helps, so nothing is done about it.",
			fault+2*minute, fault+4*minute, append(slices.Clone(db), "state", state)...)
	}
	join := func(all ...own) own {
		o := own{}
		for _, a := range all {
			for k, v := range a {
				o[k] = v
			}
		}
		return o
	}
	const guest, host, slow = 30 * time.Second, 15 * time.Second, minute
	return []scenario{
		story("a service that ended without an error was stopped by somebody", guest, stopped(0, "auto"), fault+4*minute,
			tells("SQLServerStopped", "warning", "SQL Server PAYROLL on SQL01 (hv-cl1) was stopped on purpose.",
				"Its service ended without an error and is not running, although Windows starts it by itself. Nothing is done about it unless the policy's clean_stop.heal_after says after which time.",
				fault+minute, fault+3*minute, sql...)),
		story("one that died was not", guest, stopped(1067, "auto"), fault+4*minute),
		story("one that nobody starts by itself is no news", guest, stopped(0, "manual"), fault+4*minute),

		story("a component that warns for five minutes", host, health("resource", "warning"), fault+8*minute, warns("resource")),
		story("storage in error violates no failure condition level, and is told", host, health("io_subsystem", "error"), fault+8*minute, warns("io_subsystem")),
		story("a component in error is the acting alert's", host, health("resource", "error"), fault+8*minute),
		story("the component events only lists", host, health("events", "warning"), fault+8*minute),

		story("a machine that Hyper-V paused", host, paused("HV1", "critical"), fault+4*minute,
			tells("SQLServerVMPaused", "critical", "SQL01 (hv-cl1) stands still: its host calls it critical.",
				"Hyper-V pauses a machine as critical when its storage is gone or full; paused alone is somebody's doing. Nobody in it is served, and nothing is done about it.",
				fault+minute, fault+3*minute, append(slices.Clone(vm), "state", "critical")...)),
		story("during a migration the other host's word does not count", host, paused("HV2", "critical"), fault+4*minute),
		story("a machine that is off was turned off", host, paused("HV1", "off"), fault+4*minute),

		story("no vote can be spared", host, votes(3, 3), fault+4*minute, risk),
		story("one can", host, votes(4, 3), fault+4*minute),
		story("the witness is not online", host, own{series("wsfc_witness_online", "cluster", "hv-cl1"): between(fault, fault+3*minute, 0, 1)}, fault+4*minute,
			tells("ClusterWitnessLost", "warning", "The witness of hv-cl1 is not online.",
				"The cluster has a witness and it does not work: a tie of the nodes would no longer be broken.", fault+2*minute, fault+3*minute, "cluster", "hv-cl1")),
		story("the witness is away for less than two minutes", host,
			own{series("wsfc_witness_online", "cluster", "hv-cl1"): between(fault, fault+2*minute-timing.TellEvaluation, 0, 1)}, fault+4*minute),
		story("a volume is reached through another node", host, volume(7*minute, "redirected_access"), fault+8*minute,
			tells("ClusterVolumeRedirected", "warning", "The shared volume Volume1 of hv-cl1 is reached through another node.",
				"For five minutes a node has had no path of its own to the volume: its reads and writes go over the network. The virtual machines on it are slow, and moving them may not help.",
				fault+5*minute, fault+7*minute, "cluster", "hv-cl1", "volume", "Volume1")),
		story("as long as a backup of it takes", host, volume(5*minute-timing.TellEvaluation, "redirected_access"), fault+8*minute),
		story("a volume in maintenance is somebody's will", host, volume(7*minute, "in_maintenance"), fault+8*minute),
		story("a volume is gone", host, volume(3*minute, "no_access"), fault+4*minute,
			tells("ClusterVolumeLost", "critical", "The shared volume Volume1 of hv-cl1 cannot be reached.",
				"The cluster has no access to the volume. The virtual machines on it fail or stand still, and restarting or moving them does not bring their disks back: nothing is done about it.",
				fault+30*time.Second, fault+3*minute, "cluster", "hv-cl1", "volume", "Volume1")),
		story("a node is isolated", host, flagged("isolated", 3*minute), fault+4*minute, shunned("isolated")),
		story("a node is quarantined", host, flagged("quarantined", 3*minute), fault+4*minute, shunned("quarantined")),
		story("a node is drained", host, flagged("drain_in_progress", 3*minute), fault+4*minute),
		story("a node that was isolated for a moment", host, flagged("isolated", 30*time.Second-timing.TellEvaluation), fault+4*minute),
		// The increase is seen as long as a sample from before is in the quarter of an hour.
		story("the cluster gave a group up", slow, events("1254"), fault+16*minute,
			tells("ClusterFailoversUsedUp", "critical", "hv-cl1 has given a group up: its failovers are used up.",
				"In the last quarter of an hour a node wrote event 1254: a group failed more often than its failover threshold allows, and the cluster leaves it failed. No failover comes any more until somebody brings it online.",
				fault, fault+14*minute, "cluster", "hv-cl1").inRange()),
		story("a resource failed and was failed over", slow, events("1069"), fault+16*minute),

		story("an availability group fails over by itself, and the receiver would act too", slow, group("automatic", true), fault+13*minute,
			two("an availability group with automatic failover")),
		story("nobody else would act", slow, group("automatic", false), fault+13*minute),
		story("it is failed over by hand", slow, group("manual", true), fault+13*minute),
		story("a failover cluster instance moves by itself", slow, own{
			series("mssql_server_info", append(slices.Clone(sql), "is_clustered", "true")...):         between(fault, fault+12*minute, 1, math.NaN()),
			series("hypervigil_rescue_ready", append(slices.Clone(vm), "rung", "restart_service")...): is(1),
		}, fault+13*minute, two("a failover cluster instance")),
		{
			name: "a second receiver watches the same machine", world: receivers(true), end: fault + 13*minute, watch: standing,
			fires: []alert{two("another receiver")},
		},
		{name: "one receiver is one", world: receivers(false), end: fault + 13*minute, watch: standing},
		{
			name: "a pause that somebody forgot", end: fault + 13*minute, watch: standing,
			world: pause(12 * minute),
			fires: []alert{tells("HypervigilPaused", "warning", "The receiver "+receiverAt+" is paused: 2 in force.",
				"Somebody paused it, for a virtual machine, a cluster or altogether, more than ten minutes ago. Nothing is done about any fault of what is paused.",
				fault+10*minute, fault+12*minute, "instance", receiverAt)},
		},
		{name: "a pause that ends in time", world: pause(10*minute - timing.TellEvaluation), end: fault + 13*minute, watch: standing},
		story("a scrape job that renames labels for less than a minute", host, renamed(minute-timing.TellEvaluation), fault+4*minute),
		story("a scrape job that renames labels", host, renamed(3*minute), fault+4*minute, tells("HypervigilLabelsRenamed", "warning", "The scrape job story renames the exporter's labels: it lacks honor_labels.",
			"1 probes carry exported_cluster. Two series of one thing do not match each other any more, and some alerts would stay silent. The jobs that hypervigilctl generate prometheus writes say honor_labels: true.",
			fault+minute, fault+3*minute, "job", "story")),

		story("a full backup is older than the machine's own limit", slow,
			database(join(made("full", old(6*time.Hour)), limit("hypervigil_threshold_backup_age_seconds", 6*3600)), "Sales"), end,
			tooOld(fault+15*minute, mended)),
		story("without a metric the default counts", slow, database(made("full", old(week)), "Sales"), end, tooOld(fault+15*minute, mended)),
		story("a younger differential backup will do", slow,
			database(join(made("full", old(week)), made("differential", is(-3600))), "Sales"), end),
		story("a differential backup older than the full one does not matter", slow,
			database(join(made("full", is(-3600)), made("differential", old(week))), "Sales"), end),
		story("both are too old", slow, database(join(made("full", is(-week.Seconds()*2)), made("differential", old(week))), "Sales"), end,
			tooOld(fault+15*minute, mended)),
		story("the limit is never", slow,
			database(join(made("full", old(week)), limit("hypervigil_threshold_backup_age_seconds", math.Inf(1))), "Sales"), end),
		story("a read-only database does not change", slow,
			database(join(made("full", old(week)), own{series("mssql_database_read_only", db...): is(1)}), "Sales"), end),
		story("a replica knows its own backups only", slow,
			database(join(made("full", old(week)), own{series("mssql_ag_database_suspended", append(slices.Clone(db), "ag", "AG1", "replica", "SQL01")...): is(0)}), "Sales"), end),
		story("the log's backup is too old", slow, database(join(made("full", is(0)), made("log", old(24*time.Hour))), "Sales"), end, logTooOld(fault+15*minute, mended)),
		story("the machine's own limit is longer", slow,
			database(join(made("full", is(0)), made("log", old(24*time.Hour)), limit("hypervigil_threshold_log_backup_age_seconds", 48*3600)), "Sales"), end),
		story("the log of a database that is backed up whole is never backed up", slow, database(made("full", is(0)), "Sales"), end),

		story("a log is as full as the default allows", slow, full(0.9, 0, 7*minute), fault+8*minute, isFull("90%")),
		story("a log is as full as the machine's limit allows", slow, full(0.7, 0.7, 7*minute), fault+8*minute, isFull("70%")),
		story("it is less full", slow, full(0.89, 0, 7*minute), fault+8*minute),
		story("it is full until its next backup", slow, full(0.9, 0, 4*minute), fault+8*minute),

		story("a database is suspect", slow, became("online", "suspect", 4*minute), fault+5*minute, worse("suspect")),
		story("a database that was online is offline", slow, became("online", "offline", 4*minute), fault+5*minute, worse("offline")),
		story("one that recovers quickly after a restart", slow, became("online", "recovering", minute), fault+5*minute),
		story("one that was never online is no worse", slow, became("restoring", "restoring", 0), fault+5*minute),
		story("one that is waiting for recovery was never well", slow, became("restoring", "recovery_pending", 4*minute), fault+5*minute, worse("recovery_pending")),
	}
}

// missing tells the stories of the database that was never backed up, which take a day.
func missing() []scenario {
	const begins = 30 * time.Minute
	db := []string{"cluster", "hv-cl1", "vm", "SQL01", "sql_instance", "PAYROLL", "database", "Sales"}
	story := func(name string, change own, fires ...alert) scenario {
		says := own{
			series("probe_collector_success", append(slices.Clone(db[:6]), "collector", "databases")...): is(1),
			series("mssql_database_state_code", db...):                                                   is(0),
			series("mssql_database_read_only", db...):                                                    is(0),
			series("mssql_database_state", append(slices.Clone(db), "state", "online")...): func(t time.Duration) float64 {
				if t < begins {
					return 0 // it is being made
				}
				return 1
			},
		}
		maps.Copy(says, change)
		return scenario{
			name: name, world: &world{asked: []target{asking("mssql_databases", time.Minute, says)}}, end: begins + 25*time.Hour,
			fires: fires, watch: []string{"SQLServerBackupMissing", "SQLServerBackupTooOld", "SQLServerDatabaseWorse"},
		}
	}
	backup := series("mssql_backup_last_full_timestamp_seconds", db...)
	never := tells("SQLServerBackupMissing", "warning", "Sales on SQL01 (PAYROLL, hv-cl1) was never backed up.",
		"For a day the database has been in use, and msdb knows of no full backup of it. It would be lost with its disks.",
		begins+24*time.Hour, begins+24*time.Hour+30*time.Minute, db...)
	at := func(t time.Duration) own {
		return own{backup: between(t, 48*time.Hour, t.Seconds(), math.NaN())}
	}
	return []scenario{
		story("a database in use for a day without a backup, until it has one", at(begins+24*time.Hour+30*time.Minute), never),
		story("its first backup comes within the day", at(begins+23*time.Hour)),
		story("nobody wants backups of this machine", own{series("hypervigil_threshold_backup_age_seconds", db[:4]...): is(math.Inf(1))}),
		story("msdb could not be read", own{series("probe_collector_success", append(slices.Clone(db[:6]), "collector", "databases")...): is(0)}),
	}
}

// TestEveryAlertAboutTheStateFiresWhenItsTimeHasCome is for both speeds, whose rules about it are the same ones: it evaluates
// them as seldom as the slower one does, for they speak of minutes.
func TestEveryAlertAboutTheStateFiresWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	timing, err := Standard.Timing()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			file, timing := only(t, Standard, standing), timing
			timing.SQL, timing.Evaluation = timing.TellEvaluation, timing.TellEvaluation
			play(t, r, file, timing, stateScenarios(timing))
			timing.SQL, timing.Evaluation, timing.TellEvaluation = time.Minute, 5*time.Minute, 5*time.Minute
			play(t, r, file, timing, missing())
		})
	}
}

func TestTheRulesAboutTheStateAreTheSameAtEverySpeed(t *testing.T) {
	t.Parallel()
	interval := regexp.MustCompile(`(?m)^ +interval: .*\n`)
	rules := func(s Speed) string {
		b, err := os.ReadFile(only(t, s, standing))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "- alert: "+standing[0]+"\n") {
			t.Fatalf("the rules at the speed %s have no %s", s, standing[0])
		}
		return interval.ReplaceAllString(string(b), "")
	}
	if diff := cmp.Diff(rules(Standard), rules(Fast)); diff != "" {
		t.Errorf("the rules about the state (-standard +fast):\n%s", diff)
	}
}

// only writes the groups that have one of the alerts, with their recordings and no other alert, and returns the file: promtool
// evaluates each rule at each step.
func only(t *testing.T, speed Speed, alerts []string) string {
	t.Helper()
	text, err := Generate(speed)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Groups []struct {
			Name     string           `yaml:"name"`
			Interval string           `yaml:"interval"`
			Rules    []map[string]any `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	left := all
	left.Groups = nil
	for _, g := range all.Groups {
		wanted := false
		g.Rules = slices.DeleteFunc(g.Rules, func(r map[string]any) bool {
			name, isAlert := r["alert"].(string)
			kept := slices.Contains(alerts, name)
			wanted = wanted || kept
			return isAlert && !kept
		})
		if wanted {
			left.Groups = append(left.Groups, g)
		}
	}
	out, err := yaml.Marshal(left)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), File)
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
