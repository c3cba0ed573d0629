// Package sqlengine answers the T-SQL that monitors and ordinary clients send to a simulated SQL Server, from a
// model of the instance and from the tables that clients made: an Engine is an instance with its disks, whichever run
// of the service is the present one (Snapshot.Run).
//
//	engine, err := sqlengine.New(instance)
//	srv, err := tdsserver.New(tdsserver.Options{Handler: engine, …})
//
// It understands
//
//   - SELECT of expressions, or from views and tables, one or several by INNER JOIN, with aliases, TOP, WHERE, ORDER BY,
//     COUNT(*), MAX, MIN, GROUP BY columns and the hint NOLOCK;
//   - CREATE TABLE with types, NULL, NOT NULL and a PRIMARY KEY of one column; DROP TABLE [IF EXISTS]; INSERT … VALUES;
//     UPDATE … SET … [FROM … INNER JOIN …] [WHERE]; DELETE [FROM] … [WHERE]; all of them in any database that is open;
//   - the views that Engine.Views lists, with the columns that the model knows;
//   - literals, parameters, the usual @@ variables, SERVERPROPERTY, HAS_PERMS_BY_NAME of the server, DB_NAME,
//     DB_ID, SUSER_SNAME, GETDATE and its like, ISNULL, COALESCE, CAST and CONVERT without a style, comparisons, IN, IS NULL, AND, OR, NOT;
//   - SET of the options that clients set, which have no effect; USE; PRINT; BEGIN, COMMIT and ROLLBACK TRANSACTION;
//   - EXEC of sp_server_diagnostics, once or with @repeat_interval. The first set does not take its five seconds; the
//     others come at the interval.
//
// Tables are durable as SQL Server's are: what was committed survives the service's end, what was open then is rolled
// back, and a session that ends rolls back what it left open. A statement outside a transaction is one. Reads see what
// was committed last (READ_COMMITTED_SNAPSHOT); a lock is a whole table's, and of two transactions that wait for each
// other the second gets error 1205. A savepoint marks nothing: a rollback to one ends the transaction.
//
// All else is refused in SQL Server's own words: 102 or 156 for syntax it does not know, 208 for an object, 207 for a
// column, 195 for a function or an option, 137 for a variable, 2812 for a procedure, 243 for a type, 245 for a
// conversion, 911 for a database. varchar is answered as nvarchar. Texts are compared without regard to case or
// trailing blanks, as under SQL Server's default collation.
//
// An Engine is safe for concurrent use.
package sqlengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// Engine answers for one instance.
type Engine struct {
	instance Instance
	disk     *disk
}

var _ tdsserver.Handler = (*Engine)(nil)

// New returns the engine of an instance.
func New(i Instance) (*Engine, error) {
	if i == nil {
		return nil, errors.New("sql engine: no instance")
	}
	return &Engine{instance: i, disk: newDisk(i)}, nil
}

// Login lets a login in, or refuses it with SQL Server's number. Numbers, severities and texts here and elsewhere in
// the package: learn.microsoft.com, "Database Engine events and errors".
func (e *Engine) Login(ctx context.Context, l tdsserver.Login) *tdsserver.Error {
	s := e.instance.Snapshot()
	switch s.Phase {
	case Running:
	case Starting:
		return raise(17187, 16, "SQL Server is not ready to accept new client connections. Wait a few minutes before trying again. If you have access to the error log, look for the informational message that indicates that SQL Server is ready before trying to connect again.")
	case Paused:
		return raise(17142, 16, "SQL Server service has been paused. No new connections will be allowed. To resume the service, use SQL Computer Manager or the Services application in Control Panel.")
	case SingleUser:
		return raise(18461, 14, "Login failed for user '%s'. Reason: Server is in single user mode. Only one administrator can connect at this time.", l.User)
	case ShuttingDown:
		return raise(17188, 16, "SQL Server cannot accept new connections, because it is shutting down. The connection has been closed.")
	case Hung:
		<-ctx.Done()
		return nil
	}
	admitted := l.Windows && e.instance.Admit(l.User)
	if !l.Windows {
		admitted = e.instance.Authenticate(l.User, l.Password)
	}
	if !admitted {
		return raise(18456, 14, "Login failed for user '%s'.", l.User)
	}
	if l.Database != "" && s.usable(l.Database) != nil {
		return raise(4060, 11, "Cannot open database %q requested by the login. The login failed.", l.Database)
	}
	return nil
}

