package sqlengine

import (
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// nothing is a SET.
type nothing struct{}

func (nothing) run(*environment) tdsserver.Result { return tdsserver.Result{} }

// use is USE.
type use struct{ database string }

func (u use) run(env *environment) tdsserver.Result {
	if failed := env.usable(u.database); failed != nil {
		return tdsserver.Result{Error: failed}
	}
	d, _ := env.find(u.database)
	return tdsserver.Result{Database: d.Name}
}

// printed is PRINT.
type printed struct{ value node }

func (p printed) run(env *environment) tdsserver.Result {
	v, failed := env.scalar(p.value)
	if failed != nil {
		return tdsserver.Result{Error: failed}
	}
	message := ""
	if v != nil {
		message = show(v)
	}
	return tdsserver.Result{Messages: []tdsserver.Error{{State: 1, Message: message}}}
}

// scalar is the value of an expression that stands outside a SELECT.
func (env *environment) scalar(n node) (any, *tdsserver.Error) {
	b, failed := env.bind(n, &source{})
	if failed != nil {
		return nil, failed
	}
	if b.condition {
		return nil, raise(102, 15, "Incorrect syntax near '%s'.", n.text)
	}
	return b.eval(nil)
}

// transaction is BEGIN, COMMIT or ROLLBACK.
type transaction struct{ change tdsserver.TransactionChange }

func (t transaction) run(*environment) tdsserver.Result {
	return tdsserver.Result{Transaction: t.change}
}

// execute is EXECUTE of a procedure.
type execute struct {
	procedure string
	arguments []argument
}

type argument struct {
	name  string
	value node
}

func (e execute) run(env *environment) tdsserver.Result {
	var params []tdsserver.Param
	for _, a := range e.arguments {
		v, failed := env.scalar(a.value)
		if failed != nil {
			return tdsserver.Result{Error: failed}
		}
		params = append(params, tdsserver.Param{Name: a.name, Value: v})
	}
	return env.call(e.procedure, params).Results[0]
}

// call runs a procedure; there is always one result.
func (env *environment) call(procedure string, params []tdsserver.Param) tdsserver.Response {
	name := strings.ToLower(procedure)
	for _, prefix := range []string{"master.", "sys.", "dbo.", "."} {
		name = strings.TrimPrefix(name, prefix)
	}
	if name == "sp_server_diagnostics" {
		return env.diagnostics(params)
	}
	failed := raise(2812, 16, "Could not find stored procedure '%s'.", procedure)
	failed.State = 62
	return tdsserver.Fail(failed)
}

// diagnostics is sp_server_diagnostics, once: an instance that answers at all is clean. Its columns and states:
// learn.microsoft.com, "sp_server_diagnostics (Transact-SQL)".
func (env *environment) diagnostics(params []tdsserver.Param) tdsserver.Response {
	if len(params) > 1 {
		return tdsserver.Fail(raise(8144, 16, "Procedure or function sp_server_diagnostics has too many arguments specified."))
	}
	for _, p := range params {
		if p.Name != "" && !strings.EqualFold(p.Name, "@repeat_interval") {
			return tdsserver.Fail(raise(8145, 16, "%s is not a parameter for procedure sp_server_diagnostics.", p.Name))
		}
		if p.Value != nil && p.Value != int64(0) {
			return tdsserver.Fail(raise(15600, 15, "An invalid parameter or option was specified for procedure 'sys.sp_server_diagnostics'."))
		}
	}
	name := name128()
	result := tdsserver.Result{Columns: []tdsserver.Column{
		{Name: "create_time", Type: tdsserver.Type{Kind: tdsserver.DateTime}},
		{Name: "component_type", Type: name},
		{Name: "component_name", Type: name},
		{Name: "state", Type: tdsserver.Type{Kind: tdsserver.Int}},
		{Name: "state_desc", Type: name},
		{Name: "data", Type: tdsserver.Type{Kind: tdsserver.NVarChar, Length: tdsserver.Max}},
	}}
	for _, c := range []struct {
		name, data string
		state      int64
	}{
		{"system", `<system spinlockBackoffs="0" sickSpinlockType="none" latchWarnings="0" isAccessViolationOccurred="0" writeAccessViolationCount="0" totalDumpRequests="0" intervalDumpRequests="0" nonYieldingTasksReported="0" pageFaults="0" systemCpuUtilization="1" sqlCpuUtilization="0" BadPagesDetected="0" BadPagesFixed="0" LastBadPageAddress="0x0"/>`, 1},
		{"resource", `<resource lastNotification="RESOURCE_MEMPHYSICAL_HIGH" outOfMemoryExceptions="0" isAnyPoolOutOfMemory="0" processOutOfMemoryPeriod="0"/>`, 1},
		{"query_processing", `<queryProcessing maxWorkers="512" workersCreated="40" workersIdle="20" tasksCompletedWithinInterval="5" pendingTasks="0" oldestPendingTaskWaitingTime="0" hasUnresolvableDeadlockOccurred="0" hasDeadlockedSchedulersOccurred="0" trackingNonYieldingScheduler="0x0"/>`, 1},
		{"io_subsystem", `<ioSubsystem ioLatchTimeouts="0" intervalLongIos="0" totalLongIos="0"/>`, 1},
		{"events", `<events/>`, 0}, // always unknown, which is its normal state
	} {
		state := "clean"
		if c.state == 0 {
			state = "unknown"
		}
		result.Rows = append(result.Rows, []any{env.Now, "instance", c.name, c.state, state, c.data})
	}
	return tdsserver.Response{Results: []tdsserver.Result{result}}
}

// query is SELECT.
type query struct {
	top   int // -1 for all
	items []item
	from  []string
	alias string
	where *node
	order []order
}

type item struct {
	star  bool
	alias string
	value node
}

type order struct {
	by         node
	descending bool
}

func (q query) run(env *environment) tdsserver.Result {
	result, failed := q.answer(env)
	if failed != nil {
		return tdsserver.Result{Error: failed}
	}
	return result
}

func (q query) answer(env *environment) (tdsserver.Result, *tdsserver.Error) {
	src := source{view: view{rows: [][]any{nil}}}
	if q.from != nil {
		v, failed := env.open(q.from)
		if failed != nil {
			return tdsserver.Result{}, failed
		}
		src = source{view: v, names: q.from}
		if q.alias != "" {
			src.names = []string{q.alias}
		}
	}
	columns, values, failed := q.project(env, &src)
	if failed != nil {
		return tdsserver.Result{}, failed
	}
	if src.view.rows, failed = q.filter(env, &src); failed != nil {
		return tdsserver.Result{}, failed
	}
	if q.counts() {
		if q.from == nil || !slices.ContainsFunc(q.items, func(i item) bool { return i.value.op != opCount }) {
			return q.rows(columns, values, [][]any{nil})
		}
		return tdsserver.Result{}, raise(8120, 16, "A column is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.")
	}
	if failed := q.sort(env, &src, columns, values); failed != nil {
		return tdsserver.Result{}, failed
	}
	return q.rows(columns, values, src.view.rows)
}

// counts reports whether the SELECT has COUNT(*) in its list.
func (q query) counts() bool {
	return slices.ContainsFunc(q.items, func(i item) bool { return !i.star && i.value.op == opCount })
}

// project binds the select list.
func (q query) project(env *environment, src *source) ([]tdsserver.Column, []bound, *tdsserver.Error) {
	var columns []tdsserver.Column
	var values []bound
	for _, it := range q.items {
		if it.star {
			if q.from == nil {
				return nil, nil, raise(263, 16, "Must specify table to select from.")
			}
			for i, c := range src.view.columns {
				columns = append(columns, c)
				values = append(values, bound{typ: c.Type, eval: func(row []any) (any, *tdsserver.Error) { return row[i], nil }})
			}
			continue
		}
		b, failed := env.bind(it.value, src)
		if failed != nil {
			return nil, nil, failed
		}
		if b.condition {
			return nil, nil, raise(102, 15, "Incorrect syntax near '%s'.", it.value.text)
		}
		name := it.alias
		if name == "" && it.value.op == opColumn {
			name = it.value.path[len(it.value.path)-1]
		}
		columns = append(columns, tdsserver.Column{Name: name, Type: b.typ})
		values = append(values, b)
	}
	return columns, values, nil
}

// filter keeps the rows that the condition is true for.
func (q query) filter(env *environment, src *source) ([][]any, *tdsserver.Error) {
	if q.where == nil {
		return src.view.rows, nil
	}
	b, failed := env.bind(*q.where, src)
	if failed != nil {
		return nil, failed
	}
	if !b.condition {
		return nil, raise(4145, 15, "An expression of non-boolean type specified in a context where a condition is expected, near '%s'.", q.where.text)
	}
	var kept [][]any
	for _, row := range src.view.rows {
		v, failed := b.eval(row)
		if failed != nil {
			return nil, failed
		}
		if v == true {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

// sort orders the rows; NULL is the lowest value.
func (q query) sort(env *environment, src *source, columns []tdsserver.Column, values []bound) *tdsserver.Error {
	var failed *tdsserver.Error
	for _, o := range slices.Backward(q.order) {
		key, f := q.sortKey(env, src, o.by, columns, values)
		if f != nil {
			return f
		}
		slices.SortStableFunc(src.view.rows, func(a, b []any) int {
			x, f := key.eval(a)
			if f == nil {
				var y any
				if y, f = key.eval(b); f == nil {
					var c int
					if c, f = compareNulls(x, y); f == nil {
						if o.descending {
							return -c
						}
						return c
					}
				}
			}
			failed = f
			return 0
		})
	}
	return failed
}

func compareNulls(a, b any) (int, *tdsserver.Error) {
	switch {
	case a == nil && b == nil:
		return 0, nil
	case a == nil:
		return -1, nil
	case b == nil:
		return 1, nil
	}
	return compare(a, b)
}

// sortKey is a position in the select list, an alias of it, or any expression.
func (q query) sortKey(env *environment, src *source, by node, columns []tdsserver.Column, values []bound) (bound, *tdsserver.Error) {
	if n, ok := by.value.(int64); ok && by.op == opLiteral {
		if n < 1 || n > int64(len(values)) {
			return bound{}, raise(108, 16, "The ORDER BY position number %d is out of range of the number of items in the select list.", n)
		}
		return values[n-1], nil
	}
	if by.op == opColumn && len(by.path) == 1 {
		for i, c := range columns {
			if strings.EqualFold(c.Name, by.path[0]) {
				return values[i], nil
			}
		}
	}
	return env.bind(by, src)
}

// rows evaluates the select list.
func (q query) rows(columns []tdsserver.Column, values []bound, from [][]any) (tdsserver.Result, *tdsserver.Error) {
	result := tdsserver.Result{Columns: columns}
	for _, row := range from {
		if q.top >= 0 && len(result.Rows) == q.top {
			break
		}
		out := make([]any, len(values))
		for i, b := range values {
			v, failed := b.eval(row)
			if failed != nil {
				return tdsserver.Result{}, failed
			}
			out[i] = v
		}
		result.Rows = append(result.Rows, out)
	}
	return result, nil
}
