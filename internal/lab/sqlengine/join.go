package sqlengine

import (
	"slices"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// reading is one view, function or table in FROM.
type reading struct {
	path  []string
	args  []node // a function's; nil for a view or a table
	alias string
	on    *node // how it is joined to those before it; nil for the first
}

// name is what the columns go by.
func (r reading) name() []string {
	if r.alias != "" {
		return []string{r.alias}
	}
	return r.path
}

// join reads all that FROM names, row by row that belong together.
func (env *environment) join(from []reading) (source, *tdsserver.Error) {
	var src source
	for n, r := range from {
		v, failed := env.open(r.path, r.args != nil)
		if failed != nil {
			return source{}, failed
		}
		next := named(v, r.name())
		if n == 0 {
			src = next
			continue
		}
		if src, failed = env.pair(src, next, *r.on); failed != nil {
			return source{}, failed
		}
	}
	return src, nil
}

// pair joins two sources. Where the condition is that a column of the one equals one of the other, the rows are looked up;
// any other is tried for each pair.
func (env *environment) pair(left, right source, on node) (source, *tdsserver.Error) {
	both := source{
		view:  view{columns: slices.Concat(left.view.columns, right.view.columns)},
		names: slices.Concat(left.names, right.names),
	}
	condition, failed := env.condition(on, &both)
	if failed != nil {
		return source{}, failed
	}
	candidates := func([]any) [][]any { return right.view.rows }
	if l, r, ok := equated(on, &both, len(left.names)); ok {
		byKey := make(map[any][][]any, len(right.view.rows))
		for _, row := range right.view.rows {
			k := hashed(row[r])
			byKey[k] = append(byKey[k], row)
		}
		candidates = func(row []any) [][]any { return byKey[hashed(row[l])] }
	}
	for _, a := range left.view.rows {
		for _, b := range candidates(a) {
			row := slices.Concat(a, b)
			v, failed := condition.eval(row)
			if failed != nil {
				return source{}, failed
			}
			if v == true {
				both.view.rows = append(both.view.rows, row)
			}
		}
	}
	return both, nil
}

// equated finds the columns of a condition left = right, of one type: their positions in the left and in the right row.
func equated(on node, both *source, width int) (left, right int, ok bool) {
	if on.op != opCompare || on.text != "=" || on.args[0].op != opColumn || on.args[1].op != opColumn {
		return 0, 0, false
	}
	a, failed := both.position(on.args[0].path)
	if failed != nil {
		return 0, 0, false
	}
	b, failed := both.position(on.args[1].path)
	if failed != nil || both.view.columns[a].Type.Kind != both.view.columns[b].Type.Kind {
		return 0, 0, false
	}
	if a > b {
		a, b = b, a
	}
	return a, b - width, a < width && b >= width
}

// from takes what follows FROM.
func (p *parser) from() []reading {
	list := []reading{p.reading()}
	for p.failed == nil {
		if p.accept("INNER") {
			p.expect("JOIN")
		} else if !p.accept("JOIN") {
			break
		}
		r := p.reading()
		p.expect("ON")
		on := p.expression()
		r.on = &on
		list = append(list, r)
	}
	return list
}

func (p *parser) reading() reading {
	r := reading{path: p.path()}
	if p.accept("(") {
		r.args = p.list()
	}
	if p.accept("AS") || p.isAlias() {
		r.alias = p.name()
	}
	if p.accept("WITH") {
		p.expect("(")
		p.expect("NOLOCK")
		p.expect(")")
	}
	return r
}

// where takes a WHERE, if one follows.
func (p *parser) where() *node {
	if !p.accept("WHERE") {
		return nil
	}
	n := p.expression()
	return &n
}
