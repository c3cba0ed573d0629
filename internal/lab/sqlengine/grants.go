package sqlengine

import (
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// performanceStateSince is the major version that split VIEW SERVER STATE: SQL Server 2022.
const performanceStateSince = "16"

// needs is nil where the login has the permission that the instance's views ask for.
func (env *environment) needs(g Grant) *tdsserver.Error {
	if env.Lacks&g == 0 {
		return nil
	}
	name := "VIEW SERVER STATE"
	if env.splitsState() {
		name = "VIEW SERVER PERFORMANCE STATE"
	}
	return raise(300, 14, "%s permission was denied on object 'server', database 'master'.", name)
}

func (env *environment) splitsState() bool {
	major, _, _ := strings.Cut(env.Version, ".")
	return len(major) == len(performanceStateSince) && major >= performanceStateSince
}

// enter is nil where the login may use the database and it can be used.
func (env *environment) enter(database string) *tdsserver.Error {
	if failed := env.usable(database); failed != nil {
		return failed
	}
	if env.Lacks&ConnectAny == 0 {
		return nil
	}
	switch strings.ToLower(database) {
	case "master", "tempdb", "msdb": // everybody is a guest there
		return nil
	}
	return raise(916, 14, "The server principal %q is not able to access the database %q under the current security context.", env.session.Login().User, database)
}

// hasPermission is HAS_PERMS_BY_NAME for a permission on the server; of others it knows nothing and gives NULL, as
// SQL Server does for a name that it does not know.
func (env *environment) hasPermission(args []bound) bound {
	typ := tdsserver.Type{Kind: tdsserver.Int}
	if len(args) != 3 || !args[0].null || !args[1].null {
		return constant(nil, typ)
	}
	return apply(args[2], typ, func(v any) any {
		var g Grant
		switch name := strings.ToUpper(show(v)); {
		case name == "VIEW SERVER STATE", name == "VIEW SERVER PERFORMANCE STATE" && env.splitsState():
			g = ServerState
		case name == "VIEW ANY DEFINITION":
			g = AnyDefinition
		case name == "CONNECT ANY DATABASE":
			g = ConnectAny
		default:
			return nil
		}
		if env.Lacks&g != 0 {
			return int64(0)
		}
		return int64(1)
	})
}
