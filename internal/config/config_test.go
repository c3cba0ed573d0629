package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadExample(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/hypervigil.yml")
	if err != nil {
		t.Fatal(err)
	}
	vm := c.VirtualMachine("hv-cl1", "SQL01")
	if vm == nil {
		t.Fatal("VirtualMachine(hv-cl1, SQL01) = nil")
	}
	if got, want := vm.GroupName(), "SCVMM SQL01 Resources"; got != want {
		t.Errorf("GroupName() = %q, want %q", got, want)
	}
	if got, want := vm.HyperVName(), "SQL01"; got != want {
		t.Errorf("HyperVName() = %q, want %q", got, want)
	}
	s := c.SQLServer("hv-cl1", "SQL02", "SALES")
	if s == nil {
		t.Fatal("SQLServer(hv-cl1, SQL02, SALES) = nil")
	}
	if got, want := s.Encrypt, Mandatory; got != want {
		t.Errorf("Encrypt = %q, want the default %q", got, want)
	}
	if got, want := s.ServiceName()+" "+s.AgentServiceName(), "MSSQL$SALES SQLAgent$SALES"; got != want {
		t.Errorf("service names = %q, want %q", got, want)
	}
	if got, want := vm.SQLServers[0].ServiceName()+" "+vm.SQLServers[0].AgentServiceName(), "MSSQLSERVER SQLSERVERAGENT"; got != want {
		t.Errorf("service names = %q, want %q", got, want)
	}
	careful := c.Policy(vm)
	if got, want := careful.Limits.ActionsPer24h, 2; got != want {
		t.Errorf("careful.Limits.ActionsPer24h = %d, want %d", got, want)
	}
	if got, want := careful.Limits.CoolDown, 30*time.Minute; got != want {
		t.Errorf("careful.Limits.CoolDown = %s, want the default %s", got, want)
	}
	if got, want := careful.ModeOf(RungRestartService), Act; got != want {
		t.Errorf("careful.ModeOf(restart_service) = %s, want %s", got, want)
	}
	if got, want := careful.ModeOf(RungResetVM), Propose; got != want {
		t.Errorf("careful.ModeOf(reset_vm) = %s, want %s", got, want)
	}
	if !c.NeverTouch("HV-CL1", "dc01") || c.NeverTouch("hv-cl1", "SQL01") {
		t.Error("NeverTouch: want DC01 in any case, and not SQL01")
	}
	// The example writes every default out; they have to be the defaults.
	if diff := cmp.Diff(named(StandardPolicy, DefaultPolicy()), c.Receiver.Policies[StandardPolicy]); diff != "" {
		t.Errorf("the example's standard policy is not the default (-default +example):\n%s", diff)
	}
	plain := Default()
	for name, m := range plain.Exporter.Modules {
		m.Name = name
	}
	if diff := cmp.Diff(plain.Exporter, c.Exporter); diff != "" {
		t.Errorf("the example's exporter section is not the default (-default +example):\n%s", diff)
	}
}

func named(name string, p *Policy) *Policy {
	p.Name = name
	return p
}

// minimal is the least that is a configuration.
const minimal = `credentials:
  reader: {username: r, password_file: /r}
clusters:
  - name: c1
    reader: reader
    nodes:
      - {name: N1, addresses: [n1]}
    virtual_machines:
      - name: V1
        guest: {address: v1}
        sql_servers:
          - {instance: MSSQLSERVER, address: "v1:1433", credential: reader}
`

func TestParseMinimal(t *testing.T) {
	t.Parallel()
	c, err := Parse("m.yml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Policy(c.Clusters[0].VirtualMachines[0]); got == nil || got.Mode != Observe {
		t.Errorf("policy of a virtual machine that names none = %v, want one that observes", got)
	}
	if got, want := c.Credentials["reader"].Scheme, Basic; got != want {
		t.Errorf("Scheme = %q, want %q", got, want)
	}
	if got, want := c.Exporter.Modules["mssql_availability"].Timeout, 900*time.Millisecond; got != want {
		t.Errorf("time-out of mssql_availability = %s, want %s", got, want)
	}
	if got, want := c.Clusters[0].VirtualMachines[0].Thresholds, DefaultThresholds(); got != want {
		t.Errorf("Thresholds = %+v, want %+v", got, want)
	}
	if got := slices.Concat(c.Receiver.WeakerThanDefault(), c.Receiver.Policies[StandardPolicy].WeakerThanDefault()); got != nil {
		t.Errorf("WeakerThanDefault() = %q for the defaults, want nothing", got)
	}
}

