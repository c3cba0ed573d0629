package sqlengine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// function finds a function by its name in capitals.
func (env *environment) function(name string, args []bound) (bound, *tdsserver.Error) {
	count := func(least, most int) *tdsserver.Error {
		if len(args) < least || len(args) > most {
			return raise(174, 15, "The %s function requires %d argument(s).", strings.ToLower(name), least)
		}
		return nil
	}
	now := func(kind tdsserver.Kind, utc bool) (bound, *tdsserver.Error) {
		t := env.Now
		if utc {
			t = t.UTC()
		}
		typ := tdsserver.Type{Kind: kind}
		if kind != tdsserver.DateTime {
			typ.Scale = 7
		}
		return constant(t, typ), count(0, 0)
	}
	switch name {
	case "GETDATE", "CURRENT_TIMESTAMP":
		return now(tdsserver.DateTime, false)
	case "GETUTCDATE":
		return now(tdsserver.DateTime, true)
	case "SYSDATETIME":
		return now(tdsserver.DateTime2, false)
	case "SYSUTCDATETIME":
		return now(tdsserver.DateTime2, true)
	case "SYSDATETIMEOFFSET":
		return now(tdsserver.DateTimeOffset, false)
	case "SUSER_SNAME", "SUSER_NAME", "ORIGINAL_LOGIN", "SYSTEM_USER", "SESSION_USER", "CURRENT_USER", "USER_NAME":
		return constant(env.session.Login().User, name128()), count(0, 0)
	case "HOST_NAME":
		return constant(env.session.Login().HostName, name128()), count(0, 0)
	case "APP_NAME":
		return constant(env.session.Login().AppName, name128()), count(0, 0)
	case "SERVERPROPERTY":
		if failed := count(1, 1); failed != nil {
			return bound{}, failed
		}
		return apply(args[0], tdsserver.Type{Kind: tdsserver.Variant}, func(v any) any { return env.property(show(v)) }), nil
	case "DB_NAME":
		return env.databaseName(args), count(0, 1)
	case "DB_ID":
		return env.databaseID(args), count(0, 1)
	case "HAS_PERMS_BY_NAME":
		return env.hasPermission(args), count(3, 3)
	case "ISNULL":
		if failed := count(2, 2); failed != nil {
			return bound{}, failed
		}
		return firstOf(args), nil
	case "COALESCE":
		if failed := count(2, maxArguments); failed != nil {
			return bound{}, failed
		}
		return firstOf(args), nil
	}
	return bound{}, &tdsserver.Error{Number: 195, Class: 15, State: 10, Message: "'" + name + "' is not a recognized built-in function name."}
}

// maxArguments bounds COALESCE.
const maxArguments = 1024

// apply is a function of one value; NULL gives NULL.
func apply(arg bound, typ tdsserver.Type, f func(any) any) bound {
	return bound{typ: typ, eval: func(row []any) (any, *tdsserver.Error) {
		v, failed := arg.eval(row)
		if failed != nil || v == nil {
			return nil, failed
		}
		return f(v), nil
	}}
}

// firstOf is the first value that is not NULL, as one of the type of the first argument that has one.
func firstOf(args []bound) bound {
	typ := args[0].typ
	if i := slices.IndexFunc(args, func(a bound) bool { return !a.null }); i >= 0 {
		typ = args[i].typ
	}
	for _, a := range args {
		if a.typ.Kind == typ.Kind && (a.typ.Length == tdsserver.Max || typ.Length != tdsserver.Max && a.typ.Length > typ.Length) {
			typ.Length = a.typ.Length
		}
	}
	return bound{typ: typ, eval: func(row []any) (any, *tdsserver.Error) {
		for _, a := range args {
			v, failed := a.eval(row)
			if failed != nil {
				return nil, failed
			}
			if v != nil {
				return convert(v, typ)
			}
		}
		return nil, nil
	}}
}

func (env *environment) databaseName(args []bound) bound {
	if len(args) == 0 {
		return constant(env.database, name128())
	}
	return apply(args[0], name128(), func(v any) any {
		for _, d := range env.Databases {
			if show(v) == strconv.Itoa(d.ID) {
				return d.Name
			}
		}
		return nil
	})
}

