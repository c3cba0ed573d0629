package config

import (
	"slices"
	"time"
)

// StandardPolicy is the policy of a virtual machine that names none. It exists, with the defaults, in every
// configuration.
const StandardPolicy = "standard"

// DefaultPort is WinRM's port for HTTPS, used where an address of a node or a guest names none.
const DefaultPort = "5986"

// DefaultKerberosConfig is where systems keep krb5.conf.
const DefaultKerberosConfig = "/etc/krb5.conf"

// Default returns what an empty section means. Every call returns a fresh value that shares nothing.
func Default() *Config {
	return &Config{
		Credentials: map[string]*Credential{},
		Kerberos:    Realms{ConfigFile: DefaultKerberosConfig},
		Exporter:    Exporter{Modules: DefaultModules(), TimeoutOffset: DefaultTimeoutOffset},
		Receiver: Receiver{
			Ledger:         Ledger{Path: "/var/lib/hypervigil/ledger.db", ReplayBytes: 256 << 20, ReplayAge: 72 * time.Hour},
			Retention:      DefaultRetention(),
			HoldOff:        DefaultHoldOff,
			SampleInterval: DefaultSampleInterval,
			Policies:       map[string]*Policy{StandardPolicy: DefaultPolicy()},
		},
	}
}

// The defaults of the exporter and of the receiver as a whole.
const (
	// DefaultTimeoutOffset leaves mssql_availability its 900 ms under a scrape time-out of one second.
	DefaultTimeoutOffset  = 100 * time.Millisecond
	DefaultHoldOff        = 60 * time.Second
	DefaultSampleInterval = 10 * time.Second
)

// DefaultRetention keeps a day of closed incidents, within 64 MiB, and 64 MiB of decisions.
func DefaultRetention() Retention {
	return Retention{Closed: 24 * time.Hour, ClosedCount: 1000, ClosedBytes: 64 << 20, AuditBytes: 64 << 20}
}

// DefaultModules returns the built-in modules; a configured one of the same name overrides field by field.
func DefaultModules() map[string]*Module {
	return map[string]*Module{
		"mssql_availability": {Prober: ProberMSSQL, Timeout: 900 * time.Millisecond, Collectors: []string{"availability"}},
		"mssql_diagnostics":  {Prober: ProberMSSQL, Timeout: diagnosticsTimeout, Collectors: []string{"diagnostics"}},
		"mssql_databases":    {Prober: ProberMSSQL, Timeout: backgroundTimeout, Collectors: []string{"databases", "availability_groups", "cluster_members"}},
		"mssql_performance":  {Prober: ProberMSSQL, Timeout: backgroundTimeout, Collectors: []string{"performance", "sessions"}},
		"hyperv":             {Prober: ProberHyperV, Timeout: defaultTimeout(ProberHyperV), Collectors: foreground(ProberHyperV)},
		"hyperv_performance": {Prober: ProberHyperV, Timeout: backgroundTimeout, Collectors: []string{
			"memory", "processors", "storage", "adapters", "heartbeats", "csv", "resource_failures", "reconnects",
		}},
		"hyperv_events":     {Prober: ProberHyperV, Timeout: backgroundTimeout, Collectors: []string{"events"}},
		"wsfc":              {Prober: ProberWSFC, Timeout: defaultTimeout(ProberWSFC), Collectors: foreground(ProberWSFC)},
		"wsfc_owners":       {Prober: ProberWSFC, Timeout: backgroundTimeout, Collectors: []string{"owners"}},
		"guest":             {Prober: ProberGuest, Timeout: defaultTimeout(ProberGuest), Collectors: foreground(ProberGuest)},
		"application":       {Prober: ProberApplication, Timeout: defaultTimeout(ProberApplication)},
		"guest_performance": {Prober: ProberGuest, Timeout: backgroundTimeout, Collectors: []string{"load"}},
		"guest_events":      {Prober: ProberGuest, Timeout: backgroundTimeout, Collectors: []string{"events"}},
	}
}

