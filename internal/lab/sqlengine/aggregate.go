package sqlengine

import (
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// count is COUNT(*).
func count(name string) bound {
	typ := tdsserver.Type{Kind: tdsserver.Int}
	if name == "COUNT_BIG" {
		typ.Kind = tdsserver.BigInt
	}
	return bound{typ: typ, over: func(rows [][]any) (any, *tdsserver.Error) { return int64(len(rows)), nil }}
}

// extreme is MAX or MIN, which leave out NULL; of no value at all it is NULL.
func extreme(name string, of bound) bound {
	return bound{typ: of.typ, over: func(rows [][]any) (any, *tdsserver.Error) {
		var best any
		for _, row := range rows {
			v, failed := of.eval(row)
			if failed != nil {
				return nil, failed
			}
			if v == nil {
				continue
			}
			if best != nil {
				c, failed := compare(v, best)
				if failed != nil {
					return nil, failed
				}
				if c == 0 || (c < 0) == (name == "MAX") {
					continue
				}
			}
			best = v
		}
		return best, nil
	}}
}

// aggregates reports whether the SELECT gives a row for each group and not for each row.
func (q query) aggregates() bool {
	return q.group != nil || slices.ContainsFunc(q.items, func(i item) bool {
		return !i.star && (i.value.op == opCount || i.value.op == opAggregate)
	})
}

// groups gives one row for each group of rows, in the order in which the groups appear. Without GROUP BY everything is
// one group, also where there is no row.
func (q query) groups(env *environment, src *source, columns []tdsserver.Column, values []bound) (tdsserver.Result, *tdsserver.Error) {
	keys := make([]bound, 0, len(q.group))
	for _, g := range q.group {
		b, failed := env.bind(g, src)
		if failed != nil {
			return tdsserver.Result{}, failed
		}
		if b.over != nil || b.condition {
			return tdsserver.Result{}, raise(144, 15, "Cannot use an aggregate or a subquery in an expression used for the group by list of a GROUP BY clause.")
		}
		keys = append(keys, b)
	}
	for i, it := range q.items {
		if values[i].over == nil && (it.star || !q.isGrouped(it.value)) {
			return tdsserver.Result{}, raise(8120, 16, "A column is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.")
		}
	}
	groups, failed := partition(src.view.rows, keys)
	if failed != nil {
		return tdsserver.Result{}, failed
	}
	if q.group == nil && len(groups) == 0 {
		groups = [][][]any{nil}
	}
	result := tdsserver.Result{Columns: columns}
	for _, rows := range groups {
		out := make([]any, len(values))
		for i, b := range values {
			if b.over != nil {
				out[i], failed = b.over(rows)
			} else {
				out[i], failed = b.eval(rows[0])
			}
			if failed != nil {
				return tdsserver.Result{}, failed
			}
		}
		result.Rows = append(result.Rows, out)
	}
	return result, nil
}

// isGrouped reports whether the expression is one of GROUP BY's, which are columns.
func (q query) isGrouped(n node) bool {
	return n.op == opColumn && slices.ContainsFunc(q.group, func(g node) bool {
		return g.op == opColumn && strings.EqualFold(g.path[len(g.path)-1], n.path[len(n.path)-1])
	})
}

// partition puts the rows that are equal in all keys together; NULL is equal to NULL here.
func partition(rows [][]any, keys []bound) ([][][]any, *tdsserver.Error) {
	var groups [][][]any
	index := map[string]int{}
	for _, row := range rows {
		var name strings.Builder
		for _, k := range keys {
			v, failed := k.eval(row)
			if failed != nil {
				return nil, failed
			}
			if v != nil {
				name.WriteString(fold(show(v)))
			}
			name.WriteString("\x00")
			if v == nil {
				name.WriteString("\x00")
			}
		}
		i, ok := index[name.String()]
		if !ok {
			i = len(groups)
			index[name.String()] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], row)
	}
	return groups, nil
}
