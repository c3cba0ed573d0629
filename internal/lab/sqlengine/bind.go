package sqlengine

import (
	"math"
	"strings"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// bound is an expression whose names have been found: eval gives its value for a row of the view, or for a condition
// true, false, or nil where it is unknown.
type bound struct {
	typ       tdsserver.Type
	condition bool
	null      bool // the word NULL, which has no type of its own
	eval      func(row []any) (any, *tdsserver.Error)
	// over, of an aggregate, gives its value for a group of rows; eval is nil then.
	over func(rows [][]any) (any, *tdsserver.Error)
}

// constant is a bound value that does not depend on the row.
func constant(v any, typ tdsserver.Type) bound {
	return bound{typ: typ, eval: func([]any) (any, *tdsserver.Error) { return v, nil }}
}

// source is what a statement reads: one view, or several that are joined, and the names that each column goes by: an
// alias, or the parts of its view's own name. The zero source has no columns.
type source struct {
	view  view
	names [][]string // of each column
}

// named is a view under its name.
func named(v view, name []string) source {
	src := source{view: v}
	for range v.columns {
		src.names = append(src.names, name)
	}
	return src
}

// bind finds the names of an expression.
func (env *environment) bind(n node, src *source) (bound, *tdsserver.Error) {
	args := make([]bound, len(n.args))
	for i, a := range n.args {
		b, failed := env.bind(a, src)
		if failed != nil {
			return bound{}, failed
		}
		if b.over != nil {
			return bound{}, raise(130, 15, "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.")
		}
		wantsCondition := n.op == opAnd || n.op == opOr || n.op == opNot
		switch {
		case wantsCondition && !b.condition:
			return bound{}, raise(4145, 15, "An expression of non-boolean type specified in a context where a condition is expected, near '%s'.", a.text)
		case !wantsCondition && b.condition:
			return bound{}, raise(102, 15, "Incorrect syntax near '%s'.", a.text)
		}
		args[i] = b
	}
	switch n.op {
	case opLiteral:
		b := constant(n.value, typeOf(n.value))
		b.null = n.value == nil
		return b, nil
	case opVariable:
		return env.variable(n.text)
	case opColumn:
		return src.column(n.path)
	case opCall:
		return env.function(n.text, args)
	case opCount:
		return count(n.text), nil
	case opAggregate:
		return extreme(n.text, args[0]), nil
	case opCast:
		to := n.typ
		return bound{typ: to, eval: func(row []any) (any, *tdsserver.Error) {
			v, failed := args[0].eval(row)
			if failed != nil {
				return nil, failed
			}
			return convert(v, to)
		}}, nil
	case opArithmetic:
		return arithmetic(n.text, args[0], args[1])
	case opCompare:
		return bound{condition: true, eval: func(row []any) (any, *tdsserver.Error) {
			return evalCompare(n.text, args[0], args[1], row)
		}}, nil
	case opIn:
		return bound{condition: true, eval: func(row []any) (any, *tdsserver.Error) {
			var result any = false
			for _, b := range args[1:] {
				equal, failed := evalCompare("=", args[0], b, row)
				if failed != nil || equal == true {
					return equal, failed
				}
				if equal == nil {
					result = nil
				}
			}
			return result, nil
		}}, nil
	case opIsNull:
		return bound{condition: true, eval: func(row []any) (any, *tdsserver.Error) {
			v, failed := args[0].eval(row)
			return v == nil, failed
		}}, nil
	case opNot:
		return bound{condition: true, eval: func(row []any) (any, *tdsserver.Error) {
			v, failed := args[0].eval(row)
			if b, ok := v.(bool); ok {
				return !b, failed
			}
			return nil, failed
		}}, nil
	case opAnd:
		return junction(args[0], args[1], false), nil
	case opOr:
		return junction(args[0], args[1], true), nil
	}
	return bound{}, raise(102, 15, "Incorrect syntax near '%s'.", n.text)
}

// junction is AND, which false decides, or OR, which true decides.
func junction(a, b bound, decides bool) bound {
	return bound{condition: true, eval: func(row []any) (any, *tdsserver.Error) {
		x, failed := a.eval(row)
		if failed != nil || x == decides {
			return x, failed
		}
		y, failed := b.eval(row)
		if failed != nil || y == decides {
			return y, failed
		}
		if x == nil || y == nil {
			return nil, nil
		}
		return !decides, nil
	}}
}

func evalCompare(sign string, a, b bound, row []any) (any, *tdsserver.Error) {
	x, failed := a.eval(row)
	if failed != nil {
		return nil, failed
	}
	y, failed := b.eval(row)
	if failed != nil || x == nil || y == nil {
		return nil, failed
	}
	c, failed := compare(x, y)
	if failed != nil {
		return nil, failed
	}
	switch sign {
	case "=":
		return c == 0, nil
	case "<>", "!=":
		return c != 0, nil
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// arithmetic is +, -, *, / and % of whole numbers or floats, and + of texts.
func arithmetic(sign string, a, b bound) (bound, *tdsserver.Error) {
	rank := func(k tdsserver.Kind) int {
		switch k {
		case tdsserver.NVarChar:
			return 1
		case tdsserver.TinyInt, tdsserver.SmallInt, tdsserver.Int, tdsserver.Bit:
			return 2
		case tdsserver.BigInt:
			return 3
		case tdsserver.Float, tdsserver.Real:
			return 4
		case tdsserver.VarBinary, tdsserver.DateTime, tdsserver.Date, tdsserver.DateTime2, tdsserver.DateTimeOffset,
			tdsserver.Decimal, tdsserver.UniqueIdentifier, tdsserver.Variant:
		}
		return 0
	}
	x, y := rank(a.typ.Kind), rank(b.typ.Kind)
	for _, o := range []bound{a, b} {
		if rank(o.typ.Kind) == 0 || max(x, y) == 1 && sign != "+" {
			return bound{}, raise(8117, 16, "Operand data type %v is invalid for %s operator.", o.typ.Kind, signName(sign))
		}
	}
	typ := tdsserver.Type{Kind: tdsserver.Int}
	switch max(x, y) {
	case 1:
		typ = tdsserver.Type{Kind: tdsserver.NVarChar, Length: tdsserver.Max}
		if n := a.typ.Length + b.typ.Length; a.typ.Length > 0 && b.typ.Length > 0 && n <= 4000 {
			typ.Length = n
		}
	case 3:
		typ.Kind = tdsserver.BigInt
	case 4:
		typ.Kind = tdsserver.Float
	}
	return bound{typ: typ, eval: func(row []any) (any, *tdsserver.Error) {
		x, failed := a.eval(row)
		if failed == nil {
			x, failed = convert(x, typ)
		}
		if failed != nil {
			return nil, failed
		}
		y, failed := b.eval(row)
		if failed == nil {
			y, failed = convert(y, typ)
		}
		if failed != nil || x == nil || y == nil {
			return nil, failed
		}
		switch x := x.(type) {
		case string:
			return x + y.(string), nil
		case float64:
			return floats(sign, x, y.(float64))
		case int64:
			return integers(sign, x, y.(int64), typ)
		}
		return nil, nil
	}}, nil
}

func signName(sign string) string {
	switch sign {
	case "+":
		return "add"
	case "-":
		return "subtract"
	case "*":
		return "multiply"
	case "/":
		return "divide"
	}
	return "modulo"
}

func floats(sign string, x, y float64) (any, *tdsserver.Error) {
	switch sign {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	}
	if y == 0 {
		return nil, raise(8134, 16, "Divide by zero error encountered.")
	}
	if sign == "/" {
		return x / y, nil
	}
	return math.Mod(x, y), nil
}

func integers(sign string, x, y int64, typ tdsserver.Type) (any, *tdsserver.Error) {
	overflow := raise(8115, 16, "Arithmetic overflow error converting expression to data type %v.", typ.Kind)
	var z int64
	ok := true
	switch sign {
	case "+":
		z = x + y
		ok = (z > x) == (y > 0)
	case "-":
		z = x - y
		ok = (z < x) == (y > 0)
	case "*":
		z = x * y
		ok = x == 0 || (z/x == y && (x != -1 || y != math.MinInt64))
	default:
		switch {
		case y == 0:
			return nil, raise(8134, 16, "Divide by zero error encountered.")
		case y == -1 && x == math.MinInt64:
			return nil, overflow
		case sign == "/":
			z = x / y
		default:
			z = x % y
		}
	}
	if !ok || typ.Kind == tdsserver.Int && z != int64(int32(z)) {
		return nil, overflow
	}
	return z, nil
}

// column finds a column of the source.
func (src *source) column(path []string) (bound, *tdsserver.Error) {
	found, failed := src.position(path)
	if failed != nil {
		return bound{}, failed
	}
	return bound{typ: src.view.columns[found].Type, eval: func(row []any) (any, *tdsserver.Error) { return row[found], nil }}, nil
}

// position is where a column stands in a row of the source.
func (src *source) position(path []string) (int, *tdsserver.Error) {
	name, qualifier := path[len(path)-1], path[:len(path)-1]
	found, known := -1, len(qualifier) == 0
	for i, c := range src.view.columns {
		if !goesBy(src.names[i], qualifier) {
			continue
		}
		known = true
		if !strings.EqualFold(c.Name, name) {
			continue
		}
		if found >= 0 {
			return 0, raise(209, 16, "Ambiguous column name '%s'.", name)
		}
		found = i
	}
	switch {
	case !known:
		return 0, raise(4104, 16, "The multi-part identifier %q could not be bound.", strings.Join(path, "."))
	case found < 0:
		return 0, raise(207, 16, "Invalid column name '%s'.", name)
	}
	return found, nil
}

// goesBy reports whether the qualifier is the end of a name.
func goesBy(name, qualifier []string) bool {
	if len(qualifier) > len(name) {
		return false
	}
	for i, part := range name[len(name)-len(qualifier):] {
		if !strings.EqualFold(part, qualifier[i]) {
			return false
		}
	}
	return true
}

// variable finds a parameter or one of the server's own variables.
func (env *environment) variable(name string) (bound, *tdsserver.Error) {
	lower := strings.ToLower(name)
	if v, ok := env.params[lower]; ok {
		return constant(v, typeOf(v)), nil
	}
	if b, ok := env.global(lower); ok {
		return b, nil
	}
	return bound{}, raise(137, 15, "Must declare the scalar variable %q.", name)
}

// text is a bound text of the length it has.
func text(s string) bound {
	return constant(s, tdsserver.Type{Kind: tdsserver.NVarChar, Length: min(max(len(utf16.Encode([]rune(s))), 1), 4000)})
}
