package kerberos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	krb5config "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
)

// maxConfig bounds krb5.conf: a path that names something else by mistake is refused, not read.
const maxConfig = 1 << 20

// CheckConfig reports whether a file can be used as krb5.conf; DefaultConfigFile where it is empty.
func CheckConfig(file string) error {
	if file == "" {
		file = DefaultConfigFile
	}
	_, err := readConfig(file)
	return err
}

// readConfig reads krb5.conf.
func readConfig(file string) (*krb5config.Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := krb5config.NewFromReader(bufio.NewReader(io.LimitReader(f, maxConfig)))
	var unsupported krb5config.UnsupportedDirective
	if err != nil && !errors.As(err, &unsupported) { // include and module lines: the rest was read
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// Single DES never; triple DES and RC4 only where the file asks for weak ciphers. The library has them by default.
	if !c.LibDefaults.AllowWeakCrypto {
		c.LibDefaults.DefaultTktEnctypeIDs = slices.DeleteFunc(c.LibDefaults.DefaultTktEnctypeIDs, weak)
		c.LibDefaults.DefaultTGSEnctypeIDs = slices.DeleteFunc(c.LibDefaults.DefaultTGSEnctypeIDs, weak)
	}
	c.LibDefaults.NoAddresses = true // a ticket that names our addresses is of no use behind a translator
	return c, nil
}

// weak reports whether a cipher is none of the AES ones (RFC 8429 deprecates RC4 and triple DES).
func weak(id int32) bool {
	switch id {
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192:
		return false
	}
	return true
}
