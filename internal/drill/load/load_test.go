package load_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/drill/load"
	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/servetest"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/internal/targets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a lab and a prober of its first SQL Server.
func site(t *testing.T) (*lab.Lab, *sqlhealth.Prober) {
	t.Helper()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	path, err := l.Config(lab.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	of := targets.New(c, log.NewNopLogger())
	t.Cleanup(func() {
		if err := of.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := of.SQL(c.Clusters[0], c.Clusters[0].VirtualMachines[0].SQLServers[0])
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

// client is a prepared one.
func client(t *testing.T, o load.Options) *load.Client {
	t.Helper()
	o.Database = "sales"
	c, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a client; the function that it returns ends it.
func start(t *testing.T, c *load.Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// until waits for something that comes of itself, as it does outside.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// verify stops nothing and returns what is there.
func verify(t *testing.T, c *load.Client) load.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := c.Verify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inject(t *testing.T, l *lab.Lab, fault string) string {
	t.Helper()
	in, err := l.Inject(model.Request{Fault: fault, VM: "SQL01"})
	if err != nil {
		t.Fatal(err)
	}
	return in.ID
}

func patience() sqlhealth.Patience {
	return sqlhealth.Patience{Login: 5 * time.Second, Statement: 5 * time.Second}
}

// tables lists the tables that are there.
func tables(t *testing.T, p *sqlhealth.Prober) []string {
	t.Helper()
	names, err := sqlhealth.Converse(t.Context(), p, patience(), func(_ context.Context, talk *sqlhealth.Conversation) (names []string, err error) {
		rows, err := talk.Ask("SELECT name FROM sales.sys.tables", 1, 100)
		for _, row := range rows {
			names = append(names, row[0].(string))
		}
		return names, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// do runs statements behind a client's back.
func do(t *testing.T, p *sqlhealth.Prober, texts ...string) {
	t.Helper()
	_, err := sqlhealth.Converse(t.Context(), p, patience(), func(_ context.Context, talk *sqlhealth.Conversation) (struct{}, error) {
		for _, text := range texts {
			if _, err := talk.Do(text); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAcknowledgedCommitsSurviveACrash crashes the service under short transactions, and brings it back.
func TestAcknowledgedCommitsSurviveACrash(t *testing.T) {
	t.Parallel()
	l, p := site(t)
	c := client(t, load.Options{Prober: p, Rows: 7, Every: time.Millisecond, KnockEvery: 20 * time.Millisecond})
	stop := start(t, c)
	acknowledged := func() int { return c.Tally().Acknowledged }
	until(t, "twenty commits", func() bool { return acknowledged() >= 20 })
	fault := inject(t, l, model.ServiceCrash)
	before := acknowledged()
	until(t, "a transaction that fails", func() bool { r := c.Tally(); return r.Failed > 0 && r.Errors["tcp_refused"] > 0 })
	if !l.Heal(fault) {
		t.Fatal("nobody started the service")
	}
	until(t, "commits after the crash", func() bool { return acknowledged() >= before+20 })
	stop()
	r := verify(t, c)
	if r.Acknowledged < before+20 || r.Lost != 0 || r.Ghosts != 0 || r.Torn != 0 || r.Failed == 0 {
		t.Errorf("after a crash: %+v", r)
	}
	// The quick profile's start takes 2 s.
	if r.LongestGap < 2*time.Second || r.LongestGap > 15*time.Second || r.GapTo.Sub(r.GapFrom) != r.LongestGap {
		t.Errorf("the longest gap is %v, from %v to %v; want the 2 s of the service's start and a little", r.LongestGap, r.GapFrom, r.GapTo)
	}
	if r.TCPLost < 2*time.Second || r.TCPLost > r.LongestGap+time.Second {
		t.Errorf("the port was lost for %v, want 2 s and a little", r.TCPLost)
	}
	if err := c.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if left := tables(t, p); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestACutNetworkIsLost shows the time without TCP where nobody refuses, and that the transaction under way is not counted.
func TestACutNetworkIsLost(t *testing.T) {
	t.Parallel()
	l, p := site(t)
	c := client(t, load.Options{Prober: p, Every: time.Millisecond, KnockEvery: 20 * time.Millisecond, Statement: time.Second, Login: time.Second})
	stop := start(t, c)
	until(t, "a commit", func() bool { return c.Tally().Acknowledged > 0 })
	fault := inject(t, l, model.LANBoard)
	before := c.Tally()
	until(t, "a second without TCP", func() bool { return c.Tally().TCPLost >= time.Second })
	l.Heal(fault)
	until(t, "commits again", func() bool { return c.Tally().Acknowledged >= before.Acknowledged+5 })
	stop()
	r := verify(t, c)
	if r.Lost != 0 || r.Ghosts != 0 || r.Torn != 0 || r.Unknown > 1 || r.TCPLost < time.Second || r.LongestGap < time.Second {
		t.Errorf("after a cut: %+v", r)
	}
}

// TestATransactionInTheMiddleIsRolledBack crashes SQL Server under a long transaction: what it wrote is gone, and the
// database is recovered for as long as there was work.
func TestATransactionInTheMiddleIsRolledBack(t *testing.T) {
	t.Parallel()
	l, p := site(t)
	const rows = 1500
	c := client(t, load.Options{Prober: p, Shape: load.Long, Rows: rows, Hold: time.Hour})
	stop := start(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	until(t, "an open transaction in SQL Server's views", func() bool {
		w, err := p.Work(ctx)
		return err == nil && w.Oldest > 0
	})
	fault := inject(t, l, model.ServiceCrash)
	l.Heal(fault)
	until(t, "a database in recovery", func() bool { return c.Tally().Errors["error 922"] > 0 })
	stop()
	began := time.Now()
	r := verify(t, c)
	// The quick profile's recovery takes 1 ms a row; it had begun when we looked.
	if took := time.Since(began); took < rows*time.Millisecond/2 {
		t.Errorf("the database was there after %v, want some of the %v that %d rows take", took, rows*time.Millisecond, rows)
	}
	if r.Acknowledged != 0 || r.Unknown != 0 || r.Ghosts != 0 || r.Torn != 0 || r.Failed == 0 {
		t.Errorf("after a crash in the middle: %+v", r)
	}
}

// TestVerifySeesWhatIsMissing takes away what was acknowledged.
func TestVerifySeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, p := site(t)
	for _, shape := range []load.Shape{load.Short, load.Long} {
		c := client(t, load.Options{Prober: p, Shape: shape, Rows: 3, Every: time.Millisecond})
		stop := start(t, c)
		until(t, "ten commits", func() bool { return c.Tally().Acknowledged >= 10 })
		stop()
		if r := verify(t, c); r.Acknowledged < 10 || r.Lost+r.Ghosts+r.Torn+r.Failed+r.Unknown != 0 {
			t.Errorf("%v: undisturbed: %+v", shape, r)
		}
		a := c.Tables()[0]
		do(t, p, "DELETE FROM "+a+" WHERE product_code = N'S000000002'",
			"UPDATE "+a+" SET remark = N'product 1 #1' WHERE product_code = N'P000000001'")
		if r := verify(t, c); r.Lost != 1 || r.Torn != 1 {
			t.Errorf("%v: a commit and a change are missing: %+v", shape, r)
		}
		do(t, p, "DROP TABLE "+a)
		if r, err := c.Verify(t.Context()); err == nil {
			t.Errorf("%v: without its table: %+v", shape, r)
		}
		if err := c.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// instance is a SQL Server whose answer to one COMMIT is cut off, before or after it is done.
type instance struct {
	*sqlengine.Engine
	cut  atomic.Bool
	done bool
}

func (i *instance) Query(ctx context.Context, s *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
	if strings.HasPrefix(r.Text, "COMMIT") && i.cut.CompareAndSwap(true, false) {
		if i.done {
			i.Engine.Query(ctx, s, r)
		}
		return tdsserver.Response{HangUp: true}
	}
	return i.Engine.Query(ctx, s, r)
}

// always is an instance that runs.
type always struct{}

func (always) Admit(string) bool                { return false }
func (always) Authenticate(_, word string) bool { return word == "secret" }

func (always) Snapshot() sqlengine.Snapshot {
	return sqlengine.Snapshot{Version: "16.0.4135.4", Now: time.Now(), Databases: []sqlengine.Database{{ID: 1, Name: "master"}, {ID: 5, Name: "sales"}}}
}

// cutting is a server of an instance, and a prober of it.
func cutting(t *testing.T, i *instance) *sqlhealth.Prober {
	t.Helper()
	dir := t.TempDir()
	ca, err := lab.NewAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Issue("SQL01")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := tdsserver.New(tdsserver.Options{
		Handler: i, Transactions: i, Logger: log.NewNopLogger(), Version: "16.0.4135.4", Encryption: tdsserver.Offered, TLS: certificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := servetest.Listen(t, srv.Serve)
	trust, err := config.TLS{CAFile: dir + "/ca.pem"}.Client()
	if err != nil {
		t.Fatal(err)
	}
	p, err := sqlhealth.New(sqlhealth.Options{Logger: log.NewNopLogger(), Target: sqlhealth.Target{
		Address: address, Scheme: config.Basic, Username: "load", Password: func() (config.Secret, error) { return config.NewSecret("secret"), nil },
		Encrypt: config.Mandatory, RootCAs: trust.RootCAs,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestACommitWhoseAnswerWasCutOffIsUnknown shows both of what may have become of it.
func TestACommitWhoseAnswerWasCutOffIsUnknown(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprint("done ", done), func(t *testing.T) {
			t.Parallel()
			engine, err := sqlengine.New(always{})
			if err != nil {
				t.Fatal(err)
			}
			i := &instance{Engine: engine, done: done}
			c := client(t, load.Options{Prober: cutting(t, i), Every: time.Millisecond})
			stop := start(t, c)
			until(t, "a commit", func() bool { return c.Tally().Acknowledged > 0 })
			i.cut.Store(true)
			until(t, "one that is unknown, and others", func() bool { r := c.Tally(); return r.Unknown == 1 && r.Acknowledged > 5 })
			stop()
			kept := 0
			if done {
				kept = 1
			}
			if r := verify(t, c); r.Unknown != 1 || r.Kept != kept || r.Lost+r.Ghosts+r.Torn != 0 {
				t.Errorf("%+v, want one unknown, of which %d are there", r, kept)
			}
		})
	}
}

// TestTablesAreMadeAndRemoved shows that a drill that was killed is cleaned up after by a later one, and that nobody else's
// tables are touched.
func TestTablesAreMadeAndRemoved(t *testing.T) {
	t.Parallel()
	_, p := site(t)
	old := time.Now().UTC().Add(-25 * time.Hour).Format("20060102t150405")
	young := time.Now().UTC().Add(-time.Hour).Format("20060102t150405")
	for _, name := range []string{load.Prefix + old + "_x_a", load.Prefix + young + "_x_a", load.Prefix + "mine", "orders"} {
		do(t, p, "CREATE TABLE sales.dbo."+name+" (n int)")
	}
	c := client(t, load.Options{Prober: p, Rows: 1201, Shape: load.Long})
	got := strings.Join(tables(t, p), " ")
	if strings.Contains(got, old) || !strings.Contains(got, young) || !strings.Contains(got, "mine") || !strings.Contains(got, "orders") {
		t.Errorf("after Prepare there are %s", got)
	}
	if err := c.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "2714") && !strings.Contains(err.Error(), "already an object") {
		t.Errorf("a second Prepare = %v, want SQL Server's refusal", err)
	}
	if got := tables(t, p); len(got) != 3 {
		t.Errorf("a Prepare that failed left %v", got)
	}
	if err := c.Remove(t.Context()); err != nil {
		t.Errorf("Remove where there is nothing = %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, p := site(t)
	for name, o := range map[string]load.Options{
		"no prober":   {Database: "sales"},
		"no database": {Prober: p},
		"tempdb":      {Prober: p, Database: "TempDB"},
		"master":      {Prober: p, Database: "master"},
		"rows":        {Prober: p, Database: "sales", Rows: -1},
		"many rows":   {Prober: p, Database: "sales", Rows: 10_001},
		"hold":        {Prober: p, Database: "sales", Hold: -time.Second},
	} {
		if _, err := load.New(o); err == nil {
			t.Errorf("%s: New = nil", name)
		}
	}
	c, err := load.New(load.Options{Prober: p, Database: "sales"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err == nil {
		t.Error("Run before Prepare = nil")
	}
	if s, err := load.ShapeNamed("long"); err != nil || s != load.Long {
		t.Errorf("ShapeNamed(long) = %v, %v", s, err)
	}
	if _, err := load.ShapeNamed("wide"); err == nil {
		t.Error("ShapeNamed(wide) = nil")
	}
}
