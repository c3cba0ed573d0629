package lab

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// accounts are the lab's own, made anew at every start.
type accounts struct{ sql, reader, operator, guest account }

func newAccounts() accounts {
	return accounts{
		account{"hypervigil", rand.Text()}, account{"hv-reader", rand.Text()}, account{"hv-operator", rand.Text()}, account{"hv-guest", rand.Text()},
	}
}

// ConfigOptions are the parts of a hypervigil.yml for this lab that a caller may want otherwise.
type ConfigOptions struct {
	Dir           string // where the file and its secrets go; the lab's own where empty
	Alertmanagers []string
	LedgerPath    string
	HoldOff       time.Duration // the default where zero
	Sample        time.Duration // sample_interval; the default where zero
	Policy        string        // YAML of the policy "standard" below its mode, indented by six blanks
	Encrypt       string        // strict where empty
}

// Config writes a hypervigil.yml for this lab, and the secret files that it names, and returns its path.
func (l *Lab) Config(o ConfigOptions) (string, error) {
	if o.Dir == "" {
		o.Dir = l.options.Dir
	}
	if o.Encrypt == "" {
		o.Encrypt = "strict"
	}
	if o.LedgerPath == "" {
		o.LedgerPath = filepath.Join(o.Dir, "ledger.db")
	}
	if len(o.Alertmanagers) == 0 {
		o.Alertmanagers = []string{"http://127.0.0.1:9093"}
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, "# The lab's own, written when it started; its accounts are good nowhere else.")
	if k := l.options.Kerberos; k != nil {
		fmt.Fprintf(&b, "kerberos: {config_file: %q}\n", k.ConfigFile)
	}
	fmt.Fprintln(&b, "credentials:")
	for _, c := range []struct {
		name string
		a    account
	}{{"sql-monitor", l.accounts.sql}, {"winrm-reader", l.accounts.reader}, {"winrm-operator", l.accounts.operator}, {"guest-operator", l.accounts.guest}} {
		entry, err := l.credential(o.Dir, c.name, c.a)
		if err != nil {
			return "", err
		}
		b.WriteString(entry)
	}
	token := filepath.Join(o.Dir, "webhook.token")
	if err := os.WriteFile(token, []byte(rand.Text()+"\n"), 0o600); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "clusters:\n  - name: %s\n    reader: winrm-reader\n    operator: winrm-operator\n    guest_operator: guest-operator\n    tls: {ca_file: %q}\n    nodes:\n", l.options.Spec.Cluster, l.ca.file)
	for _, n := range l.options.Spec.Nodes {
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%q]%s}\n", n, l.Address(n), l.spn(ServiceWinRM))
	}
	fmt.Fprintln(&b, "    virtual_machines:")
	for _, v := range l.options.Spec.VMs {
		if len(v.Instances) == 0 {
			continue
		}
		fmt.Fprintf(&b, "      - name: %s\n", v.Name)
		if v.Group != v.Name {
			fmt.Fprintf(&b, "        group: %s\n", v.Group)
		}
		fmt.Fprintf(&b, "        guest: {address: %q%s}\n        policy: standard\n        sql_servers:\n", l.Address(v.Name), l.spn(ServiceWinRM))
		for _, s := range v.Instances {
			fmt.Fprintf(&b, "          - {instance: %s, address: %q, credential: sql-monitor, encrypt: %s%s}\n", s, l.Address(v.Name+"/"+s), o.Encrypt, l.spn(ServiceSQL))
		}
		if v.Name == l.applicationVM() {
			address := l.Address(v.Name + application)
			fmt.Fprintf(&b, "        application: {tcp: %q, http: %q, windows_service: EventLog}\n", address, "https://"+address+"/health")
		}
	}
	fmt.Fprintf(&b, "receiver:\n  ledger: {path: %q}\n  webhook: {token_file: %q}\n  alertmanagers:\n", o.LedgerPath, token)
	for _, a := range o.Alertmanagers {
		fmt.Fprintf(&b, "    - %s\n", a)
	}
	fmt.Fprintln(&b, "  controls:")
	for _, c := range l.controls {
		fmt.Fprintf(&b, "    - tcp://%s\n", c.Addr())
	}
	if o.HoldOff > 0 {
		fmt.Fprintf(&b, "  hold_off: %s\n", o.HoldOff)
	}
	if o.Sample > 0 {
		fmt.Fprintf(&b, "  sample_interval: %s\n", o.Sample)
	}
	fmt.Fprintf(&b, "  policies:\n    standard:\n      mode: act\n%s", o.Policy)
	path := filepath.Join(o.Dir, "hypervigil.yml")
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}

// Address is the loopback address of a node's or guest's WinRM ("HV1", "SQL01") or of an instance ("SQL01/MSSQLSERVER");
// empty if there is none.
func (l *Lab) Address(name string) string {
	for _, e := range l.endpoints {
		if e.name == name {
			return e.port.Addr().String()
		}
	}
	return ""
}

// ControlURL is the base URL of the control.
func (l *Lab) ControlURL() string { return "http://" + l.control.Addr().String() }

// CAFile is the certificate of the lab's authority, in PEM.
func (l *Lab) CAFile() string { return l.ca.file }

// Exports lists every address and account as lines for a shell.
func (l *Lab) Exports() []string {
	list := []string{"export HYPERVIGIL_LAB_CONTROL=" + l.ControlURL(), "export HYPERVIGIL_LAB_CA=" + l.ca.file}
	for _, n := range l.options.Spec.Nodes {
		list = append(list, fmt.Sprintf("export HYPERVIGIL_LAB_WINRM_%s=https://%s/wsman", n, l.Address(n)))
	}
	for _, v := range l.options.Spec.VMs {
		list = append(list, fmt.Sprintf("export HYPERVIGIL_LAB_WINRM_%s=https://%s/wsman", v.Name, l.Address(v.Name)))
		for _, s := range v.Instances {
			list = append(list, fmt.Sprintf("export HYPERVIGIL_LAB_TDS_%s_%s=%s", v.Name, s, l.Address(v.Name+"/"+s)))
		}
	}
	for _, a := range []struct {
		name string
		a    account
	}{{"SQL", l.accounts.sql}, {"READER", l.accounts.reader}, {"OPERATOR", l.accounts.operator}, {"GUEST", l.accounts.guest}} {
		list = append(list, fmt.Sprintf("export HYPERVIGIL_LAB_%s_USER=%s", a.name, a.a.user), fmt.Sprintf("export HYPERVIGIL_LAB_%s_PASSWORD=%s", a.name, a.a.password))
	}
	return list
}

// Given lists the durations that were put in, for the reader of a report.
func (l *Lab) Given() []string { return l.options.Spec.Given() }

// Profile is the lab's profile.
func (l *Lab) Profile() model.Profile { return l.options.Spec.Profile }
