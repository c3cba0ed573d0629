package sqlengine

import (
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// createTable is CREATE TABLE.
type createTable struct {
	path    []string
	columns []column
}

func (c createTable) run(env *environment) tdsserver.Result {
	return env.write(func(w *work) (int64, *tdsserver.Error) {
		name, failed := env.locate(c.path)
		if failed != nil {
			return 0, failed
		}
		t, failed := env.engine.disk.lock(env.ctx, w, name)
		if failed != nil {
			return 0, failed
		}
		own := c.path[len(c.path)-1]
		if t != nil {
			return 0, raise(2714, 16, "There is already an object named '%s' in the database.", own)
		}
		env.replace(w, name, &table{name: own, id: env.engine.disk.number(), created: env.Now, columns: c.columns}, 1)
		return uncounted, nil
	})
}

// dropTable is DROP TABLE.
type dropTable struct {
	paths    [][]string
	ifExists bool
}

func (d dropTable) run(env *environment) tdsserver.Result {
	return env.write(func(w *work) (int64, *tdsserver.Error) {
		for _, path := range d.paths {
			name, failed := env.locate(path)
			if failed != nil {
				return 0, failed
			}
			t, failed := env.engine.disk.lock(env.ctx, w, name)
			if failed != nil {
				return 0, failed
			}
			if t == nil {
				if d.ifExists {
					continue
				}
				return 0, raise(3701, 11, "Cannot drop the table '%s', because it does not exist or you do not have permission.", path[len(path)-1])
			}
			env.replace(w, name, nil, 1)
		}
		return uncounted, nil
	})
}

// target takes the table that a statement writes to.
func (env *environment) target(w *work, path []string) (object, *table, *tdsserver.Error) {
	name, failed := env.locate(path)
	if failed != nil {
		return object{}, nil, failed
	}
	t, failed := env.engine.disk.lock(env.ctx, w, name)
	if failed == nil && t == nil {
		failed = raise(208, 16, "Invalid object name '%s'.", strings.Join(path, "."))
	}
	return name, t, failed
}

// insert is INSERT … VALUES.
type insert struct {
	path    []string
	columns []string // nil: all of them
	rows    [][]node
}

// maxRows is how many rows SQL Server takes in one VALUES.
const maxRows = 1000

func (s insert) run(env *environment) tdsserver.Result {
	return env.write(func(w *work) (int64, *tdsserver.Error) {
		name, t, failed := env.target(w, s.path)
		if failed != nil {
			return 0, failed
		}
		positions, failed := t.positions(s.columns)
		if failed != nil {
			return 0, failed
		}
		if len(s.rows) > maxRows {
			return 0, raise(10738, 15, "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of %d row values.", maxRows)
		}
		rows := slices.Clone(t.rows)
		for _, values := range s.rows {
			row, failed := env.row(t, positions, values, s.columns == nil)
			if failed != nil {
				return 0, failed
			}
			rows = append(rows, row)
		}
		next := t.with(rows)
		if failed := next.unique(); failed != nil {
			return 0, failed
		}
		env.replace(w, name, next, len(s.rows))
		return int64(len(s.rows)), nil
	})
}

// positions finds columns by their names.
func (t *table) positions(names []string) ([]int, *tdsserver.Error) {
	if names == nil {
		all := make([]int, len(t.columns))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	var list []int
	for _, name := range names {
		i := slices.IndexFunc(t.columns, func(c column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			return nil, raise(207, 16, "Invalid column name '%s'.", name)
		}
		if slices.Contains(list, i) {
			return nil, raise(264, 16, "The column name '%s' is specified more than once in the SET clause or column list of an INSERT.", name)
		}
		list = append(list, i)
	}
	return list, nil
}

// row makes one row of the values for the columns at the positions; the others are NULL.
func (env *environment) row(t *table, positions []int, values []node, all bool) ([]any, *tdsserver.Error) {
	switch {
	case len(values) == len(positions):
	case all:
		return nil, raise(213, 16, "Column name or number of supplied values does not match table definition.")
	case len(values) < len(positions):
		return nil, raise(109, 15, "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.")
	default:
		return nil, raise(110, 15, "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.")
	}
	row := make([]any, len(t.columns))
	for n, i := range positions {
		v, failed := env.scalar(values[n])
		if failed != nil {
			return nil, failed
		}
		row[i] = v
	}
	for i, v := range row {
		fitted, failed := t.fit(i, v)
		if failed != nil {
			return nil, failed
		}
		row[i] = fitted
	}
	return row, nil
}

// update is UPDATE … SET … FROM … WHERE.
type update struct {
	path    []string
	columns []string
	values  []node
	from    []reading
	where   *node
}

func (s update) run(env *environment) tdsserver.Result {
	return env.write(func(w *work) (int64, *tdsserver.Error) {
		name, t, src, failed := env.affect(w, s.path, s.from, s.where)
		if failed != nil {
			return 0, failed
		}
		positions, failed := t.positions(s.columns)
		if failed != nil {
			return 0, failed
		}
		values := make([]bound, len(s.values))
		for i, n := range s.values {
			if values[i], failed = env.bind(n, &src.source); failed != nil {
				return 0, failed
			}
			if values[i].condition {
				return 0, raise(102, 15, "Incorrect syntax near '%s'.", n.text)
			}
			if values[i].over != nil {
				return 0, raise(157, 15, "An aggregate may not appear in the set list of an UPDATE statement.")
			}
		}
		rows, done := slices.Clone(t.rows), map[int]bool{}
		for _, row := range src.view.rows {
			i := src.index(row)
			if done[i] {
				continue // of several rows that belong to one, any counts
			}
			done[i] = true
			changed := slices.Clone(t.rows[i])
			for n, position := range positions {
				v, failed := values[n].eval(row)
				if failed != nil {
					return 0, failed
				}
				if changed[position], failed = t.fit(position, v); failed != nil {
					return 0, failed
				}
			}
			rows[i] = changed
		}
		next := t.with(rows)
		if failed := next.unique(); failed != nil {
			return 0, failed
		}
		env.replace(w, name, next, len(done))
		return int64(len(done)), nil
	})
}

// remove is DELETE.
type remove struct {
	path  []string
	where *node
}

func (s remove) run(env *environment) tdsserver.Result {
	return env.write(func(w *work) (int64, *tdsserver.Error) {
		name, t, src, failed := env.affect(w, s.path, nil, s.where)
		if failed != nil {
			return 0, failed
		}
		gone := map[int]bool{}
		for _, row := range src.view.rows {
			gone[src.index(row)] = true
		}
		var rows [][]any
		for i, row := range t.rows {
			if !gone[i] {
				rows = append(rows, row)
			}
		}
		env.replace(w, name, t.with(rows), len(gone))
		return int64(len(gone)), nil
	})
}

// affected is a source that knows which row of the table each of its rows is about.
type affected struct {
	source
	at int // of the index in a row
}

func (a affected) index(row []any) int { return int(row[a.at].(int64)) }

// affect takes the table that a statement changes, and reads the rows that it is about. In FROM the table stands under its
// alias or its name; without FROM it stands alone.
func (env *environment) affect(w *work, path []string, from []reading, where *node) (object, *table, affected, *tdsserver.Error) {
	if from == nil {
		from = []reading{{path: path}}
	}
	at := slices.IndexFunc(from, func(r reading) bool { return goesBy(r.name(), path) || len(path) > 1 && goesBy(r.path, path) })
	if at < 0 {
		return object{}, nil, affected{}, raise(208, 16, "Invalid object name '%s'.", strings.Join(path, "."))
	}
	name, t, failed := env.target(w, from[at].path)
	if failed != nil {
		return object{}, nil, affected{}, failed
	}
	var out affected
	for n, r := range from {
		var v view
		if n == at {
			v = t.numbered()
			out.at = len(out.names) + len(v.columns) - 1
		} else if v, failed = env.open(r.path, r.args != nil); failed != nil {
			return object{}, nil, affected{}, failed
		}
		next := named(v, r.name())
		if n == 0 {
			out.source = next
		} else if out.source, failed = env.pair(out.source, next, *r.on); failed != nil {
			return object{}, nil, affected{}, failed
		}
	}
	out.view.rows, failed = env.filter(where, &out.source)
	return name, t, out, failed
}

// numbered is the table with the index of each row as a last column, which has no name.
func (t *table) numbered() view {
	v := t.view()
	v.columns = append(v.columns, tdsserver.Column{Type: tdsserver.Type{Kind: tdsserver.BigInt}})
	v.rows = make([][]any, len(t.rows))
	for i, row := range t.rows {
		v.rows[i] = append(slices.Clone(row), int64(i))
	}
	return v
}
