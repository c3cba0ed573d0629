package kerberos

import (
	"errors"
	"fmt"
	"strings"

	krb5config "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
)

// What is believed of a KDC.
const (
	// maxAnswer bounds an answer in bytes: twice Windows' largest ticket.
	maxAnswer = 128 << 10
	// maxIterations bounds the work that an answer can make of a password: RFC 3962 (section 4) has 4,096 by default, RFC
	// 8009 (section 4) 32,768. Whoever answers in the KDC's place could ask for four thousand millions.
	maxIterations = 1 << 17
	// maxReferrals bounds the way to a service in another realm.
	maxReferrals = 5
)

// kdc talks to the key distribution centres of a realm, over TCP alone: an answer over UDP would have to be small, and
// Windows' are not.
type kdc struct {
	principal types.PrincipalName
	realm     string
	config    *krb5config.Config
	keytab    func() ([]byte, error)
	password  func() (string, error)
	lockout   *lockout.Keeper
	names     *dial.Names
}

var _ exchanger = (*kdc)(nil)

// newKDC checks the options and reads krb5.conf.
func newKDC(o Options) (*kdc, error) {
	if (o.Keytab == nil) == (o.Password == nil) {
		return nil, errors.New("kerberos: want a keytab or a password")
	}
	file := o.ConfigFile
	if file == "" {
		file = DefaultConfigFile
	}
	cfg, err := readConfig(file)
	if err != nil {
		return nil, fmt.Errorf("kerberos: %w", err)
	}
	user, realm, ok := strings.Cut(o.Username, "@")
	if !ok {
		realm = cfg.LibDefaults.DefaultRealm
	}
	switch {
	case user == "" || strings.ContainsAny(o.Username, `\`) || strings.Contains(realm, "@"):
		return nil, fmt.Errorf("kerberos: %q is no account of a realm; use user@REALM", o.Username)
	case realm == "":
		return nil, fmt.Errorf("kerberos: %q has no realm, and %s no default_realm; use user@REALM", o.Username, file)
	}
	return &kdc{
		principal: types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, user), realm: realm, config: cfg,
		keytab: o.Keytab, password: o.Password, lockout: o.Lockout, names: o.Names,
	}, nil
}
