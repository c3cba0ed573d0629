package kerberos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
)

// CheckKeytab reports whether what was read is a keytab with a key for the account that we would use.
func CheckKeytab(b []byte) error {
	_, err := parseKeytab(b)
	return err
}

// parseKeytab reads a keytab.
func parseKeytab(b []byte) (kt *keytab.Keytab, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it is no keytab")
		}
	}()
	kt = keytab.New()
	if err := kt.Unmarshal(b); err != nil {
		return nil, errors.New("it is no keytab")
	}
	if len(kt.Entries) == 0 {
		return nil, errors.New("the keytab is empty")
	}
	return kt, nil
}

// secret reads the account's secret; text is what tells it from another.
func (k *kdc) secret() (_ *credentials.Credentials, text string, _ error) {
	c := credentials.NewFromPrincipalName(k.principal, k.realm)
	if k.password != nil {
		p, err := k.password()
		if err != nil {
			return nil, "", &Error{Cause: Misconfigured, err: err}
		}
		return c.WithPassword(p), p, nil
	}
	b, err := k.keytab()
	if err != nil {
		return nil, "", &Error{Cause: Misconfigured, err: err}
	}
	kt, err := parseKeytab(b)
	if err != nil {
		return nil, "", &Error{Cause: Misconfigured, err: err}
	}
	return c.WithKeytab(kt), string(b), nil
}

// ciphers returns those that we may ask for: of a keytab only those that it has a key for.
func (k *kdc) ciphers(c *credentials.Credentials) ([]int32, error) {
	all := k.config.LibDefaults.DefaultTktEnctypeIDs
	if !c.HasKeytab() {
		return all, nil
	}
	have := slices.DeleteFunc(slices.Clone(all), func(id int32) bool {
		_, _, err := c.Keytab().GetEncryptionKey(k.principal, k.realm, 0, id)
		return err != nil
	})
	if len(have) == 0 {
		return nil, &Error{Cause: Misconfigured, err: fmt.Errorf("the keytab has no key of %s@%s for a cipher that is allowed (%v)",
			k.principal.PrincipalNameString(), k.realm, all)}
	}
	return have, nil
}
