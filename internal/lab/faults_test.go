package lab_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// faulty is a lab of today with what asks it.
type faulty struct {
	*lab.Lab
	t *testing.T
}

// startFaulty starts one in which a node that is not heard of is missed at once, and then left alone.
func startFaulty(t *testing.T) faulty {
	t.Helper()
	return startFaultyAs(t, func(s model.Spec) model.Spec { return s })
}

// startFaultyAs starts another cluster in the same way.
func startFaultyAs(t *testing.T, as func(model.Spec) model.Spec) faulty {
	t.Helper()
	p := model.Quick()
	p.HeartbeatDelay, p.Shortened = time.Millisecond, 1
	e, err := model.EraNamed(model.EraToday)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(lab.Options{Spec: as(model.Default(p).In(e)), Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return faulty{l, t}
}

func (f faulty) inject(r model.Request) {
	f.t.Helper()
	if _, err := f.Inject(r); err != nil {
		f.t.Fatal(err)
	}
}

// host asks a node as the reader.
func (f faulty) host(node string) *cluster.Host {
	f.t.Helper()
	pem, err := os.ReadFile(f.CAFile())
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		f.t.Fatalf("authority of the lab: %v", err)
	}
	h, err := cluster.NewHost(cluster.Options{
		Name: node, Addresses: []string{f.Address(node)}, Scheme: "basic", Username: exported(f.t, f.Lab, "READER_USER"),
		Password: func() (string, error) { return exported(f.t, f.Lab, "READER_PASSWORD"), nil },
		TLS:      &tls.Config{RootCAs: pool},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = h.Close() })
	return h
}

// view is what a node says of the cluster: the nodes' states and the votes, or why it says nothing.
func (f faulty) view(node string, within time.Duration) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), within)
	defer cancel()
	v, err := f.host(node).View(ctx)
	if err != nil {
		return "no view: " + err.Error()
	}
	var b strings.Builder
	for _, n := range v.Nodes {
		fmt.Fprintf(&b, "%s %d/%d ", n.Name, n.State, n.Status)
	}
	current, needed := v.Votes()
	fmt.Fprintf(&b, "votes %d of %d", current, needed)
	return b.String()
}

