// Package cluster gives failover cluster, Hyper-V and guest objects as Go types over WS-Management: snapshots to
// read, and the few commands that change something. It classifies failures (dial.Reason) and judges nothing.
//
//	h, err := cluster.NewHost(cluster.Options{Name: "HV1", Addresses: []string{"hv1.corp.example"}, …})
//	defer h.Close()
//	v, err := h.View(ctx)
//
// Host and Guest are safe for concurrent use; every call ends at its context's deadline. Questions that belong
// together are asked in parallel. Properties are read by names that Windows Server 2019 and 23H2 have in common.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-kit/log"
	"golang.org/x/sync/errgroup"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lockout"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// The WMI namespaces.
const (
	nsCluster = "root/MSCluster"
	nsHyperV  = "root/virtualization/v2"
	nsWindows = "root/cimv2"
)

// LabVendor is the ProductVendor by which the simulated cluster identifies itself.
const LabVendor = "Hypervigil lab"

// Options say how to reach one machine.
type Options struct {
	// Name is the machine's in the inventory; it marks what the machine says. The first address where empty.
	Name string
	// Addresses are the machine's, in order of preference: host or host:port (5986 where none is given).
	Addresses []string
	// Scheme is basic, ntlm, kerberos or certificate; nothing is tried instead of it.
	Scheme string
	// Username and Password are for basic and ntlm. Password is asked at every request or new connection and kept nowhere.
	Username string
	Password func() (string, error)
	// Lockout holds back a password that was refused; nil holds nothing back.
	Lockout *lockout.Keeper
	// Tickets is for kerberos; SPN is the machine's name there, wsman.ServiceName of the addresses where empty.
	Tickets wsman.Tickets
	SPN     string
	// TLS holds the authorities, the name to expect where it is not the address's own, and for scheme certificate
	// the client's certificate. nil trusts the system's authorities.
	TLS *tls.Config
	// Names remembers what the addresses' names resolved to; nil remembers nothing.
	Names *dial.Names
	// Turns bounds how many large answers are read at once; nil bounds nothing.
	Turns *wsman.Turns
	// Logger is told of every request at level debug. It may be nil.
	Logger log.Logger
}

// machine is what Host and Guest have in common.
type machine struct {
	name   string
	client *wsman.Client
}

// newMachine makes the client.
func newMachine(o Options) (machine, error) {
	c, err := wsman.New(wsman.Options{
		Addresses: o.Addresses, Scheme: wsman.Scheme(o.Scheme), Username: o.Username, Password: o.Password,
		Lockout: o.Lockout, Peer: o.Name, Tickets: o.Tickets, SPN: o.SPN, Names: o.Names, TLS: o.TLS, Turns: o.Turns, Logger: o.Logger,
	})
	if err != nil {
		return machine{}, err
	}
	if o.Name == "" {
		o.Name = o.Addresses[0]
	}
	return machine{o.Name, c}, nil
}

// Name returns the machine's name in the inventory.
func (m *machine) Name() string { return m.name }

// Raw is the client below, for who has to see an answer as it came; whoever asks it for what changes something is on his
// own.
func (m *machine) Raw() *wsman.Client { return m.client }

// CertificateExpiry is when the first of the certificates ends that the machine showed in the last handshake; zero before
// one.
func (m *machine) CertificateExpiry() time.Time { return m.client.CertificateExpiry() }

// Close closes the kept connections. Calls under way end at their contexts' deadlines.
func (m *machine) Close() error { return m.client.Close() }

// Identity is who a WS-Management service says it is.
type Identity struct {
	ProductVendor  string `json:"product_vendor"`
	ProductVersion string `json:"product_version"`
}

// Lab reports whether it is the simulated cluster.
func (i Identity) Lab() bool { return i.ProductVendor == LabVendor }

// Identify asks who the service is.
func (m *machine) Identify(ctx context.Context) (Identity, error) {
	id, err := m.client.Identify(ctx)
	if err != nil {
		return Identity{}, err
	}
	return Identity{id.ProductVendor, id.ProductVersion}, nil
}

// OperatingSystem reads Win32_OperatingSystem.
func (m *machine) OperatingSystem(ctx context.Context) (OperatingSystem, error) {
	return one(ctx, m, nsWindows, "SELECT CSName, Version, BuildNumber, LastBootUpTime, LocalDateTime, "+
		"TotalVisibleMemorySize, FreePhysicalMemory, TotalVirtualMemorySize, FreeVirtualMemory FROM Win32_OperatingSystem", func(f *fields) OperatingSystem {
		return OperatingSystem{
			ComputerName: f.text("CSName"), Version: f.text("Version"), Build: f.text("BuildNumber"),
			LastBoot: f.time("LastBootUpTime"), LocalTime: f.time("LocalDateTime"),
			MemoryTotal: f.uint64("TotalVisibleMemorySize") * kilobyte, MemoryFree: f.uint64("FreePhysicalMemory") * kilobyte,
			CommitLimit: f.uint64("TotalVirtualMemorySize") * kilobyte, CommitFree: f.uint64("FreeVirtualMemory") * kilobyte,
		}
	})
}

// Units of WMI's properties.
const (
	kilobyte = 1 << 10
	megabyte = 1 << 20
)

// ErrNotFound says that the machine answered and has nothing of that name.
var ErrNotFound = errors.New("not found")

// Unsupported reports whether the machine answered that it has no such class at all: an optional part of Windows that is
// not there, and not a failure. It means something only where another class of the namespace answers.
func Unsupported(err error) bool {
	var f *wsman.Fault
	return errors.As(err, &f) && f.InvalidClass()
}

// Reason classifies an error of this package, nil included.
func Reason(err error) dial.Reason { return wsman.Reason(err) }

// all asks a query and makes a T of each row.
func all[T any](ctx context.Context, m *machine, namespace, wql string, row func(*fields) T) ([]T, error) {
	return each(m, m.client.Enumerate(ctx, namespace, wql), row)
}

// each makes a T of each row.
func each[T any](m *machine, rows iter.Seq2[*wsman.Object, error], row func(*fields) T) ([]T, error) {
	var out []T
	for o, err := range rows {
		if err != nil {
			return nil, err
		}
		f := fields{object: o}
		v := row(&f)
		if f.err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, f.err)
		}
		out = append(out, v)
	}
	return out, nil
}

// one asks a query that has one row; none is ErrNotFound, and of several nobody could say which was meant.
func one[T any](ctx context.Context, m *machine, namespace, wql string, row func(*fields) T) (T, error) {
	var zero T
	rows, err := all(ctx, m, namespace, wql, row)
	switch {
	case err != nil:
		return zero, err
	case len(rows) == 0:
		return zero, ErrNotFound
	case len(rows) > 1:
		return zero, fmt.Errorf("%s: %d answers to a question with one", m.name, len(rows))
	}
	return rows[0], nil
}

// together runs questions in parallel. The first error ends the others and is returned.
func together(ctx context.Context, questions ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, q := range questions {
		g.Go(func() error { return q(ctx) })
	}
	return g.Wait()
}

// into makes a question of a read.
func into[T any](dst *T, read func(context.Context) (T, error)) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		*dst, err = read(ctx)
		return err
	}
}

// sorted returns the distinct strings in order.
func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
