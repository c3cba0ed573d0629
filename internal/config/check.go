package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// CheckExporter reports whether the exporter could use the configuration: every credential that it uses has a scheme
// this release speaks and a secret that can be read, and every certificate file is one. It connects to nothing. All
// that is wrong is reported, joined.
func (c *Config) CheckExporter() error {
	k := checker{config: c, credentials: map[string]string{}}
	for _, cl := range c.Clusters {
		k.use(cl.Reader, "the reader of the cluster "+cl.Name)
		k.sqlServers(cl)
	}
	return k.run()
}

// CheckReceiver reports whether the receiver could use the configuration, as CheckExporter does; it needs the
// operators' credentials too, and the receiver section.
func (c *Config) CheckReceiver() error {
	k := checker{config: c, credentials: map[string]string{}}
	if len(c.Receiver.Alertmanagers) == 0 {
		k.errs = append(k.errs, errors.New("the configuration has no receiver section"))
	}
	for _, cl := range c.Clusters {
		k.use(cl.Reader, "the reader of the cluster "+cl.Name)
		for _, o := range []struct{ name, role string }{{cl.Operator, "operator"}, {cl.GuestOperator, "guest_operator"}} {
			if o.name == "" {
				k.errs = append(k.errs, fmt.Errorf("the cluster %s has no %s; the receiver needs one", cl.Name, o.role))
				continue
			}
			k.use(o.name, "the "+o.role+" of the cluster "+cl.Name)
		}
		k.sqlServers(cl)
	}
	if _, err := c.Receiver.Webhook.Token(); err != nil {
		k.errs = append(k.errs, err)
	}
	k.approvers()
	if t := c.Receiver.Webhook.TLS; t != nil {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			k.errs = append(k.errs, fmt.Errorf("certificate of the webhook: %w", err))
		}
		k.authority(t.ClientCAFile)
	}
	return k.run()
}

// approvers reads the approvers' tokens. One that is also somebody else's proves nobody.
func (k *checker) approvers() {
	holders := map[string]string{}
	if s, err := k.config.Receiver.Webhook.Token(); err == nil && !s.IsEmpty() {
		holders[s.Reveal()] = "the webhook"
	}
	for _, a := range k.config.Receiver.Approvers {
		s, err := a.Token()
		switch holder, taken := holders[s.Reveal()]; {
		case err != nil:
			k.errs = append(k.errs, err)
		case s.IsEmpty():
		case taken:
			k.errs = append(k.errs, fmt.Errorf("the approver %q has the same token as %s; each needs one of its own", a.Name, holder))
		default:
			holders[s.Reveal()] = fmt.Sprintf("the approver %q", a.Name)
		}
	}
}

// checker collects what one program would use.
type checker struct {
	config      *Config
	credentials map[string]string // name to the first thing that uses it
	krb5        bool              // krb5.conf has been looked at
	errs        []error
}

func (k *checker) use(credential, by string) {
	if _, ok := k.credentials[credential]; !ok {
		k.credentials[credential] = by
	}
}

func (k *checker) sqlServers(cl *Cluster) {
	k.authority(cl.TLS.CAFile)
	for _, vm := range cl.VirtualMachines {
		for _, s := range vm.SQLServers {
			k.use(s.Credential, "the SQL Server "+cl.Name+"/"+vm.Name+"/"+s.Instance)
			if s.Admin != nil {
				k.use(s.Admin.Credential, "the dedicated administrator connection of "+cl.Name+"/"+vm.Name+"/"+s.Instance)
			}
			if s.TLS != nil {
				k.authority(s.TLS.CAFile)
			}
		}
	}
}

func (k *checker) authority(file string) {
	if _, err := pool(file); err != nil {
		k.errs = append(k.errs, err)
	}
}

func (k *checker) run() error {
	for _, name := range slices.Sorted(maps.Keys(k.credentials)) {
		cred, by := k.config.Credentials[name], k.credentials[name]
		switch cred.Scheme {
		case Basic, NTLM:
			if _, err := cred.Password(); err != nil {
				k.errs = append(k.errs, fmt.Errorf("%w (used by %s)", err, by))
			}
		case Kerberos:
			k.kerberos(cred, by)
		case Certificate:
			if _, err := cred.Certificate(); err != nil {
				k.errs = append(k.errs, fmt.Errorf("%w (used by %s)", err, by))
			}
		}
	}
	return errors.Join(k.errs...)
}

// kerberos checks the secret of a credential, and krb5.conf once.
func (k *checker) kerberos(cred *Credential, by string) {
	var err error
	if cred.KeytabFile != "" {
		_, err = cred.Keytab()
	} else {
		_, err = cred.Password()
	}
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("%w (used by %s)", err, by))
	}
	if file := k.config.Kerberos.ConfigFile; !k.krb5 {
		k.krb5 = true
		f, err := os.Open(file)
		if err != nil {
			k.errs = append(k.errs, fmt.Errorf("configuration of Kerberos (used by %s): %w", by, err))
			return
		}
		_ = f.Close() // nothing was written
	}
}

// maxKeytab bounds a keytab: one key has a hundred bytes.
const maxKeytab = 1 << 20

// Keytab reads the keytab of a credential with the scheme kerberos, anew at every call. The error names the credential
// and the file, never the content.
func (c *Credential) Keytab() ([]byte, error) {
	f, err := os.Open(c.KeytabFile)
	if err != nil {
		return nil, fmt.Errorf("keytab of the credential %q: %w", c.Name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeytab+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("keytab of the credential %q: %w", c.Name, err)
	case len(b) > maxKeytab || len(b) < 2 || b[0] != 5: // the format's first byte (MIT krb5, "Keytab file format")
		return nil, fmt.Errorf("keytab of the credential %q: %s is no keytab", c.Name, c.KeytabFile)
	}
	return b, nil
}

// Certificate reads the client certificate of a credential with the scheme certificate.
func (c *Credential) Certificate() (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of the credential %q: %w", c.Name, err)
	}
	return cert, nil
}

// Client returns a TLS client configuration that trusts the configured authority, or the system's where none is
// given, and nothing below TLS 1.2. There is no way to switch verification off.
func (t TLS) Client() (*tls.Config, error) {
	roots, err := pool(t.CAFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, ServerName: t.ServerName, MinVersion: tls.VersionTLS12}, nil
}

// pool reads a file of certificates; without a file it is nil, the system's own.
func pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the certificate authority %s holds no certificate in PEM form", file)
	}
	return roots, nil
}
