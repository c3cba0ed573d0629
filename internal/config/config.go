// Package config is hypervigil.yml: the one file that every program reads. It decodes strictly, validates the whole
// file and reports everything that is wrong with it at once, each problem with file, line, field, value and what is
// allowed. It resolves no secret by itself: each program resolves those it uses, and CheckExporter and CheckReceiver
// say beforehand whether it could.
//
//	cfg, err := config.Load("/etc/hypervigil/hypervigil.yml")
//
// Durations are Go's ("900ms", "15m"). A *Config is immutable after Load and safe for concurrent use.
package config

import (
	"slices"
	"time"
)

// Config is one hypervigil.yml.
type Config struct {
	Credentials map[string]*Credential `yaml:"credentials"`
	Kerberos    Realms                 `yaml:"kerberos"`
	Clusters    []*Cluster             `yaml:"clusters"`
	Exporter    Exporter               `yaml:"exporter"`
	Receiver    Receiver               `yaml:"receiver"`
}

// Realms says where Kerberos' realms and their key distribution centres are described.
type Realms struct {
	ConfigFile string `yaml:"config_file"` // krb5.conf
}

// Scheme is how a credential is proven, to WinRM and to SQL Server.
type Scheme string

// The schemes. A program never falls back from the configured one to another. To SQL Server Basic is a login of its own,
// NTLM and Kerberos are Windows accounts, and there is no Certificate.
const (
	Basic       Scheme = "basic"
	NTLM        Scheme = "ntlm"
	Kerberos    Scheme = "kerberos"
	Certificate Scheme = "certificate"
)

func (s Scheme) String() string { return string(s) }

// Schemes lists every scheme.
func Schemes() []Scheme { return []Scheme{Basic, NTLM, Kerberos, Certificate} }

// Credential is a named account. Its secrets are references to files or environment variables.
type Credential struct {
	Name         string `yaml:"-"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	KeytabFile   string `yaml:"keytab_file"`
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	Scheme       Scheme `yaml:"scheme"`
}

// TLS says which certificates to trust, and which name to expect where it is not the address's own.
type TLS struct {
	CAFile     string `yaml:"ca_file"`
	ServerName string `yaml:"server_name"`
}

// Cluster is one failover cluster.
type Cluster struct {
	Name            string            `yaml:"name"`
	Reader          string            `yaml:"reader"`
	Operator        string            `yaml:"operator"`
	GuestOperator   string            `yaml:"guest_operator"`
	Mode            Mode              `yaml:"mode"` // how far any rung may go here, whatever the policies say; Act leaves it to them
	TLS             TLS               `yaml:"tls"`
	Nodes           []*Node           `yaml:"nodes"`
	VirtualMachines []*VirtualMachine `yaml:"virtual_machines"`
}

// Node is a Hyper-V host. Addresses are host or host:port (5986 where none is given), tried in order.
type Node struct {
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"`
	SPN       string   `yaml:"spn"` // its name in Kerberos; HTTP/ and its first address that is a name where empty
}

// VirtualMachine is a watched virtual machine.
type VirtualMachine struct {
	Name        string       `yaml:"name"`
	Group       string       `yaml:"group"`   // the cluster group's name; Name where empty
	VMName      string       `yaml:"vm_name"` // Hyper-V's name of it; Name where empty
	Guest       Guest        `yaml:"guest"`
	SQLServers  []*SQLServer `yaml:"sql_servers"`
	Application *Application `yaml:"application"` // nil where nothing else is watched
	Thresholds  Thresholds   `yaml:"thresholds"`
	Policy      string       `yaml:"policy"`
}

// Thresholds are from when on the alerts that only tell say something about the databases of a virtual machine. The
// exporter hands them to Prometheus as metrics, so that nobody edits the rules. 0 is never.
type Thresholds struct {
	BackupAge      time.Duration `yaml:"backup_age"`       // of the newest full or differential backup
	LogBackupAge   time.Duration `yaml:"log_backup_age"`   // of the newest backup of a log that was ever backed up
	LogUsedPercent int           `yaml:"log_used_percent"` // of a log's size
}

// Guest is the operating system inside; its WinRM address is host or host:port (5986 where none is given). Where it
// is empty the guest is not asked.
type Guest struct {
	Address string `yaml:"address"`
	SPN     string `yaml:"spn"` // its name in Kerberos; HTTP/ and its address where empty
}

