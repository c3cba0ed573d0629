package config

import (
	"fmt"
	"strings"
)

// Warnings lists what the configuration allows and should not be: an operator's account that is also the reader's, or the
// other operator's (whoever steals one then holds the other too, and a reader that may act is no reader); and what a policy
// says that leads to nothing.
func (c *Config) Warnings() []string {
	var list []string
	account := func(name string) string {
		cred := c.Credentials[name]
		if cred == nil {
			return ""
		}
		if cred.Username == "" {
			return cred.CertFile
		}
		return cred.Username
	}
	for _, cl := range c.Clusters {
		roles := []struct{ role, credential string }{{"reader", cl.Reader}, {"operator", cl.Operator}, {"guest_operator", cl.GuestOperator}}
		for n, a := range roles {
			for _, b := range roles[:n] {
				if x := account(a.credential); x != "" && strings.EqualFold(x, account(b.credential)) {
					list = append(list, fmt.Sprintf("clusters: %s: %s and %s are one account, %q; give each one of its own with the least rights", cl.Name, b.role, a.role, x))
				}
			}
		}
	}
	for name, p := range byName(c.Receiver.Policies) {
		if p.InternalLevel > 0 && len(p.Ladder("internal")) == 0 {
			list = append(list, fmt.Sprintf("receiver.policies.%s.internal_level: the ladder of the class internal is empty, so that it only tells", name))
		}
	}
	return list
}