// login logs in to SQL Server as the monitor does.
func (f faulty) login(instance string) error {
	f.t.Helper()
	db := f.sql(instance)
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// sql is SQL Server as the monitor's driver has it.
func (f faulty) sql(instance string) *sql.DB {
	f.t.Helper()
	u := url.URL{
		Scheme: "sqlserver", Host: f.Address(instance), User: url.UserPassword(exported(f.t, f.Lab, "SQL_USER"), exported(f.t, f.Lab, "SQL_PASSWORD")),
		RawQuery: url.Values{"encrypt": {"strict"}, "certificate": {f.CAFile()}, "hostNameInCertificate": {"SQL01"}, "dial timeout": {"20"}}.Encode(),
	}
	db, err := sql.Open("sqlserver", u.String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestFaultsOfTheClusterAsItsNodesTell: each node's own word, and where it has none, that.
func TestFaultsOfTheClusterAsItsNodesTell(t *testing.T) {
	t.Parallel()
	const within = 20 * time.Second
	tests := []struct {
		fault     string
		hv1, rest string // what HV1 and HV2 say
	}{
		{model.Partition, "HV1 0/1 HV2 1/0 HV3 1/0 votes 1 of 2", "HV1 1/1 HV2 0/0 HV3 0/0 votes 3 of 2"},
		{model.ClusterServiceStop, "no view: 0x800706d9", "HV1 1/0 HV2 0/0 HV3 0/0 votes 3 of 2"},
		{model.Quarantine, "no view: 0x800706d9", "HV1 1/2 HV2 0/0 HV3 0/0 votes 3 of 2"},
		{model.QuorumLost, "no view: 0x800706d9", "no view: 0x800706d9"},
		{model.Drain, "HV1 2/8 HV2 0/0 HV3 0/0 votes 3 of 2", "HV1 2/8 HV2 0/0 HV3 0/0 votes 3 of 2"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			f := startFaulty(t)
			f.inject(model.Request{Fault: tt.fault, Node: "HV1"})
			for node, want := range map[string]string{"HV1": tt.hv1, "HV2": tt.rest} {
				got := f.view(node, within)
				for until := time.Now().Add(within); !agrees(got, want) && time.Now().Before(until); got = f.view(node, within) {
				}
				if !agrees(got, want) {
					t.Errorf("%s says %q, want %q", node, got, want)
				}
			}
		})
	}
}

// agrees compares a view; of an error it wants the number only.
func agrees(got, want string) bool {
	if number, is := strings.CutPrefix(want, "no view: "); is {
		return strings.HasPrefix(got, "no view: ") && strings.Contains(strings.ToLower(got), number)
	}
	return got == want
}

// TestAGrayHostAcceptsAndIsSilent: its WinRM takes the question, and nothing comes.
func TestAGrayHostAcceptsAndIsSilent(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{model.GrayHost, model.HostDisk} {
		f := startFaulty(t)
		f.inject(model.Request{Fault: fault, Node: "HV1"})
		if got := knock(t, f.Address("HV1")); got != "accepts" {
			t.Errorf("%s: HV1 %s, want it to accept", fault, got)
		}
		if got := f.view("HV1", 300*time.Millisecond); !strings.HasPrefix(got, "no view") {
			t.Errorf("%s: HV1 says %s", fault, got)
		}
		if err := f.login("SQL01/MSSQLSERVER"); err != nil {
			t.Errorf("%s: SQL Server on it: %v", fault, err)
		}
	}
}

// TestStarvedMachinesSaySo, and their neighbours do not.
func TestStarvedMachinesSaySo(t *testing.T) {
	t.Parallel()
	f := startFaulty(t)
	f.inject(model.Request{Fault: model.HostStarved, Node: "HV1"})
	f.inject(model.Request{Fault: model.GuestStarved, VM: "SQL02"})
	for node, want := range map[string]bool{"HV1": true, "HV2": false} {
		m, err := f.host(node).MemoryBalance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Pressure > 100; got != want {
			t.Errorf("%s: pressure %d, want more than 100: %t", node, m.Pressure, want)
		}
	}
	for vm, want := range map[string]bool{"SQL02": true, "SQL04": false} { // both on HV2
		v, err := f.host("HV2").VirtualMachine(t.Context(), vm)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.ProcessorLoad > 90 && v.MemoryAvailable != nil && *v.MemoryAvailable < 0; got != want {
			t.Errorf("%s: %+v, want starved %t", vm, v, want)
		}
	}
}

// TestWhatKeepsTheMonitorOut: SQL Server is well all the time.
func TestWhatKeepsTheMonitorOut(t *testing.T) {
	t.Parallel()
	f := startFaulty(t)
	if err := f.login("SQL01/MSSQLSERVER"); err != nil {
		t.Fatal(err)
	}
	in, err := f.Inject(model.Request{Fault: model.MonitorPassword, VM: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	var refused mssql.Error
	if err := f.login("SQL01/MSSQLSERVER"); !errors.As(err, &refused) || refused.Number != 18456 {
		t.Errorf("login with a wrong password: %v, want 18456", err)
	}
	f.Heal(in.ID)
	f.inject(model.Request{Fault: model.CertificateExpired, VM: "SQL01"})
	if err := f.login("SQL01/MSSQLSERVER"); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("login over an expired certificate: %v", err)
	}
	f.inject(model.Request{Fault: model.CertificateExpired, VM: "SQL01", Component: "host"})
	for node, want := range map[string]bool{"HV1": true, "HV2": false} {
		if got := f.view(node, 20*time.Second); strings.Contains(got, "expired") != want {
			t.Errorf("%s says %q, want an expired certificate: %t", node, got, want)
		}
	}
	if !f.State().Instances[0].Up {
		t.Error("SQL Server is not up")
	}
}

// TestALostVolumePausesItsMachines: Hyper-V calls them critical, and the volume says that nobody reaches it.
func TestALostVolumePausesItsMachines(t *testing.T) {
	t.Parallel()
	f := startFaulty(t)
	f.inject(model.Request{Fault: model.VolumeLost})
	h := f.host("HV1")
	v, err := h.VirtualMachine(t.Context(), "SQL01")
	if err != nil || v.State != model.VMPausedCritical {
		t.Errorf("SQL01 is in state %d, %v; want %d", v.State, err, model.VMPausedCritical)
	}
	volumes, err := h.SharedVolumes(t.Context())
	if err != nil || len(volumes) != 1 || volumes[0].Fault != cluster.VolumeFaultNoAccess {
		t.Errorf("volumes %+v, %v", volumes, err)
	}
	if got := knock(t, f.Address("SQL01/MSSQLSERVER")); got != "silent" {
		t.Errorf("SQL Server %s, want it silent", got)
	}
}

// TestAGuestClusterFromOutside: the virtual server's address leads to the guest that owns it.
func TestAGuestClusterFromOutside(t *testing.T) {
	t.Parallel()
	f := startFaultyAs(t, func(s model.Spec) model.Spec {
		s.Profile.GuestFailover, s.Profile.ServiceStart, s.Profile.Shortened = 200*time.Millisecond, 200*time.Millisecond, 16
		return s.GuestClustered()
	})
	owner := func() string {
		db := f.sql("SQL01/MSSQLSERVER")
		defer db.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var clustered int
		var machine, name string
		if err := db.QueryRowContext(ctx, "select serverproperty('IsClustered'), serverproperty('MachineName')").Scan(&clustered, &machine); err != nil {
			return err.Error()
		}
		if err := db.QueryRowContext(ctx, "select NodeName from sys.dm_os_cluster_nodes where is_current_owner = 1").Scan(&name); err != nil {
			return err.Error()
		}
		return fmt.Sprint(clustered, " ", machine, " ", name)
	}
	if got, want := owner(), "1 SQL01-CL1 SQL01"; got != want {
		t.Fatalf("before: %q, want %q", got, want)
	}
	f.inject(model.Request{Fault: model.ServiceCrash, VM: "SQL01"})
	const want = "1 SQL01-CL1 SQL01B"
	got := owner()
	for until := time.Now().Add(20 * time.Second); got != want && time.Now().Before(until); got = owner() {
	}
	if got != want {
		t.Errorf("after the failover: %q, want %q", got, want)
	}
	if c := f.Counters().VMs["SQL01"]; len(c.FailoversByCluster) != 1 {
		t.Errorf("failovers %+v, want one", c.FailoversByCluster)
	}
	if g := f.State().GuestClusters; len(g) != 5 || g[0].Owner != "SQL01B" {
		t.Errorf("the control says %+v", g)
	}
	for _, i := range f.State().Instances {
		if strings.HasSuffix(i.VM, "B") {
			t.Errorf("%s has an instance of its own: %+v", i.VM, i)
		}
	}
}

// TestWritesWaitForTheBackupsSnapshot: reads do not, and what waited is done when the snapshot is.
func TestWritesWaitForTheBackupsSnapshot(t *testing.T) {
	t.Parallel()
	f := startFaulty(t)
	db := f.sql("SQL01/MSSQLSERVER")
	if _, err := db.ExecContext(t.Context(), "create table sales.dbo.frozen (n int primary key)"); err != nil {
		t.Fatal(err)
	}
	in, err := f.Inject(model.Request{Fault: model.BackupFreeze, VM: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(t.Context(), "insert into sales.dbo.frozen values (1)")
		written <- err
	}()
	var n int
	if err := db.QueryRowContext(t.Context(), "select count(*) from sys.databases").Scan(&n); err != nil {
		t.Errorf("a read while writes are frozen: %v", err)
	}
	select {
	case err := <-written:
		t.Errorf("a write was not held: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	f.Heal(in.ID)
	if err := <-written; err != nil {
		t.Errorf("the write that waited: %v", err)
	}
}