// SQLServer is one instance of SQL Server.
type SQLServer struct {
	Instance   string     `yaml:"instance"`
	Address    string     `yaml:"address"` // host:port
	Credential string     `yaml:"credential"`
	SPN        string     `yaml:"spn"` // its name in Kerberos; MSSQLSvc/ and its address where empty
	Encrypt    Encryption `yaml:"encrypt"`
	TLS        *TLS       `yaml:"tls"` // the cluster's where absent
	// Admin is its dedicated administrator connection; nil where nobody asks it.
	Admin *AdminConnection `yaml:"admin"`
}

// Encryption is how the connection to SQL Server is encrypted.
type Encryption string

// The modes of go-mssqldb that we allow: Strict is TDS 8.0 (SQL Server 2022 and later), Mandatory TLS inside TDS 7.4.
// Optional encrypts the login only where the server does not ask for more.
const (
	Strict    Encryption = "strict"
	Mandatory Encryption = "mandatory"
	Optional  Encryption = "optional"
)

func (e Encryption) String() string { return string(e) }

// Encryptions lists every mode.
func Encryptions() []Encryption { return []Encryption{Strict, Mandatory, Optional} }

// Exporter configures the exporter.
type Exporter struct {
	Modules map[string]*Module `yaml:"modules"`
	// TimeoutOffset is taken off Prometheus' own scrape time-out, so that the answer is there before it ends.
	TimeoutOffset time.Duration `yaml:"timeout_offset"`
}

// Prober names what a module asks.
type Prober string

// The probers.
const (
	ProberMSSQL       Prober = "mssql"
	ProberHyperV      Prober = "hyperv"
	ProberWSFC        Prober = "wsfc"
	ProberGuest       Prober = "guest"
	ProberApplication Prober = "application"
)

func (p Prober) String() string { return string(p) }

// Probers lists every prober.
func Probers() []Prober {
	return []Prober{ProberMSSQL, ProberHyperV, ProberWSFC, ProberGuest, ProberApplication}
}

// Collectors lists what the prober can collect; a module may name some of them.
func (p Prober) Collectors() []string {
	switch p {
	case ProberMSSQL:
		return []string{"availability", "diagnostics", "databases", "performance", "sessions", "availability_groups", "cluster_members", "admin_connection"}
	case ProberHyperV:
		return []string{
			"namespaces", "host", "services", "vms", "settings", "replication", "uplinks", "memory", "processors", "storage", "adapters",
			"heartbeats", "csv", "resource_failures", "reconnects", "events",
		}
	case ProberWSFC:
		return []string{"cluster", "views", "networks", "volumes", "witness", "owners"}
	case ProberGuest:
		return []string{"os", "services", "tcp", "load", "events"}
	case ProberApplication:
		return []string{"tcp", "http", "windows_service"}
	}
	return nil
}

// Background lists those of the prober's collectors that no decision waits for: they ask much, or what is slow to
// answer, and so are asked seldom and in modules of their own.
func (p Prober) Background() []string {
	switch p {
	case ProberWSFC:
		return []string{"owners"}
	case ProberMSSQL:
		return []string{"databases", "performance", "sessions", "availability_groups", "cluster_members", "admin_connection"}
	case ProberHyperV:
		return []string{"memory", "processors", "storage", "adapters", "heartbeats", "csv", "resource_failures", "reconnects", "events"}
	case ProberGuest:
		return []string{"load", "events"}
	case ProberApplication:
	}
	return nil
}

// OnRequest lists those of the prober's collectors that no built-in module runs: they need an account and a setting that an
// operator gives on purpose. Without these they ask nothing.
func (p Prober) OnRequest() []string {
	switch p {
	case ProberMSSQL:
		return []string{"admin_connection"}
	case ProberHyperV, ProberWSFC, ProberGuest, ProberApplication:
	}
	return nil
}

// Background reports whether a module runs background collectors only.
func (m *Module) Background() bool {
	background := m.Prober.Background()
	return len(m.Collectors) > 0 && !slices.ContainsFunc(m.Collectors, func(c string) bool { return !slices.Contains(background, c) })
}

// Module is a named way to probe a target.
type Module struct {
	Name       string        `yaml:"-"`
	Prober     Prober        `yaml:"prober"`
	Timeout    time.Duration `yaml:"timeout"`
	Collectors []string      `yaml:"collectors"` // all of the prober's where empty
}