// foreground lists a prober's collectors without those of the background.
func foreground(p Prober) []string {
	background := p.Background()
	return slices.DeleteFunc(p.Collectors(), func(c string) bool { return slices.Contains(background, c) })
}

// diagnosticsTimeout lets the first scrape of sp_server_diagnostics see how the login went.
const diagnosticsTimeout = 4 * time.Second

// backgroundTimeout is that of the built-in modules of the background: nobody waits for them.
const backgroundTimeout = 20 * time.Second

// defaultTimeout is the time-out of a module of this prober that names none.
func defaultTimeout(p Prober) time.Duration {
	if p == ProberMSSQL {
		return 900 * time.Millisecond
	}
	return 4 * time.Second
}

// DefaultPolicy returns the policy that changes nothing: it observes, with the design's ladders and limits.
func DefaultPolicy() *Policy {
	return &Policy{
		Mode:  Observe,
		Rungs: map[string]Mode{},
		Ladders: map[string][]string{
			"service": {RungRestartService},
			"hang":    {RungRestartService},
			"guest":   {RungResetVM},
			"network": {RungLiveMigrate},
			"host":    {RungStartGroup},
			// Proposed until Rungs names it.
			"resource": {RungLiveMigrate},
			// Once InternalLevel opts in.
			"internal": {RungRestartService},
		},
		HealthCheckTimeout: 30 * time.Second,
		Limits:             DefaultLimits(),
	}
}

// DefaultLimits returns the limits that only a lab may weaken.
func DefaultLimits() Limits {
	return Limits{
		CoolDown:               30 * time.Minute,
		Settle:                 120 * time.Second,
		Hold:                   120 * time.Second,
		ServiceRestartsPerHour: 2,
		VMRestartsPer6h:        2,
		MovesPer6h:             1,
		ActionsPer24h:          3,
		MaxUndo:                120 * time.Second,
		MaxAge:                 15 * time.Minute,
	}
}

// DefaultThresholds fit a full backup a week. A week is what sp_Blitz, the health check most in use, asks of full and of
// log backups (its checks 1 and 2, brentozar.com/blitz); a day more lets the weekly one take its time. Who backs up
// daily says 26h. The rules' own defaults, for where there is no metric of a machine, are the same.
func DefaultThresholds() Thresholds {
	return Thresholds{BackupAge: 192 * time.Hour, LogBackupAge: 24 * time.Hour, LogUsedPercent: 90}
}

// The types that have defaults of their own get them when the decoder makes one, so that a field which the file does
// not name keeps them.

func (c *Credential) setDefaults() { c.Scheme = Basic }
func (c *Cluster) setDefaults()    { c.Mode = Act }
func (s *SQLServer) setDefaults()  { s.Encrypt = Mandatory }
func (v *VirtualMachine) setDefaults() {
	v.Policy, v.Thresholds = StandardPolicy, DefaultThresholds()
}
func (p *Policy) setDefaults() { *p = *DefaultPolicy() }

// complete fills in what follows from other fields or from a map's keys, after decoding.
func (c *Config) complete(d *decoder) {
	for name, cred := range c.Credentials {
		cred.Name = name
	}
	for name, p := range c.Receiver.Policies {
		p.Name = name
	}
	builtIn := DefaultModules()
	for name, m := range c.Exporter.Modules {
		m.Name = name
		path := "exporter.modules." + name
		if b, ok := builtIn[name]; ok && b.Prober != m.Prober {
			// The name was taken for another prober: the built-in's collectors and time-out mean nothing to it.
			if !d.given(path + ".collectors") {
				m.Collectors = nil
			}
			if !d.given(path + ".timeout") {
				m.Timeout = 0
			}
		}
		if m.Timeout == 0 && !d.given(path+".timeout") {
			m.Timeout = defaultTimeout(m.Prober)
		}
	}
}
