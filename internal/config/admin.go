package config

import "strings"

// AdminConnection is where and as whom an instance's dedicated administrator connection is asked.
type AdminConnection struct {
	Address    string `yaml:"address"` // host:port, or a host whose port is 1434 or known by SQL Server Browser
	Credential string `yaml:"credential"`
}

// admin checks the dedicated administrator connection of the instance at a path.
func (v *validator) admin(path string, s *SQLServer, sql map[string]string) {
	own := path + ".admin"
	v.reference(own+".credential", s.Admin.Credential)
	if c := v.config.Credentials[s.Admin.Credential]; c != nil {
		switch c.Scheme {
		case Basic, NTLM:
			v.sqlScheme(path, &SQLServer{Credential: s.Admin.Credential, Encrypt: s.Encrypt}, c)
		case Kerberos, Certificate:
			// The port is part of the name that a ticket is for, and may be another one after each start.
			v.check(own+".credential", "the credential %s has the scheme %s, by which nobody logs in to a dedicated administrator connection; use %s",
				quote(s.Admin.Credential), c.Scheme, oneOf([]Scheme{Basic, NTLM}))
		}
	}
	if why := checkAddress(s.Admin.Address, portOptional); why != "" {
		v.check(own+".address", "%s", why)
		return
	}
	if _, port := splitAddress(s.Admin.Address); port != "" {
		v.once(own+".address", s.Admin.Address, strings.ToLower(s.Admin.Address), sql)
	}
}