// Receiver configures the receiver.
type Receiver struct {
	Ledger         Ledger             `yaml:"ledger"`
	Webhook        Webhook            `yaml:"webhook"`
	Alertmanagers  []string           `yaml:"alertmanagers"`
	Controls       []string           `yaml:"controls"`
	NeverTouch     []string           `yaml:"never_touch"`
	Approvers      []*Approver        `yaml:"approvers"`
	Retention      Retention          `yaml:"retention"`
	HoldOff        time.Duration      `yaml:"hold_off"`
	SampleInterval time.Duration      `yaml:"sample_interval"`
	Policies       map[string]*Policy `yaml:"policies"`
}

// Retention bounds what the ledger keeps of what is over.
type Retention struct {
	Closed      time.Duration `yaml:"closed"`       // how long a closed incident is kept
	ClosedCount int           `yaml:"closed_count"` // how many of them at most
	ClosedBytes int64         `yaml:"closed_bytes"` // and their records together
	AuditBytes  int64         `yaml:"audit_bytes"`  // of the record of decisions
}

// Ledger says where the durable record lies.
type Ledger struct {
	Path string `yaml:"path"`
	// ReplayBytes and ReplayAge bound the recording of what Step saw, beside the ledger; 0 bytes keep none.
	ReplayBytes int64         `yaml:"replay_bytes"`
	ReplayAge   time.Duration `yaml:"replay_age"`
}

// Webhook is how Alertmanager proves itself: a bearer token, a client certificate, or both.
type Webhook struct {
	TokenFile string     `yaml:"token_file"`
	TokenEnv  string     `yaml:"token_env"`
	TLS       *ServerTLS `yaml:"tls"`
}

// ServerTLS is a listener's certificate; ClientCAFile demands a client certificate of that authority.
type ServerTLS struct {
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"`
}

// Approver is a person who may approve what is proposed. He proves himself to the web listener by a token of his own,
// by a client certificate, or by either.
type Approver struct {
	Name        string `yaml:"name"`
	TokenFile   string `yaml:"token_file"`
	TokenEnv    string `yaml:"token_env"`
	Certificate string `yaml:"certificate"` // the common name of the certificate's subject
}

// Mode is how far a rung may go.
type Mode string

// The modes, in rising order.
const (
	Observe Mode = "observe"
	Propose Mode = "propose"
	Act     Mode = "act"
)

func (m Mode) String() string { return string(m) }

// Modes lists every mode, in rising order.
func Modes() []Mode { return []Mode{Observe, Propose, Act} }

// AtMost returns the mode, or most where that goes less far. One that is no mode goes least far.
func (m Mode) AtMost(most Mode) Mode {
	if slices.Index(Modes(), most) < slices.Index(Modes(), m) {
		return most
	}
	return m
}

// Policy says what may be done to the virtual machines that name it.
type Policy struct {
	Name               string              `yaml:"-"`
	Mode               Mode                `yaml:"mode"`
	Rungs              map[string]Mode     `yaml:"rungs"`   // overrides Mode, rung by rung
	Ladders            map[string][]string `yaml:"ladders"` // fault class to rungs; a class not named keeps its default
	CleanStop          CleanStop           `yaml:"clean_stop"`
	HealthCheckTimeout time.Duration       `yaml:"health_check_timeout"`
	// InternalLevel is how far down SQL Server's own FailureConditionLevel ladder an internal error leads to the class's
	// ladder: 3 system, 4 resource too, 5 query_processing too. 0: none does, and the class only tells.
	InternalLevel int    `yaml:"internal_level"`
	Limits        Limits `yaml:"limits"`
}

// CleanStop says what a deliberate stop leads to.
type CleanStop struct {
	HealAfter time.Duration `yaml:"heal_after"` // 0 = never
}

// Limits bound what is done to one virtual machine.
type Limits struct {
	CoolDown               time.Duration `yaml:"cool_down"`
	Settle                 time.Duration `yaml:"settle"`
	Hold                   time.Duration `yaml:"hold"`
	ServiceRestartsPerHour int           `yaml:"service_restarts_per_hour"`
	VMRestartsPer6h        int           `yaml:"vm_restarts_per_6h"`
	MovesPer6h             int           `yaml:"moves_per_6h"`
	ActionsPer24h          int           `yaml:"actions_per_24h"`
	MaxUndo                time.Duration `yaml:"max_undo"`
	MaxAge                 time.Duration `yaml:"max_age"`
}
