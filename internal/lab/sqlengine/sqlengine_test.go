package sqlengine

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// model is an instance at rest.
type model struct{ phase atomic.Int32 }

func (m *model) Admit(account string) bool { return account == "monitor" }

func (m *model) Authenticate(user, password string) bool {
	return user == "hypervigil" && password == "correct horse"
}

func (m *model) Snapshot() Snapshot {
	zone := time.FixedZone("", 2*3600)
	start := time.Date(2026, 3, 1, 8, 0, 0, 120_000_000, zone)
	return Snapshot{
		Phase:        Phase(m.phase.Load()),
		ServerName:   `SQL01\PAY`,
		MachineName:  "SQL01",
		InstanceName: "PAY",
		Version:      "16.0.4135.4",
		Edition:      "Enterprise Edition (64-bit)",
		StartTime:    start,
		Now:          start.Add(90 * time.Minute),
		Databases: []Database{
			{ID: 1, Name: "master", CreateDate: start},
			{ID: 2, Name: "tempdb", CreateDate: start},
			{ID: 5, Name: "Shop", State: Suspect, UserAccess: Restricted, ReadOnly: true},
			{ID: 6, Name: "Away", State: Offline},
		},
	}
}

// engine is one over a model.
func engine(t testing.TB, m *model) *Engine {
	t.Helper()
	e, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ask runs a text and returns its last result.
func ask(t testing.TB, e *Engine, text string, params ...tdsserver.Param) tdsserver.Result {
	t.Helper()
	resp := e.Query(context.Background(), &tdsserver.Session{}, tdsserver.Request{Text: text, Params: params})
	if len(resp.Results) == 0 {
		return tdsserver.Result{}
	}
	return resp.Results[len(resp.Results)-1]
}

// TestSelect shows what the evaluator gives: the names of the columns, then the rows.
func TestSelect(t *testing.T) {
	t.Parallel()
	e := engine(t, &model{})
	start := (&model{}).Snapshot().StartTime
	now := (&model{}).Snapshot().Now
	for _, tt := range []struct {
		text string
		want string
	}{
		{"select 1", "|1"},
		{"SELECT 1;", "|1"},
		{"-- why\nselect /* what */ 1 as [one], 'it''s' s, N'ü' \"u\", null n, -5, 'x' as 'y'\n", "one,s,u,n,,y|1,it's,ü,<nil>,-5,x"},
		{"select a = 1, @@spid", "a,|1,0"},
		{"select 1.25 + 0", "error 8117"},
		{"select 2 + 3 * 4 - 1, (2 + 3) * 4, 7 / 2, 7 % 4, - (3), 'a' + 'b' + 'c'", ",,,,,|13,20,3,3,-3,abc"},
		{"select 1/0", "error 8134"},
		{"select 2147483647 + 1", "error 8115"},
		{"select @@version", "|Microsoft SQL Server 2022 - 16.0.4135.4 (X64) \n\tEnterprise Edition (64-bit) on Windows (Hypervisor)\n"},
		{"select @@servername, @@SERVICENAME, @@trancount, @@microsoftversion", ",,,|SQL01\\PAY,PAY,0,268439591"},
		{"select serverproperty('ProductVersion'), SERVERPROPERTY(N'edition'), serverproperty('EngineEdition')", ",,|16.0.4135.4,Enterprise Edition (64-bit),3"},
		{"select serverproperty('InstanceName'), serverproperty('MachineName'), serverproperty('IsClustered'), serverproperty('Nonsense')", ",,,|PAY,SQL01,0,<nil>"},
		{"select cast(serverproperty('ProductMajorVersion') as int) * 2, convert(nvarchar(3), 'abcdef'), cast('7' as bigint), cast(1 as bit)", ",,,|32,abc,7,true"},
		{"select cast('x' as int)", "error 245"},
		{"select cast(1 as widget)", "error 243"},
		{"select isnull(null, 'x'), coalesce(null, null, 3)", ",|x,3"},
		{"select db_name(), db_id('shop'), db_name(2), db_id()", ",,,|master,5,tempdb,1"},
		{"select name from sys.databases", "name|master|tempdb|Shop|Away"},
		{"select name, state s, d.state_desc as [state desc] from sys.databases as d where name = 'SHOP '", "name,s,state desc|Shop,4,SUSPECT"},
		{"select d.name from master.sys.databases d with (nolock) where database_id > 1 and not (state_desc = 'offline' or is_read_only = 1)", "name|tempdb"},
		{"select name from sys.databases where database_id in (1, 5) order by name desc", "name|Shop|master"},
		{"select name from sys.databases where database_id not in (1, 5) order by 1", "name|Away|tempdb"},
		{"select top 1 name from sys.databases order by database_id desc", "name|Away"},
		{"select top (2) database_id from sys.databases order by state desc, name", "database_id|6|5"},
		{"select name from sys.databases where collation_name is null", "name|Shop|Away"},
		{"select name from sys.databases where collation_name is not null and replica_id = replica_id", "name"},
		{"select count(*), count_big(*) as n from sys.databases where state <> 0", ",n|2,2"},
		{"select count(*) from sys.databases where name = @p1", "|1"},
		{"select user_access, user_access_desc, is_in_standby from sys.databases where name='Shop'", "user_access,user_access_desc,is_in_standby|2,RESTRICTED_USER,false"},
		{"select ms_ticks - sqlserver_start_time_ms_ticks from sys.dm_os_sys_info", "|5400000"},
		{"select sqlserver_start_time from sys.dm_os_sys_info", "sqlserver_start_time|" + fmt.Sprint(start)},
		{"select getdate(), sysutcdatetime(), current_timestamp", ",,|" + fmt.Sprint(now) + "," + fmt.Sprint(now.UTC()) + "," + fmt.Sprint(now)},
		{"select @p1, @P2", ",|master,5"},
		{"set nocount on set quoted_identifier on; set textsize 2147483647 select 1", "|1"},
		{"set transaction isolation level read committed set lock_timeout -1 set language us_english", ""},
		{"set ansi_nulls, ansi_padding on", ""},

		{"select frob(1)", "error 195"},
		{"set frob on", "error 195"},
		{"select x", "error 207"},
		{"select name from sys.databases where nam = 1", "error 207"},
		{"select z.name from sys.databases d", "error 4104"},
		{"select * from sys.dm_exec_cursors", "error 208"},
		{"select * from dbo.orders", "error 208"},
		{"select * from Away.sys.databases", "error 942"},
		{"select * from nowhere.sys.databases", "error 911"},
		{"select @nothing", "error 137"},
		{"select 1 where", "error 102"},
		{"select from sys.databases", "error 156"},
		{"select 1 = 1", "error 102"},
		{"select name from sys.databases where 1", "error 4145"},
		{"select name from sys.databases a join sys.databases b on 1 = 1", "error 209"},
		{"select a.name from sys.databases a join sys.databases b on b.database_id = 1 and a.database_id = b.database_id", "name|master"},
		{"select a.name from sys.databases a left join sys.databases b on 1 = 1", "error 156"},
		{"select c.name from sys.databases a join sys.databases b on 1 = 1", "error 4104"},
		{"select name, count(*) from sys.databases", "error 8120"},
		{"select max(create_date), min(name) from sys.databases where database_id > 5", ",|0001-01-01 00:00:00 +0000 UTC,Away"},
		{"select max(name) from sys.databases where 1 = 0", "|<nil>"},
		{"select is_read_only, count(*) n, max(database_id) from sys.databases group by is_read_only", "is_read_only,n,|false,3,6|true,1,5"},
		{"select d.collation_name from sys.databases d group by collation_name", "collation_name|SQL_Latin1_General_CP1_CI_AS|<nil>"},
		{"select name from sys.databases where 1 = 0 group by name", "name"},
		{"select name, state from sys.databases group by name", "error 8120"},
		{"select * from sys.databases group by name", "error 8120"},
		{"select count(*) from sys.databases group by count(*)", "error 144"},
		{"select max(count(*)) from sys.databases", "error 130"},
		{"select name from sys.databases order by count(*)", "error 8127"},
		{"select count(*) from sys.databases order by 1", "error 156"},
		{"select *", "error 263"},
		{"select name from sys.databases order by 2", "error 108"},
		{"select 'x", "error 105"},
		{"select 1 /* x", "error 113"},
		{"select " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), "error 191"},
		{"select getdate() > 1", "error 102"},
		{"select 1 from sys.databases where create_date = 5", "error 206"},
		{"drop table x", "error 3701"},
		{"if 1 = 1 select 1", "error 156"},
		{"exec sp_who2", "error 2812"},
		{"xp_cmdshell 'dir'", "error 2812"},
		{"exec sp_server_diagnostics 4", "error 15600"},
		{"use nowhere", "error 911"},
		{"use shop", "error 926"},
	} {
		got := format(ask(t, e, tt.text, tdsserver.Param{Name: "@p1", Value: "master"}, tdsserver.Param{Name: "@p2", Value: int64(5)}))
		if got != tt.want {
			t.Errorf("%s\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// format is a result on one line.
func format(r tdsserver.Result) string {
	if r.Error != nil {
		return fmt.Sprintf("error %d", r.Error.Number)
	}
	var parts []string
	if r.Columns != nil {
		var names []string
		for _, c := range r.Columns {
			names = append(names, c.Name)
		}
		parts = append(parts, strings.Join(names, ","))
	}
	for _, row := range r.Rows {
		var values []string
		for _, v := range row {
			values = append(values, fmt.Sprint(v))
		}
		parts = append(parts, strings.Join(values, ","))
	}
	return strings.Join(parts, "|")
}

func TestStatements(t *testing.T) {
	t.Parallel()
	e := engine(t, &model{})
	if got := ask(t, e, "USE [Tempdb]"); got.Database != "tempdb" {
		t.Errorf("use: %+v", got)
	}
	if got := ask(t, e, "print 'hello ' + @@servername"); len(got.Messages) != 1 || got.Messages[0].Message != `hello SQL01\PAY` {
		t.Errorf("print: %+v", got)
	}
	for text, want := range map[string]tdsserver.TransactionChange{
		"begin tran": tdsserver.Begin, "BEGIN TRANSACTION": tdsserver.Begin, "commit": tdsserver.Commit,
		"commit tran": tdsserver.Commit, "rollback work": tdsserver.Rollback,
	} {
		if got := ask(t, e, text); got.Transaction != want {
			t.Errorf("%s: %+v, want change %d", text, got, want)
		}
	}
	for _, text := range []string{"sp_server_diagnostics", "exec sys.sp_server_diagnostics @repeat_interval = 0", "EXEC master..sp_server_diagnostics 0"} {
		got := ask(t, e, text)
		var states []string
		for _, row := range got.Rows {
			states = append(states, fmt.Sprintf("%v %v %v", row[2], row[3], row[4]))
		}
		want := []string{"system 1 clean", "resource 1 clean", "query_processing 1 clean", "io_subsystem 1 clean", "events 0 unknown"}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}

	// A batch is read as a whole before anything of it runs, and stops at the first error.
	resp := e.Query(t.Context(), &tdsserver.Session{}, tdsserver.Request{Text: "select 1; select 2 selec 3"})
	if len(resp.Results) != 1 || resp.Results[0].Error == nil {
		t.Errorf("a batch that cannot be read gave %d results", len(resp.Results))
	}
	resp = e.Query(t.Context(), &tdsserver.Session{}, tdsserver.Request{Text: "select 1; select * from nowhere; select 3"})
	if len(resp.Results) != 2 || resp.Results[0].Error != nil || resp.Results[1].Error == nil {
		t.Errorf("a batch with a missing object gave %d results", len(resp.Results))
	}
	if resp := e.Query(t.Context(), &tdsserver.Session{}, tdsserver.Request{Text: " -- nothing"}); len(resp.Results) != 0 {
		t.Errorf("an empty batch gave %d results", len(resp.Results))
	}
}

// TestPhases shows what each phase says to a login and to a statement.
func TestPhases(t *testing.T) {
	t.Parallel()
	good := tdsserver.Login{User: "hypervigil", Password: "correct horse"}
	for _, tt := range []struct {
		phase        Phase
		login, query int32
	}{
		{Running, 0, 0}, {Starting, 17187, 0}, {Paused, 17142, 0}, {SingleUser, 18461, 0}, {ShuttingDown, 17188, 6005},
	} {
		m := &model{}
		m.phase.Store(int32(tt.phase))
		e := engine(t, m)
		var got int32
		if failed := e.Login(t.Context(), good); failed != nil {
			got = failed.Number
		}
		if got != tt.login {
			t.Errorf("%v: login gives %d, want %d", tt.phase, got, tt.login)
		}
		got = 0
		if r := ask(t, e, "select 1"); r.Error != nil {
			got = r.Error.Number
		}
		if got != tt.query {
			t.Errorf("%v: statement gives %d, want %d", tt.phase, got, tt.query)
		}
	}

	m := &model{}
	m.phase.Store(int32(Hung))
	e := engine(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan struct{}, 2)
	go func() { e.Login(ctx, good); returned <- struct{}{} }()
	go func() {
		e.Query(ctx, &tdsserver.Session{}, tdsserver.Request{Text: "select 1"})
		returned <- struct{}{}
	}()
	select {
	case <-returned:
		t.Error("a hung instance answered")
	default:
	}
	cancel()
	<-returned
	<-returned
}

func TestLogin(t *testing.T) {
	t.Parallel()
	e := engine(t, &model{})
	for _, tt := range []struct {
		user, password, database string
		want                     int32
	}{
		{"hypervigil", "correct horse", "", 0},
		{"hypervigil", "correct horse", "master", 0},
		{"hypervigil", "wrong", "", 18456},
		{"sa", "correct horse", "", 18456},
		{"hypervigil", "correct horse", "nowhere", 4060},
		{"hypervigil", "correct horse", "Away", 4060},
	} {
		var got int32
		if failed := e.Login(t.Context(), tdsserver.Login{User: tt.user, Password: tt.password, Database: tt.database}); failed != nil {
			got = failed.Number
		}
		if got != tt.want {
			t.Errorf("login of %s to %q gives %d, want %d", tt.user, tt.database, got, tt.want)
		}
	}
}

// TestTypes shows that what is declared fits what is sent: FreeTDS and sqlcmd pad to the declared width.
func TestTypes(t *testing.T) {
	t.Parallel()
	e := engine(t, &model{})
	for text, want := range map[string]tdsserver.Type{
		"select 'abc'":                            {Kind: tdsserver.NVarChar, Length: 3},
		"select ''":                               {Kind: tdsserver.NVarChar, Length: 1},
		"select 'ab' + 'c'":                       {Kind: tdsserver.NVarChar, Length: 3},
		"select 5":                                {Kind: tdsserver.Int},
		"select 5000000000":                       {Kind: tdsserver.BigInt},
		"select 12.5":                             {Kind: tdsserver.Decimal, Precision: 3, Scale: 1},
		"select -0.25":                            {Kind: tdsserver.Decimal, Precision: 3, Scale: 2},
		"select @d":                               {Kind: tdsserver.Decimal, Precision: 2, Scale: 0},
		"select null":                             {Kind: tdsserver.Int},
		"select serverproperty('Edition')":        {Kind: tdsserver.Variant},
		"select cast(1 as nvarchar(max))":         {Kind: tdsserver.NVarChar, Length: tdsserver.Max},
		"select cast(1 as varchar)":               {Kind: tdsserver.NVarChar, Length: 30},
		"select isnull(null, 1)":                  {Kind: tdsserver.Int},
		"select ms_ticks from sys.dm_os_sys_info": {Kind: tdsserver.BigInt},
	} {
		r := ask(t, e, text, tdsserver.Param{Name: "@d", Value: big.NewRat(42, 1)})
		if r.Error != nil || len(r.Columns) != 1 {
			t.Errorf("%s: %v", text, r.Error)
			continue
		}
		if diff := cmp.Diff(want, r.Columns[0].Type); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
}

// FuzzQuery shows that no text brings the engine down or gives a row of the wrong width.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"select 1", "select name n, 'x' from sys.databases d where d.state in (0, 1) and not name is null order by 1 desc",
		"set nocount on use master exec sp_server_diagnostics @repeat_interval = 0", "select cast(@p1 as int) + -1.5 % 'a'", "select top (1) count(*) from sys.databases", "select name, max(state) from sys.databases group by name, state",
	} {
		f.Add(s)
	}
	e := engine(f, &model{})
	f.Fuzz(func(t *testing.T, text string) {
		resp := e.Query(t.Context(), &tdsserver.Session{}, tdsserver.Request{Text: text, Params: []tdsserver.Param{{Name: "@p1", Value: "9"}}})
		for _, r := range resp.Results {
			for _, row := range r.Rows {
				if len(row) != len(r.Columns) {
					t.Errorf("%q: %d values for %d columns", text, len(row), len(r.Columns))
				}
			}
		}
	})
}
