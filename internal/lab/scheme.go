package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/internal/lab/sspi"
)

// domain is the lab's Windows domain, as NTLM names it.
const domain = "CORP"

// What the lab's services are called in Kerberos, which knows nobody by a loopback address: all of them alike.
const (
	ServiceWinRM = "HTTP/lab.corp.example"
	ServiceSQL   = "MSSQLSvc/lab.corp.example"
)

// Kerberos is a realm that somebody else runs, and in which the lab's services and Accounts have keys.
type Kerberos struct {
	Realm      string
	ConfigFile string // krb5.conf of the clients
	Services   string // keytab of ServiceWinRM and ServiceSQL
	Accounts   string // keytab of Accounts
}

// Accounts lists the names of the lab's accounts: SQL Server's monitor, and WinRM's reader and two operators.
func Accounts() []string {
	a := newAccounts()
	return []string{a.sql.user, a.reader.user, a.operator.user, a.guest.user}
}

// checkScheme refuses options whose scheme the lab does not speak, or cannot.
func (o Options) checkScheme() error {
	switch o.Scheme {
	case config.Basic, config.NTLM:
		return nil
	case config.Kerberos:
		if o.Kerberos == nil {
			return errors.New("the scheme kerberos needs a realm")
		}
		return nil
	case config.Certificate:
	}
	return fmt.Errorf("unknown scheme %q, want basic, ntlm or kerberos", o.Scheme)
}

// acceptor judges the handshakes of one server, to which these accounts may come by NTLM; nil where the scheme is basic.
func (l *Lab) acceptor(computer string, known ...account) (*sspi.Acceptor, error) {
	o := sspi.Options{Domain: domain, Computer: computer}
	switch l.options.Scheme {
	case config.NTLM:
		o.Password = func(user string) (string, bool) {
			for _, a := range known {
				if a.user == user {
					return a.password, true
				}
			}
			return "", false
		}
	case config.Kerberos:
		keys, err := os.ReadFile(l.options.Kerberos.Services)
		if err != nil {
			return nil, err
		}
		o.Keytab, o.Realm = keys, l.options.Kerberos.Realm
	case config.Basic, config.Certificate:
		return nil, nil
	}
	return sspi.New(o)
}

// credential writes the secret of an account into the folder, and returns the account as an entry of the configuration's
// credentials. A login of SQL Server's own has no scheme.
func (l *Lab) credential(dir, name string, a account) (string, error) {
	if l.options.Scheme == config.Kerberos {
		k := l.options.Kerberos
		return fmt.Sprintf("  %s: {username: %s@%s, keytab_file: %q, scheme: kerberos}\n", name, a.user, k.Realm, k.Accounts), nil
	}
	file := filepath.Join(dir, name+".pass")
	if err := os.WriteFile(file, []byte(a.password+"\n"), 0o600); err != nil {
		return "", err
	}
	user, scheme := a.user, ", scheme: basic"
	switch {
	case l.options.Scheme == config.NTLM:
		user, scheme = fmt.Sprintf(`'%s\%s'`, domain, a.user), ", scheme: ntlm"
	case a == l.accounts.sql:
		scheme = ""
	}
	return fmt.Sprintf("  %s: {username: %s, password_file: %q%s}\n", name, user, file, scheme), nil
}

// spn is what follows an address in the configuration: the service's name, where the scheme needs one.
func (l *Lab) spn(service string) string {
	if l.options.Scheme != config.Kerberos {
		return ""
	}
	return ", spn: " + service
}
