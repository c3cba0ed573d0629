package hang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// clusterName is the cluster of the peers in the inventory.
const clusterName = "hang"

// target is one probe of a peer that hangs.
type target struct {
	module, name string
	// reason is what the probe has to say; empty where one module asks several peers, or none that is fresh.
	reason dial.Reason
}

// targets lists the probes that reach the peers. A host hangs for the cluster's module as well.
func targets() []target {
	all := []target{{"wsfc", clusterName, ""}}
	for _, w := range Ways() {
		all = append(all,
			target{"hyperv", clusterName + "/" + host.machine(w), w.reason(host)},
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
	return all
}

// clusterYAML is the peers as an entry of the inventory's clusters.
func clusterYAML(p peers, caFile, reader, sql string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %s\n    reader: %s\n    tls: {ca_file: %q}\n    nodes:\n", clusterName, reader, caFile)
	for _, w := range Ways() {
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%q]}\n", host.machine(w), p.of(host, w).address())
	}
	b.WriteString("    virtual_machines:\n")
	for _, w := range Ways() {
		fmt.Fprintf(&b, "      - name: VM-%s\n        guest: {address: %q}\n        sql_servers:\n", w, p.of(guest, w).address())
		for k, encrypt := range map[kind]string{tds8: "strict", tds74: "mandatory"} {
			fmt.Fprintf(&b, "          - {instance: %s, address: %q, credential: %s, encrypt: %s}\n", k, p.of(k, w).address(), sql, encrypt)
		}
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

// writeConfig writes a hypervigil.yml whose only cluster is the peers', and returns its path.
func writeConfig(dir string, p peers, caFile string, timeout time.Duration) (string, error) {
	// The peers let everybody in: the password is no secret.
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte("none\n"), 0o600); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hypervigil.yml")
	text := fmt.Sprintf("credentials:\n  sql: {username: hypervigil, password_file: %q}\n  reader: {username: hypervigil, password_file: %q, scheme: basic}\nclusters:\n",
		secret, secret) + clusterYAML(p, caFile, "reader", "sql") + modulesYAML(timeout)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