// TestBackgroundStandsInModulesOfItsOwn: a built-in module runs collectors of the background or those that a decision
// may wait for, never both, and every collector is in one.
func TestBackgroundStandsInModulesOfItsOwn(t *testing.T) {
	t.Parallel()
	built := map[Prober][]string{}
	for name, m := range DefaultModules() {
		built[m.Prober] = append(built[m.Prober], m.Collectors...)
		if len(m.Collectors) == 0 {
			built[m.Prober] = append(built[m.Prober], m.Prober.Collectors()...)
		}
		background := m.Prober.Background()
		for _, c := range m.Collectors {
			if slices.Contains(background, c) != m.Background() {
				t.Errorf("the module %s mixes the background's collector %s with others", name, c)
			}
		}
		if len(m.Collectors) == 0 && len(background) > 0 {
			t.Errorf("the module %s runs all collectors, those of the background too", name)
		}
	}
	for _, p := range Probers() {
		for _, c := range p.Collectors() {
			if slices.Contains(built[p], c) == slices.Contains(p.OnRequest(), c) {
				t.Errorf("the collector %s of %s has to be in a built-in module or to be one on request", c, p)
			}
		}
		for _, c := range p.Background() {
			if !slices.Contains(p.Collectors(), c) {
				t.Errorf("%s has no collector %s", p, c)
			}
		}
	}
}

func TestModulesOverrideFieldByField(t *testing.T) {
	t.Parallel()
	c, err := Parse("m.yml", []byte(minimal+`exporter:
  modules:
    wsfc: {timeout: 6s}
    mssql_availability: {prober: guest}
    slow: {prober: hyperv, collectors: [host]}
`))
	if err != nil {
		t.Fatal(err)
	}
	// What is not named is as it is built in.
	want := DefaultModules()
	for name, m := range want {
		m.Name = name
	}
	want["wsfc"].Timeout = 6 * time.Second
	want["mssql_availability"] = &Module{Name: "mssql_availability", Prober: ProberGuest, Timeout: 4 * time.Second}
	want["slow"] = &Module{Name: "slow", Prober: ProberHyperV, Timeout: 4 * time.Second, Collectors: []string{"host"}}
	if diff := cmp.Diff(want, c.Exporter.Modules); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
}

