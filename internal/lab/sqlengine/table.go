package sqlengine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// table is one version of a user's table. A version never changes; rows are shared between versions.
type table struct {
	name    string
	id      int64
	created time.Time
	columns []column
	rows    [][]any
}

// column is a column of a table.
type column struct {
	tdsserver.Column
	padded  bool // nchar and char: blanks fill it up
	notNull bool
	key     bool // the primary key, of one column
}

// view is what a SELECT reads.
func (t *table) view() view {
	if t == nil {
		return view{}
	}
	v := view{rows: t.rows}
	for _, c := range t.columns {
		v.columns = append(v.columns, c.Column)
	}
	return v
}

// with is the next version of a table, with other rows.
func (t *table) with(rows [][]any) *table {
	next := *t
	next.rows = rows
	return &next
}

// fit makes a value one of the column, or says why it is none.
func (t *table) fit(i int, v any) (any, *tdsserver.Error) {
	c := t.columns[i]
	if v == nil {
		if c.notNull {
			return nil, raise(515, 16, "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. INSERT fails.", c.Name, t.name)
		}
		return nil, nil
	}
	if c.Type.Kind != tdsserver.NVarChar {
		return convert(v, c.Type)
	}
	text := show(v)
	if c.Type.Length != tdsserver.Max {
		n := len(utf16.Encode([]rune(text)))
		if over := n - c.Type.Length; over > 0 {
			trimmed := strings.TrimRight(text, " ")
			if len(utf16.Encode([]rune(trimmed))) > c.Type.Length {
				return nil, raise(2628, 16, "String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%.20s'.", t.name, c.Name, text)
			}
			text = text[:len(text)-over] // blanks are one byte each
		} else if c.padded {
			text += strings.Repeat(" ", -over)
		}
	}
	return text, nil
}

// unique says which key two rows of the next version would share.
func (t *table) unique() *tdsserver.Error {
	key := slices.IndexFunc(t.columns, func(c column) bool { return c.key })
	if key < 0 {
		return nil
	}
	seen := make(map[any]bool, len(t.rows))
	for _, row := range t.rows {
		k := hashed(row[key])
		if seen[k] {
			return raise(2627, 14, "Violation of PRIMARY KEY constraint 'PK_%s'. Cannot insert duplicate key in object 'dbo.%s'. The duplicate key value is (%s).", t.name, t.name, show(row[key]))
		}
		seen[k] = true
	}
	return nil
}

// hashed is a value as a key that is equal for what compares equal.
func hashed(v any) any {
	if s, ok := v.(string); ok {
		return fold(s)
	}
	if r, ok := rational(v); ok {
		return "number " + r.RatString()
	}
	return show(v)
}

// locate finds the object that a path names: name, dbo.name, database.dbo.name or database..name.
func (env *environment) locate(path []string) (object, *tdsserver.Error) {
	database, schema := env.database, "dbo"
	switch len(path) {
	case 1:
	case 2:
		schema = path[0]
	case 3:
		database, schema = path[0], path[1]
	default:
		return object{}, raise(117, 15, "The object name '%s' contains more than the maximum number of prefixes. The maximum is 2.", strings.Join(path, "."))
	}
	if schema != "" && !strings.EqualFold(schema, "dbo") {
		return object{}, raise(2760, 16, "The specified schema name %q either does not exist or you do not have permission to use it.", schema)
	}
	if failed := env.enter(database); failed != nil {
		return object{}, failed
	}
	d, _ := env.find(database)
	if d.ReadOnly {
		return object{}, raise(3906, 16, "Failed to update database %q because the database is read-only.", d.Name)
	}
	return object{strings.ToLower(database), strings.ToLower(path[len(path)-1])}, nil
}

// table finds a user's table by its name; nil where there is none of it.
func (env *environment) table(path []string) (*table, *tdsserver.Error) {
	name, failed := env.locate(path)
	if failed != nil {
		if failed.Number == 922 || failed.Number == 916 {
			return nil, failed
		}
		return nil, nil // no such object
	}
	return env.engine.disk.read(env.work, name), nil
}

// tables is sys.tables of a database.
func (env *environment) tables(database string) view {
	v := view{columns: columns("name:n object_id:i schema_id:i type:n create_date:d")}
	const dbo = 1
	list := env.engine.disk.list(database)
	slices.SortFunc(list, func(a, b *table) int { return cmp.Compare(a.id, b.id) })
	for _, t := range list {
		v.rows = append(v.rows, []any{t.name, t.id, int64(dbo), fmt.Sprintf("%-2s", "U"), t.created})
	}
	return v
}
