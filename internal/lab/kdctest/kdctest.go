// Package kdctest runs a real key distribution centre for a test: MIT's krb5kdc, as an ordinary process on a loopback port
// of its own, with its own configuration and database in the test's directory. Where it is not installed the test is
// skipped, and the skip is on record.
//
//	r := kdctest.Start(t)
//	r.Add("hv-reader", "secret")
//	keytab := r.Keytab("HTTP/hv1.corp.example")
//	client, err := kerberos.New(kerberos.Options{Username: "hv-reader@" + r.Name, ConfigFile: r.Config, …})
package kdctest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/peers"
)

// Realm is a realm with one KDC. Its methods end the test where something fails; they are for one goroutine.
type Realm struct {
	Name    string // CORP.EXAMPLE
	Config  string // krb5.conf of a client
	Address string // of the KDC

	t       testing.TB
	dir     string
	trusted *Realm // another realm that clients are sent to; nil where there is none
	admin   string
	env     []string
	stop    func()
}

// Name is the realm of every KDC here.
const Name = "CORP.EXAMPLE"

// Start makes the database and starts the KDC, which is stopped at the end of the test. settings are further lines of
// the realm's section in kdc.conf, "max_life = 10s" for example.
func Start(t testing.TB, settings ...string) *Realm {
	t.Helper()
	return start(t, Name, nil, settings)
}

// StartTrusted starts the KDC of another realm, whose services are those of the domain of the same name.
func StartTrusted(t testing.TB, name string) *Realm {
	t.Helper()
	return start(t, name, nil, nil)
}

// StartTrusting starts the KDC of the realm of Start, which sends those who ask for a service of another realm's domain
// there. Its clients know both realms.
func StartTrusting(t testing.TB, other *Realm) *Realm {
	t.Helper()
	r := start(t, Name, other, []string{"host_based_services = *"})
	key := rand.Text() // both realms have to know it
	for _, one := range []*Realm{r, other} {
		one.Add("krbtgt/"+other.Name+"@"+r.Name, key)
	}
	return r
}

// start is Start of any realm.
func start(t testing.TB, name string, trusted *Realm, settings []string) *Realm {
	t.Helper()
	need, ok := t.(peers.T)
	if !ok {
		t.Fatalf("a %T cannot say what it needs", t)
	}
	kdc, util, admin := peers.Need(need, "krb5kdc"), peers.Need(need, "kdb5_util"), peers.Need(need, "kadmin.local")
	dir := t.TempDir()
	r := &Realm{Name: name, trusted: trusted, Config: filepath.Join(dir, "krb5.conf"), t: t, dir: dir, admin: admin}
	r.env = append(os.Environ(), "KRB5_CONFIG="+r.Config, "KRB5_KDC_PROFILE="+filepath.Join(dir, "kdc.conf"), "LC_ALL=C")
	const attempts = 5 // the port was free a moment ago, and may be another's now
	for i := range attempts {
		r.Address = freeAddress(t)
		r.configure(settings)
		if i == 0 {
			r.run(util, "create", "-s", "-r", r.Name, "-P", rand.Text())
		}
		if r.start(kdc) {
			t.Cleanup(r.Stop)
			return r
		}
	}
	t.Fatalf("krb5kdc did not start in %d attempts", attempts)
	return nil
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// configure writes the configuration of the KDC and of its clients.
func (r *Realm) configure(settings []string) {
	r.t.Helper()
	domain := strings.ToLower(r.Name)
	realms, domains := "", ""
	if o := r.trusted; o != nil {
		realms = fmt.Sprintf("\t%s = {\n\t\tkdc = %s\n\t}\n", o.Name, o.Address)
		domains = fmt.Sprintf("\t.%s = %s\n", strings.ToLower(o.Name), o.Name)
	}
	files := map[string]string{
		r.Config: fmt.Sprintf("[libdefaults]\n\tdefault_realm = %[1]s\n\tdns_lookup_kdc = false\n\tdns_lookup_realm = false\n\trdns = false\n"+
			"\tdns_canonicalize_hostname = false\n\tudp_preference_limit = 1\n[realms]\n\t%[1]s = {\n\t\tkdc = %[2]s\n\t}\n"+
			"%[4]s[domain_realm]\n\t.%[3]s = %[1]s\n\tlocalhost = %[1]s\n%[5]s", r.Name, r.Address, domain, realms, domains),
		filepath.Join(r.dir, "kdc.conf"): fmt.Sprintf("[kdcdefaults]\n\tkdc_listen = %[2]s\n\tkdc_tcp_listen = %[2]s\n[realms]\n\t%[1]s = {\n"+
			"\t\tdatabase_name = %[3]s/principal\n\t\tkey_stash_file = %[3]s/stash\n\t\tacl_file = %[3]s/acl\n\t\tdict_file = %[3]s/dict\n"+
			"\t\tsupported_enctypes = aes256-cts:normal aes128-cts:normal\n\t\tmaster_key_type = aes256-cts\n"+
			"\t\tdefault_principal_flags = +preauth\n\t\t%[4]s\n\t}\n[logging]\n\tkdc = STDERR\n", r.Name, r.Address, r.dir, strings.Join(settings, "\n\t\t")),
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// commandTimeout bounds a program that should end by itself.
const commandTimeout = 30 * time.Second

// run runs a program to its end.
func (r *Realm) run(name string, args ...string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %s: %v: %s", filepath.Base(name), args[0], err, out)
	}
	return string(out)
}

// start starts the KDC and reports whether it says that it has begun.
func (r *Realm) start(kdc string) bool {
	r.t.Helper()
	cmd := exec.Command(kdc, "-n", "-r", r.Name)
	cmd.Env = r.env
	out, err := cmd.StderrPipe() // its log; what it prints is held back until it ends
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	var once sync.Once
	var reading sync.WaitGroup
	r.stop = func() {
		once.Do(func() {
			// By its own process id; a KDC that is gone already is what we want.
			_ = cmd.Process.Kill()
			reading.Wait()
			_ = cmd.Wait()
		})
	}
	timer := time.AfterFunc(commandTimeout, r.stop)
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "commencing operation") {
			// Whatever else it logs is read, so that it never waits for us, and is of no interest.
			reading.Go(func() {
				for lines.Scan() {
					continue
				}
			})
			return true
		}
	}
	r.stop()
	return false
}

// Stop ends the KDC; its address refuses connections from then on.
func (r *Realm) Stop() { r.stop() }

// Do has the administrator's program do something: "modprinc -allow_tix hv-reader" for example.
func (r *Realm) Do(command string) string {
	r.t.Helper()
	return r.run(r.admin, "-r", r.Name, "-q", command)
}

// Add adds an account with a password.
func (r *Realm) Add(name, password string) {
	r.t.Helper()
	r.Do(fmt.Sprintf("addprinc -pw %s %s", password, name))
}

// Keytab adds accounts with keys of chance and returns the path of a keytab with them.
func (r *Realm) Keytab(names ...string) string {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "keytab")
	for _, n := range names {
		r.Do("addprinc -randkey " + n)
		r.Do(fmt.Sprintf("ktadd -q -k %s %s", file, n))
	}
	return file
}
