package config

import (
	"fmt"
	"iter"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// validator checks what decoding cannot see: relations between fields, and values that are well formed and wrong.
type validator struct {
	*problems
	config   *Config
	receiver bool // the file has a receiver section
}

func (v *validator) run() {
	v.credentials()
	v.clusters()
	v.exporter()
	v.policies()
	if v.receiver {
		v.receiverSection()
	}
}

// nameForm is what the names of clusters, nodes, virtual machines, credentials, policies and modules are made of. They
// stand in targets (cluster/vm/instance), URLs, labels and file names, so neither a slash nor anything that would have
// to be escaped is allowed. A name does not begin with a hyphen: "-" in an alert's label means that there is none.
var nameForm = regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}_. -]*$`)

// instanceForm is Microsoft's rule for instance names (learn.microsoft.com, "Instance Configuration"): up to 16
// characters, a letter or underscore first, then letters, digits, underscores and dollar signs. We do not check the
// length: Microsoft may lift it, and a name too long for SQL Server can do no harm here.
var instanceForm = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_$]*$`)

var envForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// byName iterates over a map in the order of its keys, so that problems come in the same order every time.
func byName[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

func enum[T ~string](v *validator, path string, got T, allowed []T) {
	if !slices.Contains(allowed, got) {
		v.check(path, "%s is not allowed; use %s", quote(string(got)), oneOf(allowed))
	}
}

func (v *validator) name(path, name string) {
	switch {
	case name == "":
		v.check(path, "is missing")
	case !nameForm.MatchString(name) || strings.HasSuffix(name, " "):
		v.check(path, "%s is not allowed as a name; use letters, digits, blanks inside, and the characters . _ -, a letter or digit first", quote(name))
	}
}

// unique reports names that differ from an earlier one of the same list in case only: Windows does not tell them apart.
func (v *validator) unique(seen map[string]string, path, what, name string) {
	if name == "" {
		return
	}
	key := strings.ToLower(name)
	if first, ok := seen[key]; ok {
		v.check(path, "%s is already the name of %s; every %s needs a name of its own (upper and lower case are the same)", quote(name), first, what)
		return
	}
	seen[key] = parent(path)
}

func (v *validator) notNegative(path string, d time.Duration) {
	if d < 0 {
		v.check(path, "%s is not allowed; use 0s or more", d)
	}
}

func (v *validator) positive(path string, d time.Duration) {
	if d <= 0 {
		v.check(path, "%s is not allowed; use more than 0s", d)
	}
}

func (v *validator) count(path string, n int) {
	if n < 0 {
		v.check(path, "%d is not allowed; use 0 (never) or more", n)
	}
}

// reference checks that a field names a credential.
func (v *validator) reference(path, name string) {
	switch {
	case name == "":
		v.check(path, "is missing; name one of the credentials")
	case v.config.Credentials[name] == nil:
		known := slices.Sorted(maps.Keys(v.config.Credentials))
		if len(known) == 0 {
			v.check(path, "there is no credential %s; the file has no credentials", quote(name))
			return
		}
		v.check(path, "there is no credential %s; use %s", quote(name), oneOf(known))
	}
}

// together reports files of which one is useless without the other.
func (v *validator) together(path string, names [2]string, values [2]string) {
	for i := range names {
		if values[i] != "" && values[1-i] == "" {
			v.check(join(path, names[1-i]), "is missing; %s needs it", names[i])
		}
	}
}

func (v *validator) credentials() {
	for name, c := range byName(v.config.Credentials) {
		path := "credentials." + name
		v.name(path, name)
		enum(v, path+".scheme", c.Scheme, Schemes())
		v.together(path, [2]string{"cert_file", "key_file"}, [2]string{c.CertFile, c.KeyFile})
		if c.PasswordEnv != "" && !envForm.MatchString(c.PasswordEnv) {
			// The value is not repeated: the likeliest wrong value is the password itself.
			v.check(path+".password_env", "is not the name of an environment variable")
		}
		var sources []string
		for _, s := range []struct{ field, value string }{
			{"password_file", c.PasswordFile}, {"password_env", c.PasswordEnv}, {"keytab_file", c.KeytabFile}, {"cert_file", c.CertFile},
		} {
			if s.value != "" {
				sources = append(sources, s.field)
			}
		}
		allowed := c.Scheme.secrets()
		switch {
		case allowed == nil: // an unknown scheme, reported above
		case len(sources) == 0:
			v.check(path, "has no secret; the scheme %s takes one of %s", c.Scheme, oneOf(allowed))
		case len(sources) > 1:
			v.check(path, "has %d secrets (%s); exactly one is allowed", len(sources), strings.Join(sources, ", "))
		case !slices.Contains(allowed, sources[0]):
			v.check(path+"."+sources[0], "does not go with the scheme %s; use %s", c.Scheme, oneOf(allowed))
		}
		if c.Username == "" && c.Scheme != Certificate {
			v.check(path+".username", "is missing")
		}
		if c.Scheme == Kerberos && (strings.Contains(c.Username, `\`) || strings.Count(c.Username, "@") > 1 || strings.HasPrefix(c.Username, "@")) {
			v.check(path+".username", "%s is no account of a realm; use user@REALM, or user where krb5.conf has a default_realm", quote(c.Username))
		}
		if strings.ContainsAny(c.Username, ":\x00\r\n") && c.Scheme == Basic {
			v.check(path+".username", "%s is not allowed: a name of the scheme basic has no colon and no line end", quote(c.Username))
		}
	}
}

// secrets lists the fields of which a credential of this scheme needs exactly one.
func (s Scheme) secrets() []string {
	switch s {
	case Basic, NTLM:
		return []string{"password_file", "password_env"}
	case Kerberos:
		return []string{"keytab_file", "password_file", "password_env"}
	case Certificate:
		return []string{"cert_file"}
	}
	return nil
}

func (v *validator) exporter() {
	v.notNegative("exporter.timeout_offset", v.config.Exporter.TimeoutOffset)
	for name, m := range byName(v.config.Exporter.Modules) {
		path := "exporter.modules." + name
		v.name(path, name)
		v.positive(path+".timeout", m.Timeout)
		if m.Prober == "" {
			v.check(path+".prober", "is missing; use %s", oneOf(Probers()))
			continue
		}
		if !slices.Contains(Probers(), m.Prober) {
			v.check(path+".prober", "%s is not allowed; use %s", quote(string(m.Prober)), oneOf(Probers()))
			continue
		}
		for i, c := range m.Collectors {
			at := fmt.Sprintf("%s.collectors[%d]", path, i)
			switch {
			case !slices.Contains(m.Prober.Collectors(), c):
				v.check(at, "%s is not a collector of the prober %s; use %s", quote(c), m.Prober, oneOf(m.Prober.Collectors()))
			case slices.Contains(m.Collectors[:i], c):
				v.check(at, "%s stands in the list twice", quote(c))
			}
		}
	}
}

func (v *validator) receiverSection() {
	r := v.config.Receiver
	if b := r.Ledger.ReplayBytes; b != 0 && b < leastReplay {
		v.check("receiver.ledger.replay_bytes", "%d is not allowed; use 0 (keep none) or %d (8 MiB) or more", b, leastReplay)
	}
	if r.Ledger.ReplayAge <= 0 {
		v.check("receiver.ledger.replay_age", "%s is not allowed; use a positive duration such as 72h", r.Ledger.ReplayAge)
	}
	if r.Ledger.Path == "" {
		v.check("receiver.ledger.path", "is missing")
	}
	v.positive("receiver.sample_interval", r.SampleInterval)
	v.notNegative("receiver.hold_off", r.HoldOff)
	v.webhook(r.Webhook)
	v.approvers(r)
	v.retention(r.Retention)
	if len(r.Alertmanagers) == 0 {
		v.check("receiver.alertmanagers", "is missing; list the URL of at least one Alertmanager")
	}
	for i, s := range r.Alertmanagers {
		v.alertmanager(fmt.Sprintf("receiver.alertmanagers[%d]", i), s)
	}
	for i, s := range r.Controls {
		v.control(fmt.Sprintf("receiver.controls[%d]", i), s)
	}
	for i, s := range r.NeverTouch {
		path := fmt.Sprintf("receiver.never_touch[%d]", i)
		cluster, vm, ok := strings.Cut(s, "/")
		switch {
		case !ok || cluster == "" || vm == "" || strings.Contains(vm, "/"):
			v.check(path, "%s is not allowed; use cluster/vm", quote(s))
		case v.config.Cluster(cluster) == nil:
			// The virtual machine itself need not be in the inventory: a domain controller seldom is.
			v.check(path, "there is no cluster %s in %s", quote(cluster), quote(s))
		}
	}
}

// leastAudit is the least that is kept of the record of decisions, and leastClosed of closed incidents: guards ask what
// was done in the last 24 h, and a person what happened last.
const (
	leastAudit  = 1 << 20
	leastBytes  = 1 << 20
	leastClosed = 100
)

// leastReplay is the least of a recording, in bytes: eight segments with a state each.
const leastReplay = 8 << 20

func (v *validator) retention(r Retention) {
	const path = "receiver.retention"
	if r.Closed < 24*time.Hour {
		v.check(path+".closed", "%s is not allowed; use 24h or more: an alert that comes again is known by what it led to", r.Closed)
	}
	if r.ClosedCount < leastClosed {
		v.check(path+".closed_count", "%d is not allowed; use %d or more", r.ClosedCount, leastClosed)
	}
	if r.ClosedBytes < leastBytes {
		v.check(path+".closed_bytes", "%d is not allowed; use %d (1 MiB) or more", r.ClosedBytes, leastBytes)
	}
	if r.AuditBytes < leastAudit {
		v.check(path+".audit_bytes", "%d is not allowed; use %d (1 MiB) or more", r.AuditBytes, leastAudit)
	}
}

func (v *validator) approvers(r Receiver) {
	names, certificates := map[string]string{}, map[string]string{}
	for i, a := range r.Approvers {
		path := fmt.Sprintf("receiver.approvers[%d]", i)
		v.name(path+".name", a.Name)
		v.unique(names, path+".name", "approver", a.Name)
		v.unique(certificates, path+".certificate", "approver's certificate", a.Certificate)
		switch {
		case a.TokenFile != "" && a.TokenEnv != "":
			v.check(path, "has two secrets (token_file, token_env); one at most is allowed")
		case a.TokenFile == "" && a.TokenEnv == "" && a.Certificate == "":
			v.check(path, "has neither token_file, token_env nor certificate; an approver has to prove who he is by at least one of them")
		}
		if a.TokenEnv != "" && !envForm.MatchString(a.TokenEnv) {
			v.check(path+".token_env", "is not the name of an environment variable")
		}
		if a.TokenFile != "" && a.TokenFile == r.Webhook.TokenFile || a.TokenEnv != "" && a.TokenEnv == r.Webhook.TokenEnv {
			v.check(path, "has the webhook's token; who may send alerts must not be able to approve what comes of them")
		}
	}
}

func (v *validator) webhook(w Webhook) {
	const path = "receiver.webhook"
	if w.TokenFile != "" && w.TokenEnv != "" {
		v.check(path, "has two secrets (token_file, token_env); exactly one is allowed")
	}
	if w.TokenEnv != "" && !envForm.MatchString(w.TokenEnv) {
		v.check(path+".token_env", "is not the name of an environment variable")
	}
	if w.TokenFile == "" && w.TokenEnv == "" && (w.TLS == nil || w.TLS.ClientCAFile == "") {
		v.check(path, "has neither token_file, token_env nor tls.client_ca_file; Alertmanager has to prove who it is by at least one of them")
	}
	if w.TLS == nil {
		return
	}
	v.together(path+".tls", [2]string{"cert_file", "key_file"}, [2]string{w.TLS.CertFile, w.TLS.KeyFile})
	if w.TLS.CertFile == "" && w.TLS.KeyFile == "" {
		v.check(path+".tls.cert_file", "is missing; tls needs cert_file and key_file")
	}
}

func (v *validator) alertmanager(path, s string) {
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil:
		v.check(path, "%s has a user name in it; a secret does not stand in the file", quote(u.Redacted()))
	case err != nil:
		// The error of url.Parse repeats the value, which may have a password in it.
		v.check(path, "is not a URL; use for example http://127.0.0.1:9093")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		v.check(path, "%s is not allowed; use http://host:port or https://host:port, with a path where there is one", quote(s))
	}
}

func (v *validator) control(path, s string) {
	rest, ok := strings.CutPrefix(s, "tcp://")
	if !ok || checkAddress(rest, portRequired) != "" {
		v.check(path, "%s is not allowed; use tcp://host:port", quote(s))
	}
}
