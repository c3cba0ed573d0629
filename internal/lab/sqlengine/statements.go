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
	env.database = d.Name
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
	if b.over != nil {
		return b.over([][]any{nil})
	}
	return b.eval(nil)
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

// query is SELECT.
type query struct {
	top   int // -1 for all
	items []item
	from  []reading
	where *node
	group []node
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
		var failed *tdsserver.Error
		if src, failed = env.join(q.from); failed != nil {
			return tdsserver.Result{}, failed
		}
	}
	columns, values, failed := q.project(env, &src)
	if failed != nil {
		return tdsserver.Result{}, failed
	}
	if src.view.rows, failed = env.filter(q.where, &src); failed != nil {
		return tdsserver.Result{}, failed
	}
	if q.aggregates() {
		return q.groups(env, &src, columns, values)
	}
	if failed := q.sort(env, &src, columns, values); failed != nil {
		return tdsserver.Result{}, failed
	}
	return q.rows(columns, values, src.view.rows)
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

// filter keeps the rows that the condition is true for; all of them where there is none.
func (env *environment) filter(where *node, src *source) ([][]any, *tdsserver.Error) {
	if where == nil {
		return src.view.rows, nil
	}
	b, failed := env.condition(*where, src)
	if failed != nil {
		return nil, failed
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

// condition binds what stands where a condition must.
func (env *environment) condition(n node, src *source) (bound, *tdsserver.Error) {
	b, failed := env.bind(n, src)
	if failed == nil && !b.condition {
		failed = raise(4145, 15, "An expression of non-boolean type specified in a context where a condition is expected, near '%s'.", n.text)
	}
	return b, failed
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
	b, failed := env.bind(by, src)
	if failed == nil && b.over != nil {
		failed = raise(8127, 16, "A column is invalid in the ORDER BY clause because it is not contained in either an aggregate function or the GROUP BY clause.")
	}
	return b, failed
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
