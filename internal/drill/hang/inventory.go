package hang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// The clusters of the peers in the inventory, by the scheme that their hosts take.
const (
	clusterName         = "hang"
	ntlmClusterName     = "hang-ntlm"
	kerberosClusterName = "hang-kerberos"
)

// kdcClusterName is the cluster whose accounts have a KDC that hangs in this way. Its host and its SQL Server do not hang
// before somebody asks them something.
func kdcClusterName(w Way) string { return "hang-kdc-" + strings.ToLower(w.String()) }

// target is one probe of a peer that hangs.
type target struct {
	module, name string
	// reason is what the probe has to say; empty where one module asks several peers, or none that is fresh.
	reason dial.Reason
}

// targets lists the probes that reach the peers. A host hangs for the cluster's module as well.
func targets(realm bool) []target {
	all := []target{{"wsfc", clusterName, ""}, {"wsfc", ntlmClusterName, ""}}
	for _, w := range Ways() {
		all = append(all,
			target{"hyperv", clusterName + "/" + host.machine(w), w.reason(host)},
			target{"hyperv", ntlmClusterName + "/" + ntlm.machine(w), w.reason(ntlm)},
			target{"guest", clusterName + "/VM-" + w.String(), w.reason(guest)})
		for _, k := range []kind{tds8, tds74} {
			instance := clusterName + "/VM-" + w.String() + "/" + string(k)
			all = append(
				all,
				target{"mssql_availability", instance, w.reason(k)},
				// The stream of the diagnostics logs in once for several probes, and says what came of that.
				target{"mssql_diagnostics", instance, ""},
				target{"mssql_databases", instance, w.reason(k)},
				target{"mssql_performance", instance, w.reason(k)},
			)
		}
	}
	if realm {
		all = append(all, ticketedTargets()...)
	}
	return all
}

// ticketedTargets are the probes that need tickets. Where the KDC hangs there is none, which is our trouble and not the
// peer's.
func ticketedTargets() []target {
	all := []target{{"wsfc", kerberosClusterName, ""}}
	for _, w := range Ways() {
		instance := kerberosClusterName + "/VM-" + w.String() + "/" + string(tdsKerberos)
		all = append(all,
			target{"hyperv", kerberosClusterName + "/" + kerberos.machine(w), w.reason(kerberos)},
			target{"mssql_availability", instance, w.reason(tdsKerberos)},
			target{"mssql_diagnostics", instance, ""})
	}
	for _, w := range kdcWays() {
		instance := kdcClusterName(w) + "/VM-" + Query.String() + "/" + string(tdsKerberos)
		all = append(all,
			target{"wsfc", kdcClusterName(w), dial.Auth},
			target{"hyperv", kdcClusterName(w) + "/" + kerberos.machine(Query), dial.Auth},
			target{"mssql_availability", instance, dial.Auth},
			target{"mssql_diagnostics", instance, ""})
	}
	return all
}

// clusterYAML is the peers as an entry of the inventory's clusters.
func clusterYAML(p peers, caFile, reader, sql string) string {
	var b strings.Builder
	b.WriteString(hostsYAML(p.all(host), clusterName, caFile, reader))
	b.WriteString("    virtual_machines:\n")
	for _, w := range Ways() {
		fmt.Fprintf(&b, "      - name: VM-%s\n        guest: {address: %q}\n        sql_servers:\n", w, p.of(guest, w).address())
		for k, encrypt := range map[kind]string{tds8: "strict", tds74: "mandatory"} {
			fmt.Fprintf(&b, "          - {instance: %s, address: %q, credential: %s, encrypt: %s}\n", k, p.of(k, w).address(), sql, encrypt)
		}
	}
	return b.String()
}

// hostsYAML begins an entry of the inventory's clusters, with hosts of one kind for its nodes.
func hostsYAML(hosts peers, name, caFile, reader string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %s\n    reader: %s\n    tls: {ca_file: %q}\n    nodes:\n", name, reader, caFile)
	for _, one := range hosts {
		spn := ""
		if one.kind == kerberos {
			spn = ", spn: " + hostService
		}
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%q]%s}\n", one.kind.machine(one.way), one.address(), spn)
	}
	return b.String()
}

// ticketedYAML is a cluster whose hosts and SQL Servers take tickets of one account.
func ticketedYAML(hosts, instances peers, name, caFile, account string) string {
	b := strings.Builder{}
	b.WriteString(hostsYAML(hosts, name, caFile, account))
	b.WriteString("    virtual_machines:\n")
	for _, one := range instances {
		fmt.Fprintf(&b, "      - name: VM-%s\n        sql_servers:\n          - {instance: %s, address: %q, credential: %s, encrypt: strict, spn: %q}\n",
			one.way, one.kind, one.address(), account, sqlService)
	}
	return b.String()
}

// modulesYAML gives every module the same time-out.
func modulesYAML(timeout time.Duration) string {
	var b strings.Builder
	b.WriteString("exporter:\n  modules:\n")
	for _, m := range []string{"mssql_availability", "mssql_diagnostics", "mssql_databases", "mssql_performance", "hyperv", "wsfc", "guest"} {
		fmt.Fprintf(&b, "    %s: {timeout: %s}\n", m, timeout)
	}
	return b.String()
}

// password is that of every account but a realm's; it is no secret.
const password = "none"

// writeConfig writes a hypervigil.yml whose clusters are the peers', and returns its path.
func writeConfig(dir string, p peers, centers []center, realm *Realm, caFile string, timeout time.Duration) (string, error) {
	// The peers let everybody in: the password is no secret.
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	credentials := fmt.Sprintf("credentials:\n  sql: {username: hypervigil, password_file: %q}\n  reader: {username: hypervigil, password_file: %q, scheme: basic}\n"+
		"  ntlm: {username: 'CORP\\hypervigil', password_file: %q, scheme: ntlm}\n", secret, secret, secret)
	clusters := "clusters:\n" + clusterYAML(p, caFile, "reader", "sql") + hostsYAML(p.all(ntlm), ntlmClusterName, caFile, "ntlm")
	if realm != nil {
		realms, err := writeRealms(dir, realm, centers)
		if err != nil {
			return "", err
		}
		secretOfRealm := filepath.Join(dir, "realm-password")
		if err := os.WriteFile(secretOfRealm, []byte(realm.Password+"\n"), 0o600); err != nil {
			return "", err
		}
		credentials = fmt.Sprintf("kerberos: {config_file: %q}\n", realms) + credentials +
			fmt.Sprintf("  kerberos: {username: %s@%s, password_file: %q, scheme: kerberos}\n", realm.Account, realm.Name, secretOfRealm)
		clusters += ticketedYAML(p.all(kerberos), p.all(tdsKerberos), kerberosClusterName, caFile, "kerberos")
		for _, c := range centers {
			name := kdcClusterName(c.kdc.way)
			credentials += fmt.Sprintf("  %s: {username: hypervigil@%s, password_file: %q, scheme: kerberos}\n", name, c.realm(), secret)
			clusters += ticketedYAML(peers{c.host}, peers{c.instance}, name, caFile, name)
		}
	}
	path := filepath.Join(dir, "hypervigil.yml")
	return path, os.WriteFile(path, []byte(credentials+clusters+modulesYAML(timeout)), 0o600)
}
