package winservice

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Spec is a service to be installed.
type Spec struct {
	Name        string
	DisplayName string
	Description string
	// Path is the program's absolute path, Args what it is started with. Everybody who may read services may read both.
	Path string
	Args []string
	// Account is one that needs no password: see Validate.
	Account string
}

// DefaultAccount is a service's virtual account: it has no rights but those that are given to it, and no password.
func DefaultAccount(service string) string { return `NT SERVICE\` + service }

// Validate reports what must not become a service. An account with a password is refused, because the password would
// stand on a command line: "virtual accounts" and group managed service accounts have one that Windows keeps itself
// (learn.microsoft.com, "Service accounts").
func (s Spec) Validate() error {
	if s.Name == "" || len(s.Name) > 256 || strings.ContainsAny(s.Name, `/\`) { // CreateServiceW, lpServiceName
		return fmt.Errorf("%q cannot be a service's name", s.Name)
	}
	if s.Path == "" || strings.Contains(s.Path, `"`) {
		return fmt.Errorf("%q cannot be a service's program", s.Path)
	}
	for _, a := range append([]string{s.Path, s.DisplayName, s.Description, s.Account}, s.Args...) {
		if strings.ContainsAny(a, "\x00\r\n") {
			return fmt.Errorf("%q has a character that a service's settings cannot have", a)
		}
	}
	for _, a := range s.Args {
		_, value, _ := strings.Cut(a, "=")
		if u, err := url.Parse(value); err == nil && u.User != nil {
			return fmt.Errorf("%s: a user in a URL would be readable for everybody in the service's command line", strings.SplitN(a, "=", 2)[0])
		}
	}
	if !passwordless(s.Account) {
		return fmt.Errorf("the account %q needs a password, which a command line must not hold: use a group managed service account (DOMAIN\\name$), NT SERVICE\\%s, or set the account in services.msc after the installation", s.Account, s.Name)
	}
	return nil
}

// passwordless reports whether an account is one whose password Windows keeps itself, or has none.
func passwordless(account string) bool {
	domain, name, ok := strings.Cut(account, `\`)
	if !ok || domain == "" || name == "" {
		return false
	}
	switch {
	case strings.EqualFold(domain, "NT SERVICE"):
		return true
	case strings.EqualFold(domain, "NT AUTHORITY"):
		// LocalSystem is none of them: whoever can reach one of our ports need not meet the whole machine's rights behind it.
		return strings.EqualFold(name, "LocalService") || strings.EqualFold(name, "NetworkService")
	}
	return domain != "." && strings.HasSuffix(name, "$")
}

// CommandLine is what the manager starts: the path always in quotation marks (without them `C:\Program Files\…` starts
// `C:\Program.exe` where there is one: learn.microsoft.com, CreateServiceW, lpBinaryPathName) and each argument such that
// CommandLineToArgvW takes it apart into the same arguments.
func CommandLine(path string, args []string) string {
	line := `"` + path + `"`
	for _, a := range args {
		line += " " + quote(a)
	}
	return line
}

// quote follows CommandLineToArgvW: backslashes count only before a quotation mark, where each stands for half of one.
func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\v\"") {
		return arg
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range arg {
		switch r {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes)) // they stand before the closing mark
	b.WriteByte('"')
	return b.String()
}

// Recovery is what the manager does after a failure.
type Recovery struct {
	// Restart is how long it waits before the first, the second and each further start.
	Restart []time.Duration
	// Reset is after how long without a failure the count begins anew.
	Reset time.Duration
}

// DefaultRecovery starts a failed service again and again: a watcher that stays down is worse than one that fails again,
// and the receiver reads its ledger before it does anything.
func DefaultRecovery() Recovery {
	return Recovery{Restart: []time.Duration{5 * time.Second, 15 * time.Second, time.Minute}, Reset: time.Hour}
}