// TestParseRefuses changes one place of a good file and expects exactly the problems that follow from it.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const receiver = minimal + `receiver:
  webhook: {token_file: /t}
  alertmanagers: [http://127.0.0.1:9093]
`
	replace := func(old, new string, more ...string) string {
		text := strings.Replace(minimal, old, new, 1)
		for i := 0; i < len(more); i += 2 {
			text = strings.Replace(text, more[i], more[i+1], 1)
		}
		return text
	}
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"an empty file", "", []string{"f.yml: the file is empty"}},
		{"a file of comments", "# nothing\n", []string{"f.yml: the file is empty"}},
		{"a null document", "---\n~\n", []string{"f.yml: the file is empty"}},
		{"a second document", minimal + "---\na: b\n", []string{"f.yml:13: a second document begins here; one file holds one"}},
		{"a list instead of the file", "- a\n", []string{
			"f.yml:1: clusters: is missing; list at least one cluster",
			"f.yml:1: has to be a mapping (name: value), not a list",
		}},
		{"an unknown field", minimal + "exporters: {}\n", []string{"f.yml:13: exporters: unknown field; use credentials, kerberos, clusters, exporter or receiver"}},
		{"an unknown field deep inside", replace("guest: {address", "guest: {adress"), []string{"f.yml:10: clusters[0].virtual_machines[0].guest.adress: unknown field; use address or spn"}},
		{"thresholds that nothing would reach", replace("guest: {address", "thresholds: {backup_age: -1h, log_backup_age: soon, log_used_percent: 100}\n        guest: {address"), []string{
			"f.yml:10: clusters[0].virtual_machines[0].thresholds.backup_age: -1h0m0s is not allowed; use 0s or more",
			`f.yml:10: clusters[0].virtual_machines[0].thresholds.log_backup_age: "soon" is not a duration; use for example 900ms, 30s or 15m`,
			"f.yml:10: clusters[0].virtual_machines[0].thresholds.log_used_percent: 100 is not allowed; use 1 to 99, or 0 for never",
		}},
		{"a secret in the file", replace("password_file: /r", "password: hunter2"), []string{
			"f.yml:2: credentials.reader: has no secret; the scheme basic takes one of password_file or password_env",
			"f.yml:2: credentials.reader.password: a secret does not stand in the file; use password_file or password_env",
		}},
		{"a duplicate key", replace("    reader: reader\n", "    reader: reader\n    reader: other\n"), []string{"f.yml:6: clusters[0].reader: is given twice, the first time in line 5"}},
		{"a value of the wrong kind", replace("addresses: [n1]", "addresses: n1"), []string{"f.yml:7: clusters[0].nodes[0].addresses: has to be a list, not a single value"}},
		{"a merge key", replace("    reader: reader\n", "    reader: reader\n    <<: {name: x}\n"), []string{"f.yml:6: clusters[0]: merge keys (<<) are not supported; write the fields out"}},
		{"an alias that contains itself", minimal + "receiver: &a {policies: {p: *a}}\n", []string{
			"f.yml:13: receiver.policies.p: the alias *a contains itself",
			"f.yml:13: receiver.webhook: has neither token_file, token_env nor tls.client_ca_file; Alertmanager has to prove who it is by at least one of them",
			"f.yml:13: receiver.alertmanagers: is missing; list the URL of at least one Alertmanager",
		}},
		{
			"a mode of encryption that YAML once read as true", replace(", credential: reader}", ", credential: reader, encrypt: yes}"),
			[]string{`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].encrypt: "yes" is not allowed; use strict, mandatory or optional`},
		},
		{"a SQL Server without a port", replace("v1:1433", "v1"), []string{`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].address: "v1" has no port; use host:port`}},
		{"an administrator's connection without address and account", replace(", credential: reader}", ", credential: reader, admin: {}}"), []string{
			"f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].admin.address: is missing; use host or host:port",
			"f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].admin.credential: is missing; name one of the credentials",
		}},
		{"an administrator's connection at the instance's own port", replace(", credential: reader}", `, credential: reader, admin: {address: "v1:1433", credential: reader}}`), []string{
			`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].admin.address: "v1:1433" is already the address of clusters[0].virtual_machines[0].sql_servers[0].address`,
		}},
		{"a ticket for an administrator's connection", replace("password_file: /r}", "password_file: /r}\n  k: {username: k@R, keytab_file: /k, scheme: kerberos}", ", credential: reader}", ", credential: reader, admin: {address: v1, credential: k}}"), []string{
			`f.yml:13: clusters[0].virtual_machines[0].sql_servers[0].admin.credential: the credential "k" has the scheme kerberos, by which nobody logs in to a dedicated administrator connection; use basic or ntlm`,
		}},
		{"a port out of range", replace("[n1]", `["n1:70000"]`), []string{`f.yml:7: clusters[0].nodes[0].addresses[0]: "n1:70000" has no valid port; use 1 to 65535`}},
		{"a URL for an address", replace("[n1]", `["https://n1"]`), []string{`f.yml:7: clusters[0].nodes[0].addresses[0]: "https://n1" is not an address; use host or host:port, an IPv6 address with a port in brackets`}},
		{"WinRM's port for plain HTTP", replace("[n1]", `["n1:5985"]`), []string{
			`f.yml:7: clusters[0].nodes[0].addresses[0]: "n1:5985": 5985 is WinRM's port for plain HTTP, over which credentials and data would go in clear; use 5986, WinRM's for HTTPS`,
		}},
		{"a Windows account where SQL Server's own login belongs", replace("username: r", `username: 'CORP\r'`), []string{
			`f.yml:2: credentials.reader.username: "CORP\\r" is a Windows account, and the scheme basic logs in to SQL Server with a login of its own; use the scheme ntlm or kerberos`,
		}},
		{"NTLM where only the login's first message is encrypted", replace("password_file: /r", "password_file: /r, scheme: ntlm", ", credential: reader}", ", credential: reader, encrypt: optional}"), []string{
			`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].encrypt: optional does not go with the scheme ntlm of the credential "reader"; use strict or mandatory`,
		}},
		{"Kerberos where nothing is a name", replace("password_file: /r", "keytab_file: /r, scheme: kerberos", "[n1]", "[10.0.0.11]", "{address: v1}", "{address: 10.0.0.12}", "v1:1433", "10.0.0.12:1433"), []string{
			"f.yml:7: clusters[0].nodes[0].spn: is missing; the scheme kerberos knows machines by name, and the address is none; use service/host",
			"f.yml:10: clusters[0].virtual_machines[0].guest.spn: is missing; the scheme kerberos knows machines by name, and the address is none; use service/host",
			"f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].spn: is missing; the scheme kerberos knows machines by name, and the address is none; use service/host",
		}},
		{"a name of a service that is none", replace("[n1]", "[n1], spn: n1"), []string{
			`f.yml:7: clusters[0].nodes[0].spn: "n1" is not the name of a service; use service/host or service/host:port`,
		}},
		{"a domain's account for Kerberos", replace("username: r, password_file: /r", `username: 'CORP\r', password_file: /r, scheme: kerberos`), []string{
			`f.yml:2: credentials.reader.username: "CORP\\r" is no account of a realm; use user@REALM, or user where krb5.conf has a default_realm`,
		}},
		{"an address of two machines", replace("guest: {address: v1}", `guest: {address: "N1:5986"}`), []string{`f.yml:10: clusters[0].virtual_machines[0].guest.address: "N1:5986" is already the address of clusters[0].nodes[0].addresses[0]`}},
		{"a name with a slash", replace("name: V1", "name: V/1"), []string{`f.yml:9: clusters[0].virtual_machines[0].name: "V/1" is not allowed as a name; use letters, digits, blanks inside, and the characters . _ -, a letter or digit first`}},
		{"two names that differ in case", replace("      - {name: N1, addresses: [n1]}\n", "      - {name: N1, addresses: [n1]}\n      - {name: n1, addresses: [n2]}\n"), []string{
			`f.yml:8: clusters[0].nodes[1].name: "n1" is already the name of clusters[0].nodes[0]; every node of a cluster needs a name of its own (upper and lower case are the same)`,
		}},
		{"an instance name with a hyphen", replace("MSSQLSERVER", "A-B"), []string{
			`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].instance: "A-B" is not the name of an instance; use letters, digits, _ and $, a letter first, and MSSQLSERVER for the default instance`,
		}},
		{"an unknown credential", replace("    reader: reader", "    reader: writer"), []string{`f.yml:5: clusters[0].reader: there is no credential "writer"; use reader`}},
		{"no reader", replace("    reader: reader\n", ""), []string{"f.yml:4: clusters[0].reader: is missing; name one of the credentials"}},
		{"an unknown policy", replace("      - name: V1\n", "      - name: V1\n        policy: bold\n"), []string{`f.yml:10: clusters[0].virtual_machines[0].policy: there is no policy "bold"; define it under receiver.policies`}},
		{"two secrets", replace("password_file: /r", "password_file: /r, password_env: R"), []string{"f.yml:2: credentials.reader: has 2 secrets (password_file, password_env); exactly one is allowed"}},
		{"a keytab for basic", replace("password_file: /r", "keytab_file: /r"), []string{"f.yml:2: credentials.reader.keytab_file: does not go with the scheme basic; use password_file or password_env"}},
		{"a certificate without its key", replace("password_file: /r", "cert_file: /c, scheme: certificate"), []string{
			"f.yml:2: credentials.reader.key_file: is missing; cert_file needs it",
			`f.yml:12: clusters[0].virtual_machines[0].sql_servers[0].credential: the credential "reader" has the scheme certificate, which SQL Server does not have; use basic, ntlm or kerberos`,
		}},
		{"a password where a variable's name belongs", replace("password_file: /r", `password_env: "hunter 2"`), []string{"f.yml:2: credentials.reader.password_env: is not the name of an environment variable"}},
		{"an unknown scheme", replace("password_file: /r", "password_file: /r, scheme: digest"), []string{
			`f.yml:2: credentials.reader.scheme: "digest" is not allowed; use basic, ntlm, kerberos or certificate`,
		}},
		{"an application by nothing", replace("guest: {address: v1}", "guest: {address: v1}\n        application: {}"), []string{
			"f.yml:11: clusters[0].virtual_machines[0].application: names nothing to watch; give at least one of tcp, http or windows_service",
		}},
		{"an application by what is none", replace("guest: {address: v1}", "application: {tcp: v1, http: 'ftp://v1', windows_service: 'a/b'}"), []string{
			`f.yml:10: clusters[0].virtual_machines[0].application.tcp: "v1" has no port; use host:port`,
			`f.yml:10: clusters[0].virtual_machines[0].application.http: "ftp://v1" is not allowed; use http://host/path or https://host/path`,
			`f.yml:10: clusters[0].virtual_machines[0].application.windows_service: "a/b" is not the name of a Windows service; use its name, not its display name, without slashes`,
		}},
		{"an application with a password in its URL, and a service of a guest that is not asked", replace("guest: {address: v1}", "application: {http: 'https://u:hunter2@v1/', windows_service: W3SVC}"), []string{
			`f.yml:10: clusters[0].virtual_machines[0].application.http: "https://u:xxxxx@v1/" has a user name in it; a secret does not stand in the file`,
			"f.yml:10: clusters[0].virtual_machines[0].application.windows_service: needs guest.address: the guest is asked for the service",
		}},
		{"wrong modules", minimal + "exporter:\n  timeout_offset: -1s\n  modules:\n    a: {}\n    b: {prober: snmp}\n    c: {prober: guest, timeout: 0s, collectors: [os, os, cpu]}\n    d: {prober: wsfc, timeout: 4}\n", []string{
			"f.yml:14: exporter.timeout_offset: -1s is not allowed; use 0s or more",
			"f.yml:16: exporter.modules.a.prober: is missing; use mssql, hyperv, wsfc, guest or application",
			`f.yml:17: exporter.modules.b.prober: "snmp" is not allowed; use mssql, hyperv, wsfc, guest or application`,
			"f.yml:18: exporter.modules.c.timeout: 0s is not allowed; use more than 0s",
			`f.yml:18: exporter.modules.c.collectors[1]: "os" stands in the list twice`,
			`f.yml:18: exporter.modules.c.collectors[2]: "cpu" is not a collector of the prober guest; use os, services, tcp, load or events`,
			`f.yml:19: exporter.modules.d.timeout: "4" is not a duration; use for example 900ms, 30s or 15m`,
		}},
		{"a receiver without anything", minimal + "receiver: {ledger: {path: ''}, hold_off: -1s, sample_interval: 0s}\n", []string{
			"f.yml:13: receiver.ledger.path: is missing",
			"f.yml:13: receiver.sample_interval: 0s is not allowed; use more than 0s",
			"f.yml:13: receiver.hold_off: -1s is not allowed; use 0s or more",
			"f.yml:13: receiver.webhook: has neither token_file, token_env nor tls.client_ca_file; Alertmanager has to prove who it is by at least one of them",
			"f.yml:13: receiver.alertmanagers: is missing; list the URL of at least one Alertmanager",
		}},
		{"wrong addresses of the receiver", receiver + "  controls: ['udp://a:1', 'tcp://a', 'tcp://a:53/x']\n  never_touch: [DC01, c2/DC01, c1/a/b, c1/DC01]\n", []string{
			`f.yml:16: receiver.controls[0]: "udp://a:1" is not allowed; use tcp://host:port`,
			`f.yml:16: receiver.controls[1]: "tcp://a" is not allowed; use tcp://host:port`,
			`f.yml:16: receiver.controls[2]: "tcp://a:53/x" is not allowed; use tcp://host:port`,
			`f.yml:17: receiver.never_touch[0]: "DC01" is not allowed; use cluster/vm`,
			`f.yml:17: receiver.never_touch[1]: there is no cluster "c2" in "c2/DC01"`,
			`f.yml:17: receiver.never_touch[2]: "c1/a/b" is not allowed; use cluster/vm`,
		}},
		{"an Alertmanager with a password, and others that are none", strings.Replace(receiver, "[http://127.0.0.1:9093]", "['http://u:hunter2@a', 'ftp://a', 'a:9093', 'http://a b:x']", 1), []string{
			`f.yml:15: receiver.alertmanagers[0]: "http://u:xxxxx@a" has a user name in it; a secret does not stand in the file`,
			`f.yml:15: receiver.alertmanagers[1]: "ftp://a" is not allowed; use http://host:port or https://host:port, with a path where there is one`,
			`f.yml:15: receiver.alertmanagers[2]: "a:9093" is not allowed; use http://host:port or https://host:port, with a path where there is one`,
			`f.yml:15: receiver.alertmanagers[3]: is not a URL; use for example http://127.0.0.1:9093`,
		}},
		{"approvers who prove nothing", strings.Replace(receiver, "  webhook:", "  approvers: [{name: ada}, {name: ADA, token_file: /a, token_env: B}, {name: eve, token_file: /t}, {token_env: 'x y', certificate: c}]\n  webhook:", 1), []string{
			"f.yml:14: receiver.approvers[0]: has neither token_file, token_env nor certificate; an approver has to prove who he is by at least one of them",
			`f.yml:14: receiver.approvers[1].name: "ADA" is already the name of receiver.approvers[0]; every approver needs a name of its own (upper and lower case are the same)`,
			"f.yml:14: receiver.approvers[1]: has two secrets (token_file, token_env); one at most is allowed",
			"f.yml:14: receiver.approvers[2]: has the webhook's token; who may send alerts must not be able to approve what comes of them",
			"f.yml:14: receiver.approvers[3].name: is missing",
			"f.yml:14: receiver.approvers[3].token_env: is not the name of an environment variable",
		}},
		{"a webhook with half a certificate", strings.Replace(receiver, "{token_file: /t}", "{token_file: /t, token_env: T, tls: {cert_file: /c}}", 1), []string{
			"f.yml:14: receiver.webhook: has two secrets (token_file, token_env); exactly one is allowed",
			"f.yml:14: receiver.webhook.tls.key_file: is missing; cert_file needs it",
		}},
		{"a client authority without a certificate", strings.Replace(receiver, "{token_file: /t}", "{tls: {client_ca_file: /c}}", 1), []string{
			"f.yml:14: receiver.webhook.tls.cert_file: is missing; tls needs cert_file and key_file",
		}},
		{"wrong policies", receiver + `  policies:
    p:
      mode: full
      rungs: {reboot: act, reset_vm: on}
      ladders:
        flood: []
        service: [restart_service, restart_service, reboot]
        guest: [live_migrate]
        host: [reset_vm]
        storage: [reset_vm]
      clean_stop: {heal_after: -1s}
      health_check_timeout: 0
      internal_level: 2
      limits: {cool_down: -1m, moves_per_6h: -1, actions_per_24h: many}
`, []string{
			`f.yml:18: receiver.policies.p.mode: "full" is not allowed; use observe, propose or act`,
			`f.yml:19: receiver.policies.p.rungs.reboot: "reboot" is not a rung; use restart_service, shutdown_restart, nmi_restart, reset_vm, live_migrate, move_save, move_shutdown, move_turn_off, white_paper or start_group`,
			`f.yml:19: receiver.policies.p.rungs.reset_vm: "on" is not allowed; use observe, propose or act`,
			`f.yml:21: receiver.policies.p.ladders.flood: "flood" is not a fault class; use host, storage, network, guest, resource, hang, internal, service or database`,
			`f.yml:22: receiver.policies.p.ladders.service[1]: "restart_service" stands in the ladder twice`,
			`f.yml:22: receiver.policies.p.ladders.service[2]: "reboot" is not a rung; use restart_service, shutdown_restart, nmi_restart, reset_vm, live_migrate, move_save, move_shutdown, move_turn_off, white_paper or start_group`,
			`f.yml:23: receiver.policies.p.ladders.guest[0]: "live_migrate" is not allowed for the fault class guest: a live migration takes a sick guest along as it is; use nmi_restart, reset_vm, move_shutdown, move_turn_off or white_paper`,
			`f.yml:24: receiver.policies.p.ladders.host[0]: "reset_vm" is not allowed for the fault class host: a virtual machine cannot be restarted on a node that is gone; use start_group`,
			`f.yml:25: receiver.policies.p.ladders.storage[0]: "reset_vm" is not allowed; for the fault class storage this release only tells, so its ladder stays empty`,
			"f.yml:26: receiver.policies.p.clean_stop.heal_after: -1s is not allowed; use 0s or more",
			"f.yml:27: receiver.policies.p.health_check_timeout: 0s is not allowed; use more than 0s",
			"f.yml:28: receiver.policies.p.internal_level: 2 is no level; use 3 (system), 4 (and resource), 5 (and query_processing), or 0 for none",
			`f.yml:29: receiver.policies.p.limits.actions_per_24h: "many" is not a whole number`,
			"f.yml:29: receiver.policies.p.limits.cool_down: -1m0s is not allowed; use 0s or more",
			"f.yml:29: receiver.policies.p.limits.moves_per_6h: -1 is not allowed; use 0 (never) or more",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("f.yml", []byte(tc.in))
			if err == nil {
				t.Fatal("Parse() took it")
			}
			if c != nil {
				t.Error("Parse() returned a configuration beside its error")
			}
			got := strings.Split(err.Error(), "\n")
			slices.Sort(got)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Error("the error shows a secret")
			}
		})
	}
}

