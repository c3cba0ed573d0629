package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-kit/log"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/lab"
	"github.com/hypervigil/hypervigil/internal/lab/sqlengine"
	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// instance is a SQL Server that is well and has nothing to do.
type instance struct {
	password string
	started  time.Time
}

var _ sqlengine.Instance = instance{}

// Authenticate implements sqlengine.Instance.
func (i instance) Authenticate(user, password string) bool {
	return user == username && password == i.password
}

// Admit implements sqlengine.Instance: no Windows account logs in.
func (instance) Admit(string) bool { return false }

// Snapshot implements sqlengine.Instance.
func (i instance) Snapshot() sqlengine.Snapshot {
	return sqlengine.Snapshot{
		Phase: sqlengine.Running, ServerName: "SQL", MachineName: "SQL", InstanceName: "MSSQLSERVER", Version: "16.0.4135.4",
		Edition: "Enterprise Edition (64-bit)", StartTime: i.started, Now: time.Now(), MaxWorkers: 512,
		Databases: []sqlengine.Database{{ID: 1, Name: "master"}, {ID: 2, Name: "tempdb"}, {ID: 3, Name: "model"}, {ID: 4, Name: "msdb"}},
	}
}

// serveSQL serves that many SQL Servers, each on a port of its own, until ctx ends.
func serveSQL(ctx context.Context, dir string, count int) error {
	ca, err := lab.NewAuthority(dir)
	if err != nil {
		return err
	}
	certificate, err := ca.Issue("SQL")
	if err != nil {
		return err
	}
	i := instance{password: rand.Text(), started: time.Now().Add(-time.Hour)}
	s := served{CA: ca.File(), Password: filepath.Join(dir, passwordFile)}
	if err := os.WriteFile(s.Password, []byte(i.password+"\n"), 0o600); err != nil {
		return err
	}
	engine, err := sqlengine.New(i)
	if err != nil {
		return err
	}
	server, err := tdsserver.New(tdsserver.Options{
		Handler: engine, Logger: log.NewNopLogger(), Version: "16.0.4135.4", ServerName: "SQL", Encryption: tdsserver.Offered, TLS: certificate,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(fmt.Errorf("open %d ports (see ulimit -n): %w", count, err))
		}
		s.Addresses = append(s.Addresses, l.Addr().String())
		g.Go(func() error { return server.Serve(ctx, l) })
	}
	if err := announce(dir, s); err != nil {
		return err
	}
	return g.Wait()
}

// fleetName is the cluster of the SQL Servers in the configuration.
const fleetName = "fleet"

// fleetTarget is the n-th SQL Server as a target.
func fleetTarget(n int) string { return fmt.Sprintf("%s/SQL%04d/MSSQLSERVER", fleetName, n) }

// fleetConfig writes a hypervigil.yml of the first n SQL Servers and returns its path. The built-in modules count.
func fleetConfig(dir string, s served, n int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "credentials:\n  sql: {username: %s, password_file: %q}\n  reader: {username: %s, password_file: %q, scheme: basic}\n", username, s.Password, username, s.Password)
	fmt.Fprintf(&b, "clusters:\n  - name: %s\n    reader: reader\n    tls: {ca_file: %q}\n    nodes:\n      - {name: HV1, addresses: [\"127.0.0.1:1\"]}\n    virtual_machines:\n", fleetName, s.CA)
	for i, address := range s.Addresses[:n] {
		fmt.Fprintf(&b, "      - name: SQL%04d\n        sql_servers:\n          - {instance: MSSQLSERVER, address: %q, credential: sql, encrypt: strict}\n", i, address)
	}
	path := filepath.Join(dir, fmt.Sprintf("hypervigil-%d.yml", n))
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}
