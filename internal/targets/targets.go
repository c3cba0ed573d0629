// Package targets makes clients of inventory entries: it joins what hypervigil.yml says about a machine or an instance
// with the credential that a program uses there. It connects to nothing and reads no password; a password is asked for
// at each use, so that a changed file counts at once.
//
//	options, err := targets.WinRM(cfg.Credentials[cl.Reader], cl.TLS, logger)
//	options.Name, options.Addresses = node.Name, node.Addresses
//	host, err := cluster.NewHost(options)
package targets

import (
	"crypto/tls"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// WinRM returns what the machines that are asked with one credential have in common; name and addresses are the
// caller's to add. The error is about a certificate that cannot be read.
func WinRM(cred *config.Credential, t config.TLS, l log.Logger) (cluster.Options, error) {
	client, err := t.Client()
	if err != nil {
		return cluster.Options{}, err
	}
	if cred.Scheme == config.Certificate {
		cert, err := cred.Certificate()
		if err != nil {
			return cluster.Options{}, err
		}
		client.Certificates = []tls.Certificate{cert}
	}
	return cluster.Options{
		Scheme: cred.Scheme.String(), Username: cred.Username, TLS: client, Logger: l,
		Password: func() (string, error) {
			s, err := cred.Password()
			return s.Reveal(), err
		},
	}, nil
}

// SQL returns a prober of one instance of a cluster of c.
func SQL(c *config.Config, cl *config.Cluster, s *config.SQLServer, l log.Logger) (*sqlhealth.Prober, error) {
	t := cl.SQLServerTLS(s)
	client, err := t.Client()
	if err != nil {
		return nil, err
	}
	cred := c.Credentials[s.Credential]
	return sqlhealth.New(sqlhealth.Options{Logger: l, Target: sqlhealth.Target{
		Address: s.Address, Username: cred.Username, Password: (&password{credential: cred}).get, Encrypt: s.Encrypt,
		RootCAs: client.RootCAs, ServerName: t.ServerName,
	}})
}