func TestProblemsAreTyped(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yml", []byte("a: 1\nclusters: 5\n"))
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.File != "f.yml" || p.Line != 1 || p.Path != "a" {
		t.Errorf("first problem = %+v, want the one of line 1", p)
	}
}

func TestSyntaxErrorNamesFileAndLine(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yml", []byte("a: [1,\nb: {"))
	if err == nil || !strings.HasPrefix(err.Error(), "f.yml: yaml: line ") {
		t.Errorf("Parse() = %v, want file and line", err)
	}
}

func TestAliasesAreFollowedAndBounded(t *testing.T) {
	t.Parallel()
	ok := strings.Replace(minimal, "[n1]", "&a [n1]", 1)
	if _, err := Parse("f.yml", []byte(ok)); err != nil {
		t.Errorf("an anchor is refused: %v", err)
	}
	bomb := "credentials: {a: &a0 [x,x,x,x,x,x,x,x,x,x]"
	for i := range 9 {
		n := string(rune('0' + i))
		m := string(rune('1' + i))
		bomb += ", b" + m + ": &a" + m + " [" + strings.Repeat("*a"+n+",", 9) + "*a" + n + "]"
	}
	_, err := Parse("f.yml", []byte(bomb+"}"))
	if err == nil {
		t.Error("a bomb of aliases is taken")
	}
}

func TestLoadNamesTheFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.yml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Load() = %v, want ErrNotExist and the path", err)
	}
}