// Query answers a request.
func (e *Engine) Query(ctx context.Context, session *tdsserver.Session, r tdsserver.Request) tdsserver.Response {
	s := e.instance.Snapshot()
	switch s.Phase {
	case Running, Paused, SingleUser, Starting:
	case ShuttingDown:
		return tdsserver.Fail(raise(6005, 14, "SHUTDOWN is in progress."))
	case Hung:
		<-ctx.Done()
		return tdsserver.Response{}
	}
	if !e.disk.enter(s.Run) {
		return tdsserver.Response{HangUp: true}
	}
	env := &environment{Snapshot: s, instance: e.instance, engine: e, ctx: ctx, session: session, database: "master", params: make(map[string]any, len(r.Params))}
	if session != nil {
		env.database, env.depth, env.work = cmp.Or(session.Database(), "master"), session.TransactionDepth(), e.disk.of(session)
		if env.depth > 0 && env.work == nil {
			return tdsserver.Response{HangUp: true} // it went with the process
		}
	}
	for _, p := range r.Params {
		env.params[strings.ToLower(p.Name)] = p.Value
	}
	if r.Procedure != "" {
		return env.call(r.Procedure, r.Params)
	}
	statements, failed := parse(r.Text)
	if failed != nil {
		return tdsserver.Fail(failed)
	}
	var resp tdsserver.Response
	for _, st := range statements {
		result := st.run(env)
		resp.Results = append(resp.Results, result)
		if result.Error != nil {
			resp.Status = -6
			break
		}
	}
	return resp
}

// environment is what one request is answered from, and what its statements have changed until now.
type environment struct {
	Snapshot
	instance Instance
	engine   *Engine
	ctx      context.Context //nolint:containedctx // of the one request that the environment is for
	session  *tdsserver.Session
	params   map[string]any

	database string
	depth    int   // of transactions
	work     *work // the session's transaction; nil outside one
	affected int64 // @@ROWCOUNT, within the request
}

// raise makes an error of SQL Server's.
func raise(number int32, class byte, format string, args ...any) *tdsserver.Error {
	return &tdsserver.Error{Number: number, Class: class, State: 1, Message: fmt.Sprintf(format, args...)}
}

// find returns the database of a name.
func (s *Snapshot) find(name string) (Database, bool) {
	for _, d := range s.Databases {
		if strings.EqualFold(d.Name, name) {
			return d, true
		}
	}
	return Database{}, false
}

// usable is nil for a database that can be used, otherwise SQL Server's reason why not.
func (s *Snapshot) usable(name string) *tdsserver.Error {
	d, ok := s.find(name)
	if !ok {
		return raise(911, 16, "Database '%s' does not exist. Make sure that the name is entered correctly.", name)
	}
	switch d.State {
	case Online, Emergency:
		return nil
	case Restoring:
		return raise(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", name)
	case Recovering, RecoveryPending:
		return raise(922, 14, "Database '%s' is being recovered. Waiting until recovery is finished.", name)
	case Suspect:
		return raise(926, 14, "Database '%s' cannot be opened. It has been marked SUSPECT by recovery. See the SQL Server errorlog for more information.", name)
	case Offline, Copying, OfflineSecondary:
		return raise(942, 14, "Database '%s' cannot be opened because it is offline.", name)
	}
	return raise(945, 14, "Database '%s' cannot be opened due to inaccessible files or insufficient memory or disk space. See the SQL Server errorlog for details.", name)
}
