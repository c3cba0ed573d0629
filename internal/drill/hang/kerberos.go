package hang

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab"
)

// Realm is a realm of Kerberos whose key distribution centre (KDC) lives. With one there are hosts and SQL Servers that
// take tickets and hang, and beside it two realms whose KDC does.
type Realm struct {
	Name    string // CORP.EXAMPLE
	Address string // of its KDC
	// Account is in it, with a password that is no secret; Services is a keytab with the keys of ServiceNames.
	Account, Password string
	Services          []byte
}

// ServiceNames are what the hosts and the SQL Servers are called in Kerberos, all of a kind the same.
func ServiceNames() []string { return []string{hostService, sqlService} }

const (
	hostService = "HTTP/hang.corp.example"
	sqlService  = "MSSQLSvc/hang.corp.example:1433"
)

// kdc is the kind of a KDC that hangs, which speaks Kerberos and not WS-Management or TDS.
const kdc kind = "KDC"

// kdcWays are those in which a KDC hangs. What follows Accept is the same there: one question, one answer.
func kdcWays() []Way { return []Way{SYN, Accept} }

// What may wait for a KDC that hangs, for each account: one connection, and what fetches the account's own ticket and those
// for its two services, however often they are asked for.
const (
	kdcConnections = 1
	kdcGoroutines  = 3
)

// center is a KDC that hangs, with a host and a SQL Server of its realm, which would take a ticket.
type center struct{ kdc, host, instance *peer }

// openCenters opens one for each way.
func openCenters(ca *lab.Authority, realm *Realm) (all []center, err error) {
	judges, err := acceptors(realm)
	if err != nil {
		return nil, err
	}
	for _, w := range kdcWays() {
		c := center{}
		var errs [3]error
		c.kdc, errs[0] = listen(kdc, w, func(l *line) { <-l.gone }, 0)
		c.host, errs[1] = newPeer(kerberos, Query, ca, judges[kerberos])
		c.instance, errs[2] = newPeer(tdsKerberos, Query, ca, judges[tdsKerberos])
		all = append(all, c)
		if err := errors.Join(errs[:]...); err != nil {
			peersOf(all).close()
			return nil, fmt.Errorf("open a KDC that hangs: %w", err)
		}
	}
	return all, nil
}

// peersOf are all that belong to centers.
func peersOf(centers []center) (all peers) {
	for _, c := range centers {
		for _, one := range []*peer{c.kdc, c.host, c.instance} {
			if one != nil {
				all = append(all, one)
			}
		}
	}
	return all
}

// realm is the realm whose KDC it is.
func (c center) realm() string { return c.kdc.way.String() + ".EXAMPLE" }

// writeRealms writes a krb5.conf that knows the realm, and those whose KDCs hang, and returns its path.
func writeRealms(dir string, r *Realm, centers []center) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[libdefaults]\n\tdefault_realm = %s\n[realms]\n", r.Name)
	fmt.Fprintf(&b, "\t%s = {\n\t\tkdc = %s\n\t}\n", r.Name, r.Address)
	for _, c := range centers {
		fmt.Fprintf(&b, "\t%s = {\n\t\tkdc = %s\n\t}\n", c.realm(), c.kdc.address())
	}
	path := filepath.Join(dir, "krb5.conf")
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}