func TestModeOf(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	p.Mode = Act
	for rung, want := range map[string]Mode{RungRestartService: Act, RungResetVM: Act, RungStartGroup: Act, RungLiveMigrate: Propose} {
		if got := p.ModeOf(rung); got != want {
			t.Errorf("ModeOf(%s) under act = %s, want %s", rung, got, want)
		}
	}
	p.Rungs = map[string]Mode{RungLiveMigrate: Act, RungResetVM: Observe}
	for rung, want := range map[string]Mode{RungLiveMigrate: Act, RungResetVM: Observe} {
		if got := p.ModeOf(rung); got != want {
			t.Errorf("ModeOf(%s) when named = %s, want %s", rung, got, want)
		}
	}
}

func TestWeakerThanDefault(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	p.HealthCheckTimeout = 10 * time.Second
	p.Limits = Limits{ServiceRestartsPerHour: 3, VMRestartsPer6h: 3, MovesPer6h: 2, ActionsPer24h: 4, MaxUndo: time.Hour, MaxAge: time.Hour}
	want := []string{
		"limits.cool_down 0s is less than 30m0s",
		"limits.settle 0s is less than 2m0s",
		"limits.hold 0s is less than 2m0s",
		"limits.service_restarts_per_hour 3 is more than 2",
		"limits.vm_restarts_per_6h 3 is more than 2",
		"limits.moves_per_6h 2 is more than 1",
		"limits.actions_per_24h 4 is more than 3",
		"limits.max_undo 1h0m0s is more than 2m0s",
		"limits.max_age 1h0m0s is more than 15m0s",
		"health_check_timeout 10s is less than 15s",
	}
	if diff := cmp.Diff(want, p.WeakerThanDefault()); diff != "" {
		t.Errorf("WeakerThanDefault() (-want +got):\n%s", diff)
	}
	strict := DefaultPolicy()
	strict.HealthCheckTimeout = 15 * time.Second
	strict.Limits = Limits{CoolDown: time.Hour, Settle: time.Hour, Hold: time.Hour}
	if got := strict.WeakerThanDefault(); got != nil {
		t.Errorf("WeakerThanDefault() = %q for limits that are all stricter, want nothing", got)
	}
	r := Receiver{HoldOff: 5 * time.Second}
	if diff := cmp.Diff([]string{"hold_off 5s is less than 1m0s"}, r.WeakerThanDefault()); diff != "" {
		t.Errorf("Receiver.WeakerThanDefault() (-want +got):\n%s", diff)
	}
}

func TestWinRMAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"hv1": "hv1:5986", "hv1:5985": "hv1:5985", "10.0.0.1": "10.0.0.1:5986",
		"fe80::1": "[fe80::1]:5986", "[fe80::1]": "[fe80::1]:5986", "[fe80::1]:443": "[fe80::1]:443",
	} {
		if why := checkAddress(in, portOptional); why != "" {
			t.Errorf("checkAddress(%q) = %q, want it taken", in, why)
		}
		if got := WinRMAddress(in); got != want {
			t.Errorf("WinRMAddress(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/hypervigil.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(minimal))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("clusters: [{nodes: [~]}, ~]\nexporter: {modules: {x: ~}}\nreceiver: {policies: {y: ~}, webhook: {tls: ~}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yml", data)
		if err != nil {
			if c != nil || !strings.HasPrefix(err.Error(), "f.yml") {
				t.Errorf("Parse() = %v, %v; want no configuration and an error that names the file", c, err)
			}
			return
		}
		// What was taken has to answer every question without a nil.
		for _, cl := range c.Clusters {
			if c.Credentials[cl.Reader] == nil {
				t.Errorf("reader %q is unknown", cl.Reader)
			}
			for _, vm := range cl.VirtualMachines {
				if c.Policy(vm) == nil || strings.Contains(vm.Name, "/") {
					t.Errorf("virtual machine %q: policy %v", vm.Name, c.Policy(vm))
				}
				for _, s := range vm.SQLServers {
					if c.SQLServer(cl.Name, vm.Name, s.Instance) != s || c.Credentials[s.Credential] == nil {
						t.Errorf("instance %q is not found again", s.Instance)
					}
				}
			}
		}
	})
}

func TestEveryRefusedRungSaysWhy(t *testing.T) {
	t.Parallel()
	for _, r := range KnownRungs() {
		for _, fault := range FaultClasses() {
			if slices.Contains(r.Faults, fault) || len(rungsFor(fault)) == 0 {
				continue
			}
			_, err := Parse("f.yml", []byte(minimal+"receiver:\n  webhook: {token_file: /t}\n  alertmanagers: [http://127.0.0.1:9093]\n  policies: {p: {ladders: {"+fault+": ["+r.Name+"]}}}\n"))
			if err == nil || !strings.Contains(err.Error(), r.unfit(fault)) {
				t.Errorf("%s for %s: %v, want it refused with the reason", r.Name, fault, err)
			}
		}
	}
}