func (env *environment) databaseID(args []bound) bound {
	typ := tdsserver.Type{Kind: tdsserver.SmallInt}
	id := func(name any) any {
		if d, ok := env.find(show(name)); ok {
			return int64(d.ID)
		}
		return nil
	}
	if len(args) == 0 {
		return constant(id(env.database), typ)
	}
	return apply(args[0], typ, id)
}

// property is SERVERPROPERTY; what it does not know is NULL, as SQL Server has it.
func (env *environment) property(name string) any {
	version := append(strings.Split(env.Version, "."), "", "", "")
	switch strings.ToLower(name) {
	case "productversion":
		return env.Version
	case "productmajorversion":
		return version[0]
	case "productminorversion":
		return version[1]
	case "productbuild":
		return version[2]
	case "productlevel":
		return "RTM"
	case "edition":
		return env.Edition
	case "engineedition":
		return engineEdition(env.Edition)
	case "servername":
		return env.ServerName
	case "machinename", "computernamephysicalnetbios":
		return env.MachineName
	case "instancename":
		if strings.EqualFold(env.InstanceName, defaultInstance) {
			return nil
		}
		return env.InstanceName
	case "collation", "sqlcharsetname":
		return collationName
	case "ishadrenabled":
		if env.Hadr != nil {
			return int64(1)
		}
		return int64(0)
	case "isclustered":
		if env.ClusterNodes != nil {
			return int64(1)
		}
		return int64(0)
	case "isintegratedsecurityonly", "isfulltextinstalled", "islocaldb":
		return int64(0)
	case "issingleuser":
		if env.Phase == SingleUser {
			return int64(1)
		}
		return int64(0)
	}
	return nil
}

const (
	defaultInstance = "MSSQLSERVER"
	collationName   = "SQL_Latin1_General_CP1_CI_AS"
)

// engineEdition is SERVERPROPERTY('EngineEdition'): 2 Standard and its like, 3 Enterprise and its like, 4 Express.
func engineEdition(edition string) int64 {
	switch e := strings.ToLower(edition); {
	case strings.HasPrefix(e, "express"):
		return 4
	case strings.HasPrefix(e, "standard"), strings.HasPrefix(e, "web"), strings.HasPrefix(e, "business"):
		return 2
	}
	return 3
}

// global finds one of the server's own variables, by its name in small letters.
func (env *environment) global(name string) (bound, bool) {
	number := func(n int64, k tdsserver.Kind) (bound, bool) {
		return constant(n, tdsserver.Type{Kind: k}), true
	}
	switch name {
	case "@@version":
		return text(env.banner()), true
	case "@@servername":
		return constant(env.ServerName, name128()), true
	case "@@servicename":
		return constant(env.InstanceName, name128()), true
	case "@@language":
		return constant("us_english", name128()), true
	case "@@spid":
		return number(int64(env.session.ID()), tdsserver.SmallInt)
	case "@@trancount":
		return number(int64(env.depth), tdsserver.Int)
	case "@@microsoftversion":
		var major, minor, build int64
		if _, err := fmt.Sscanf(env.Version, "%d.%d.%d", &major, &minor, &build); err != nil {
			return constant(nil, tdsserver.Type{Kind: tdsserver.Int}), true
		}
		return number(major<<24|minor<<16|build, tdsserver.Int)
	case "@@rowcount":
		return number(env.affected, tdsserver.Int)
	case "@@error", "@@langid", "@@nestlevel":
		return number(0, tdsserver.Int)
	case "@@lock_timeout":
		return number(-1, tdsserver.Int)
	case "@@textsize":
		return number(1<<31-1, tdsserver.Int)
	case "@@datefirst":
		return number(7, tdsserver.TinyInt)
	case "@@max_precision":
		return number(38, tdsserver.TinyInt)
	}
	return bound{}, false
}

// banner is @@VERSION.
func (env *environment) banner() string {
	major, _, _ := strings.Cut(env.Version, ".")
	year := map[string]string{"13": " 2016", "14": " 2017", "15": " 2019", "16": " 2022", "17": " 2025"}[major]
	return fmt.Sprintf("Microsoft SQL Server%s - %s (X64) \n\t%s on Windows (Hypervisor)\n", year, env.Version, env.Edition)
}
