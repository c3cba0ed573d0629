package sqlengine

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
	"github.com/hypervigil/hypervigil/internal/peers"
	"github.com/hypervigil/hypervigil/internal/servetest"
)

// serve runs an engine behind a server that requires encryption, and returns its host and port.
func serve(t *testing.T, encryption tdsserver.Encryption) (host, port string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, &model{})
	srv, err := tdsserver.New(tdsserver.Options{
		Handler: e, Transactions: e, Logger: log.NewNopLogger(), Version: "16.0.4135.4", ServerName: `SQL01\PAY`,
		Encryption: encryption, TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	host, port, err = net.SplitHostPort(servetest.Listen(t, srv.Serve))
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// run runs a program with an input for at most 30 s and returns all it printed.
func run(t *testing.T, dir string, env []string, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append(os.Environ(), env...), strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// Exit codes differ between versions; what was printed is judged.
	if err := cmd.Run(); err != nil && ctx.Err() != nil {
		t.Fatalf("%s did not end in 30 s; it printed %s", name, out.String())
	}
	return out.String()
}

func wantOutput(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("the output lacks %q:\n%s", w, got)
		}
	}
}

// TestFreeTDS logs in with FreeTDS' interactive and batch clients, encrypted and not.
func TestFreeTDS(t *testing.T) {
	t.Parallel()
	tsql := peers.Need(t, "tsql")
	bsqldb := peers.Need(t, "bsqldb")
	for encryption, setting := range map[tdsserver.Encryption]string{tdsserver.Required: "require", tdsserver.Offered: "request"} {
		host, port := serve(t, encryption)
		dir := t.TempDir()
		conf := filepath.Join(dir, "freetds.conf")
		text := "[lab]\nhost = " + host + "\nport = " + port + "\ntds version = 7.4\nencryption = " + setting + "\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env := []string{"FREETDSCONF=" + conf, "LC_ALL=C.UTF-8"}
		wantOutput(t, run(t, dir, env,
			"select name, state_desc from sys.databases where state = 4\ngo\nselect * from nowhere\ngo\nselect 40 + 2\ngo\n",
			tsql, "-S", "lab", "-U", "hypervigil", "-P", "correct horse"),
			"name\tstate_desc", "Shop\tSUSPECT", "(1 row affected)", "Msg 208", "Invalid object name 'nowhere'.", "42")
		wantOutput(t, run(t, dir, env, "select 1\ngo\n", tsql, "-S", "lab", "-U", "hypervigil", "-P", "wrong"),
			"18456", "Login failed for user 'hypervigil'.")
		wantOutput(t, run(t, dir, env,
			"select cast(serverproperty('ServerName') as sysname) as s, @@trancount as n\ngo\n",
			bsqldb, "-S", "lab", "-U", "hypervigil", "-P", "correct horse"),
			`SQL01\PAY`)
		wantOutput(t, run(t, dir, env, `create table tempdb..a (product_code nchar(10) not null primary key, remark nvarchar(50) null)
create table tempdb..b (product_code nchar(10) primary key, product_name nvarchar(50))
insert into tempdb..a (product_code) values (N'P1'), (N'P2')
insert tempdb..b values (N'P1', N'bolt'), (N'P2', N'nut')
go
begin transaction
go
update a set remark = b.product_name + N' #1' from tempdb..a as a inner join tempdb..b as b on a.product_code = b.product_code
select database_id, database_transaction_state from sys.dm_tran_database_transactions where database_transaction_state = 4
go
rollback
go
select count(*) as torn from tempdb..a where remark is not null
go
begin tran insert tempdb..a values (N'S1', N'kept') commit
go
select product_code, remark from tempdb..a where remark is not null
insert tempdb..a values (N'S1', N'twice')
go
drop table tempdb..a, tempdb..b
go
`, tsql, "-S", "lab", "-U", "hypervigil", "-P", "correct horse"),
			"2\t4", "torn\n0\n", "S1        \tkept", "Msg 2627")
	}
}
