// Package targets makes clients of inventory entries: it joins what hypervigil.yml says about a machine or an instance
// with the credential that a program uses there. It connects to nothing and reads no password; a password is asked for
// at each use, so that a changed file counts at once. Tickets of Kerberos are the exception: they are fetched from the
// first mention of a machine on, in the background.
//
//	t := targets.New(cfg, logger)
//	defer t.Close()
//	reader, err := t.WinRM(cl.Reader, cl.TLS)
//	options, err := reader.Options(targets.Machine{Name: node.Name, Addresses: node.Addresses, SPN: node.SPN})
//	host, err := cluster.NewHost(options)
package targets

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/kerberos"
	"github.com/hypervigil/hypervigil/internal/lockout"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// Targets makes the clients of one configuration. What they share is in it: the tickets of each account that Kerberos
// knows, and what names resolved to. Close it after the clients. It is safe for concurrent use.
type Targets struct {
	config *config.Config
	logger log.Logger
	names  *dial.Names
	turns  *wsman.Turns

	mu      sync.Mutex
	tickets map[string]*kerberos.Client // by credential
	secrets map[string]*secret          // by credential
}

// secret is what the clients that use one credential share: its password, and what became of it where it was shown.
type secret struct {
	password *password
	lockout  *lockout.Keeper
}

// New returns the Targets of a configuration.
func New(c *config.Config, l log.Logger) *Targets {
	return &Targets{config: c, logger: l, names: dial.NewNames(l), turns: wsman.NewTurns(), tickets: map[string]*kerberos.Client{}, secrets: map[string]*secret{}}
}

// StaleNames lists the hosts whose name server fails, and which are reached by the addresses that it gave last.
func (t *Targets) StaleNames() []string { return t.names.Stale() }

// Names remembers what names resolved to, for whoever connects to something else of the same configuration.
func (t *Targets) Names() *dial.Names { return t.names }

// secret returns what belongs to a credential.
func (t *Targets) secret(name string) *secret {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.secrets[name]
	if s == nil {
		cred := t.config.Credentials[name]
		s = &secret{&password{credential: cred}, lockout.New(scope(cred), log.With(t.logger, "credential", name))}
		t.secrets[name] = s
	}
	return s
}

