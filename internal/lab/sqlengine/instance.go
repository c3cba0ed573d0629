package sqlengine

import "time"

// Instance is the simulated SQL Server that an Engine answers for. Both methods are called from many connections at
// once and must not block: a hang is a Phase, not a slow answer.
type Instance interface {
	// Snapshot is the instance as it is at this moment.
	Snapshot() Snapshot
	// Authenticate reports whether the SQL login exists and this is its password.
	Authenticate(user, password string) bool
	// Admit reports whether there is a login for a Windows account, named in small letters and without its domain.
	Admit(account string) bool
}

// Snapshot is one consistent view of an instance.
type Snapshot struct {
	Phase Phase
	// Run numbers the runs of the service: a new process has a higher one, and nothing of what the one before had open.
	Run uint32
	// ServerName is @@SERVERNAME: the machine's name, followed by \instance where the instance is a named one.
	ServerName string
	// MachineName is the NetBIOS name of the guest.
	MachineName string
	// InstanceName is MSSQLSERVER for the default instance.
	InstanceName string
	// Version is the product's version with four parts, for example 16.0.4135.4.
	Version string
	// Edition is as SERVERPROPERTY('Edition') has it, for example "Enterprise Edition (64-bit)".
	Edition string
	// StartTime is when this run of the service began, Now the guest's clock. Their location is the guest's time zone.
	StartTime time.Time
	Now       time.Time
	// Databases are listed by their ID, the system databases first: 1 master, 2 tempdb, 3 model, 4 msdb.
	Databases []Database
	Files     []File

	// What sp_server_diagnostics says.
	Diagnostics Diagnostics

	// What is going on, and what went on since the start. The views add the asking session itself.
	Requests     []Request
	Transactions []Transaction
	Backups      []Backup
	Counters     []Counter
	Waits        []Wait
	Schedulers   []Scheduler
	MaxWorkers   int64

	// Hadr is nil where Always On is not enabled.
	Hadr *Hadr
	// ClusterNodes are those of a failover cluster instance; nil for any other.
	ClusterNodes []ClusterNode

	// Frozen says that a backup's snapshot is being taken: what writes waits.
	Frozen bool

	// Lacks are the permissions that the login was not given.
	Lacks Grant
}

// Phase is how far an instance is from serving clients.
type Phase int

// The phases. Only Running serves; Hung accepts connections and never answers; the others refuse the login in SQL
// Server's own words.
const (
	// Running serves.
	Running Phase = iota
	// Starting refuses every login: error 17187.
	Starting
	// Paused serves the connections it has and refuses new ones: error 17142.
	Paused
	// SingleUser refuses everybody but the one administrator who is there already: error 18461.
	SingleUser
	// ShuttingDown refuses logins with error 17188 and every statement with error 6005.
	ShuttingDown
	// Hung says nothing: neither to a login nor to a statement nor to an attention.
	Hung
)

// String is the phase in lower case.
func (p Phase) String() string {
	switch p {
	case Running:
		return "running"
	case Starting:
		return "starting"
	case Paused:
		return "paused"
	case SingleUser:
		return "single user"
	case ShuttingDown:
		return "shutting down"
	case Hung:
		return "hung"
	}
	return "unknown"
}

// Database is a row of sys.databases.
type Database struct {
	ID         int
	Name       string
	State      DatabaseState
	UserAccess UserAccess
	ReadOnly   bool
	InStandby  bool
	CreateDate time.Time
}

// DatabaseState is sys.databases.state.
type DatabaseState int

// The states of a database, by sys.databases.state.
const (
	Online           DatabaseState = 0
	Restoring        DatabaseState = 1
	Recovering       DatabaseState = 2
	RecoveryPending  DatabaseState = 3
	Suspect          DatabaseState = 4
	Emergency        DatabaseState = 5
	Offline          DatabaseState = 6
	Copying          DatabaseState = 7
	OfflineSecondary DatabaseState = 10
)

// String is sys.databases.state_desc.
func (s DatabaseState) String() string {
	switch s {
	case Online:
		return "ONLINE"
	case Restoring:
		return "RESTORING"
	case Recovering:
		return "RECOVERING"
	case RecoveryPending:
		return "RECOVERY_PENDING"
	case Suspect:
		return "SUSPECT"
	case Emergency:
		return "EMERGENCY"
	case Offline:
		return "OFFLINE"
	case Copying:
		return "COPYING"
	case OfflineSecondary:
		return "OFFLINE_SECONDARY"
	}
	return "UNKNOWN"
}

// UserAccess is sys.databases.user_access.
type UserAccess int

// Who may use a database, by sys.databases.user_access.
const (
	MultiUser      UserAccess = 0
	SingleUserOnly UserAccess = 1
	Restricted     UserAccess = 2
)

// String is sys.databases.user_access_desc.
func (a UserAccess) String() string {
	switch a {
	case MultiUser:
		return "MULTI_USER"
	case SingleUserOnly:
		return "SINGLE_USER"
	case Restricted:
		return "RESTRICTED_USER"
	}
	return "UNKNOWN"
}