// scope tells whether a credential's account is the same wherever it is shown: a Windows account with a domain. Basic goes
// with a machine's own accounts alone (learn.microsoft.com, "Authentication for Remote Connections") and with logins of
// SQL Server.
func scope(cred *config.Credential) lockout.Scope {
	switch cred.Scheme {
	case config.Kerberos:
		return lockout.Domain
	case config.NTLM:
		domain, _, ok := strings.Cut(cred.Username, `\`)
		if ok && domain != "." || strings.Contains(cred.Username, "@") {
			return lockout.Domain
		}
	case config.Basic, config.Certificate:
	}
	return lockout.Machine
}

// Close ends the keeping of tickets.
func (t *Targets) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, k := range t.tickets {
		errs = append(errs, k.Close())
	}
	return errors.Join(errs...)
}

// account returns the tickets of a credential; every client that uses it shares them.
func (t *Targets) account(name string) (*kerberos.Client, error) {
	s := t.secret(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.tickets[name]; k != nil {
		return k, nil
	}
	cred := t.config.Credentials[name]
	o := kerberos.Options{
		Username: cred.Username, ConfigFile: t.config.Kerberos.ConfigFile, Lockout: s.lockout, Names: t.names,
		Logger: log.With(t.logger, "credential", name),
	}
	if cred.KeytabFile != "" {
		o.Keytab = cred.Keytab
	} else {
		o.Password = s.password.reveal
	}
	k, err := kerberos.New(o)
	if err != nil {
		return nil, fmt.Errorf("credential %q: %w", name, err)
	}
	t.tickets[name] = k
	return k, nil
}

// Account is what the machines that are asked with one credential have in common.
type Account struct {
	options cluster.Options
	tickets *kerberos.Client // nil for schemes but kerberos
}

// WinRM returns what the machines of a cluster that are asked with one credential have in common. The error is about a
// certificate, or the configuration of Kerberos, that cannot be read.
func (t *Targets) WinRM(credential string, tlsConfig config.TLS) (Account, error) {
	cred := t.config.Credentials[credential]
	client, err := tlsConfig.Client()
	if err != nil {
		return Account{}, err
	}
	s := t.secret(credential)
	a := Account{options: cluster.Options{
		Scheme: cred.Scheme.String(), Username: cred.Username, TLS: client, Logger: t.logger, Names: t.names, Turns: t.turns,
		Password: s.password.reveal, Lockout: s.lockout,
	}}
	switch cred.Scheme {
	case config.Certificate:
		cert, err := cred.Certificate()
		if err != nil {
			return Account{}, err
		}
		client.Certificates = []tls.Certificate{cert}
	case config.Kerberos:
		if a.tickets, err = t.account(credential); err != nil {
			return Account{}, err
		}
		a.options.Tickets = a.tickets
	case config.Basic, config.NTLM:
	}
	return a, nil
}

// Machine is one host or guest.
type Machine struct {
	Name      string
	Addresses []string
	SPN       string // its name in Kerberos; HTTP/ and its first address that is a name where empty
}

// Options returns what makes a client of a machine. From now on there is a ticket for it, where it is Kerberos that the
// account is proven by: nobody waits for one in the middle of a fault.
func (a Account) Options(m Machine) (cluster.Options, error) {
	o := a.options
	o.Name, o.Addresses, o.SPN = m.Name, m.Addresses, m.SPN
	if a.tickets == nil {
		return o, nil
	}
	if o.SPN == "" {
		var err error
		if o.SPN, err = wsman.ServiceName(m.Addresses); err != nil {
			return cluster.Options{}, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return o, a.tickets.Keep(o.SPN)
}

// Admin asks the dedicated administrator connection of one instance of a cluster; the inventory names one.
func (t *Targets) Admin(cl *config.Cluster, s *config.SQLServer) (*sqlhealth.Admin, error) {
	settings := cl.SQLServerTLS(s)
	client, err := settings.Client()
	if err != nil {
		return nil, err
	}
	cred, own := t.config.Credentials[s.Admin.Credential], t.secret(s.Admin.Credential)
	return sqlhealth.NewAdmin(sqlhealth.Options{Logger: t.logger, Target: sqlhealth.Target{
		Address: s.Admin.Address, Scheme: cred.Scheme, Username: cred.Username, Password: own.password.get, Lockout: own.lockout, Encrypt: s.Encrypt,
		RootCAs: client.RootCAs, ServerName: settings.ServerName, Names: t.names,
	}}, s.Instance)
}

// SQL returns a prober of one instance of a cluster.
func (t *Targets) SQL(cl *config.Cluster, s *config.SQLServer) (*sqlhealth.Prober, error) {
	settings := cl.SQLServerTLS(s)
	client, err := settings.Client()
	if err != nil {
		return nil, err
	}
	cred, own := t.config.Credentials[s.Credential], t.secret(s.Credential)
	target := sqlhealth.Target{
		Address: s.Address, Scheme: cred.Scheme, Username: cred.Username, Password: own.password.get, Lockout: own.lockout, Encrypt: s.Encrypt,
		RootCAs: client.RootCAs, ServerName: settings.ServerName, Names: t.names,
	}
	if cred.Scheme == config.Kerberos {
		k, err := t.account(s.Credential)
		if err != nil {
			return nil, err
		}
		target.Tickets, target.SPN, target.Password = k, s.SPN, nil
		if target.SPN == "" {
			// The port is part of the name (learn.microsoft.com, "Register a service principal name for Kerberos connections").
			target.SPN = "MSSQLSvc/" + strings.ToLower(s.Address)
		}
		if err := k.Keep(target.SPN); err != nil {
			return nil, err
		}
	}
	return sqlhealth.New(sqlhealth.Options{Logger: t.logger, Target: target})
}
