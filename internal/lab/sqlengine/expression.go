package sqlengine

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// operation is what a node does.
type operation int

const (
	opLiteral    operation = iota // value
	opVariable                    // text, with its @
	opColumn                      // path
	opCall                        // text(args)
	opCount                       // COUNT(*)
	opAggregate                   // text(args[0]): MAX or MIN
	opCast                        // args[0] to typ
	opArithmetic                  // args[0] text args[1]
	opCompare                     // args[0] text args[1]
	opIn                          // args[0] in the others
	opIsNull                      // args[0]
	opNot                         // args[0]
	opAnd                         // args[0], args[1]
	opOr                          // args[0], args[1]
)

// node is an expression or a condition as it was written.
type node struct {
	op    operation
	text  string
	path  []string
	value any
	typ   tdsserver.Type
	args  []node
}

// expression takes an expression or a condition; which of them is allowed is for the binding to say.
func (p *parser) expression() node {
	if p.depth++; p.depth > maxDepth && p.failed == nil {
		p.failed = raise(191, 15, "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.")
	}
	defer func() { p.depth-- }()
	if p.failed != nil {
		return node{}
	}
	n := p.conjunction()
	for p.accept("OR") {
		n = node{op: opOr, args: []node{n, p.conjunction()}}
	}
	return n
}

func (p *parser) conjunction() node {
	n := p.negation()
	for p.accept("AND") {
		n = node{op: opAnd, args: []node{n, p.negation()}}
	}
	return n
}

func (p *parser) negation() node {
	not := false
	for p.accept("NOT") {
		not = !not
	}
	n := p.comparison()
	if not {
		n = node{op: opNot, args: []node{n}}
	}
	return n
}

func (p *parser) comparison() node {
	n := p.sum()
	for _, sign := range []string{"=", "<>", "!=", "<=", ">=", "<", ">"} {
		if p.accept(sign) {
			return node{op: opCompare, text: sign, args: []node{n, p.sum()}}
		}
	}
	if p.accept("IS") {
		not := p.accept("NOT")
		p.expect("NULL")
		n = node{op: opIsNull, args: []node{n}}
		if not {
			n = node{op: opNot, args: []node{n}}
		}
		return n
	}
	not := len(p.tokens) > 1 && p.tokens[1].is("IN") && p.accept("NOT")
	if p.accept("IN") {
		p.expect("(")
		in := node{op: opIn, args: append([]node{n}, p.list()...)}
		if not {
			in = node{op: opNot, args: []node{in}}
		}
		return in
	}
	return n
}

func (p *parser) sum() node {
	n := p.product()
	for {
		switch {
		case p.accept("+"):
			n = node{op: opArithmetic, text: "+", args: []node{n, p.product()}}
		case p.accept("-"):
			n = node{op: opArithmetic, text: "-", args: []node{n, p.product()}}
		default:
			return n
		}
	}
}

func (p *parser) product() node {
	n := p.unary()
	for {
		switch {
		case p.accept("*"):
			n = node{op: opArithmetic, text: "*", args: []node{n, p.unary()}}
		case p.accept("/"):
			n = node{op: opArithmetic, text: "/", args: []node{n, p.unary()}}
		case p.accept("%"):
			n = node{op: opArithmetic, text: "%", args: []node{n, p.unary()}}
		default:
			return n
		}
	}
}

func (p *parser) unary() node {
	minus := false
	for {
		if p.accept("-") {
			minus = !minus
		} else if !p.accept("+") {
			break
		}
	}
	n := p.primary()
	switch v := n.value.(type) {
	case int64:
		if minus {
			n.value = -v
		}
		return n
	case *big.Rat:
		if minus {
			n.value = new(big.Rat).Neg(v)
		}
		return n
	}
	if minus {
		n = node{op: opArithmetic, text: "-", args: []node{{op: opLiteral, value: int64(0)}, n}}
	}
	return n
}

// primary takes a literal, a variable, a column, a call, or what stands in parentheses.
func (p *parser) primary() node {
	if p.failed != nil {
		return node{}
	}
	switch t := p.peek(); t.kind {
	case tokenString:
		p.take()
		return node{op: opLiteral, value: t.text}
	case tokenNumber:
		p.take()
		return p.number(t.text)
	case tokenVariable:
		p.take()
		return node{op: opVariable, text: t.text}
	case tokenQuoted:
		return node{op: opColumn, path: p.path()}
	case tokenName:
		return p.named()
	case tokenSign:
		if p.accept("(") {
			n := p.expression()
			p.expect(")")
			return n
		}
	case tokenEnd:
	}
	p.unexpected()
	return node{}
}

// named takes what begins with a word.
func (p *parser) named() node {
	if p.accept("NULL") {
		return node{op: opLiteral}
	}
	if word := strings.ToUpper(p.peek().text); word == "CURRENT_TIMESTAMP" || word == "SYSTEM_USER" || word == "CURRENT_USER" || word == "SESSION_USER" {
		p.take()
		return node{op: opCall, text: word}
	}
	path := p.path()
	if p.failed != nil || !p.peek().is("(") {
		return node{op: opColumn, path: path}
	}
	if len(path) > 1 {
		p.failed = raise(4121, 16, "Cannot find either column %q or the user-defined function or aggregate %q, or the name is ambiguous.", path[0], strings.Join(path, "."))
		return node{}
	}
	p.take()
	name := strings.ToUpper(path[0])
	switch name {
	case "CAST":
		n := node{op: opCast, args: []node{p.expression()}}
		p.expect("AS")
		n.typ = p.typeName()
		p.expect(")")
		return n
	case "CONVERT":
		n := node{op: opCast, typ: p.typeName()}
		p.expect(",")
		n.args = []node{p.expression()}
		p.expect(")")
		return n
	case "COUNT", "COUNT_BIG":
		p.expect("*")
		p.expect(")")
		return node{op: opCount, text: name}
	case "MAX", "MIN":
		n := node{op: opAggregate, text: name, args: []node{p.expression()}}
		p.expect(")")
		return n
	}
	if p.accept(")") {
		return node{op: opCall, text: name}
	}
	return node{op: opCall, text: name, args: p.list()}
}

// list takes expressions up to the closing parenthesis.
func (p *parser) list() []node {
	var out []node
	for {
		out = append(out, p.expression())
		if !p.accept(",") {
			p.expect(")")
			return out
		}
	}
}

func (p *parser) number(text string) node {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return node{op: opLiteral, value: n}
	}
	if r, ok := new(big.Rat).SetString(text); ok && len(text) <= 38 {
		return node{op: opLiteral, value: r}
	}
	p.failed = raise(1007, 15, "The number '%s' is out of the range for numeric representation (maximum precision 38).", text)
	return node{}
}

// integer is the value of a token that is a whole number.
func integer(t token) (int64, bool) {
	if t.kind != tokenNumber {
		return 0, false
	}
	n, err := strconv.ParseInt(t.text, 10, 32)
	return n, err == nil
}

// typeName takes the name of a type, with its length where it has one.
func (p *parser) typeName() tdsserver.Type {
	name := p.name()
	length := 0
	if p.accept("(") {
		if p.accept("MAX") {
			length = tdsserver.Max
		} else if n, ok := integer(p.peek()); ok && n >= 0 {
			p.take()
			length = int(n)
		} else {
			p.unexpected()
		}
		p.expect(")")
	}
	if p.failed != nil {
		return tdsserver.Type{}
	}
	switch strings.ToLower(name) {
	case "int", "integer":
		return tdsserver.Type{Kind: tdsserver.Int}
	case "bigint":
		return tdsserver.Type{Kind: tdsserver.BigInt}
	case "smallint":
		return tdsserver.Type{Kind: tdsserver.SmallInt}
	case "tinyint":
		return tdsserver.Type{Kind: tdsserver.TinyInt}
	case "bit":
		return tdsserver.Type{Kind: tdsserver.Bit}
	case "float":
		return tdsserver.Type{Kind: tdsserver.Float}
	case "datetime":
		return tdsserver.Type{Kind: tdsserver.DateTime}
	case "datetime2":
		return tdsserver.Type{Kind: tdsserver.DateTime2, Scale: 7}
	case "sysname":
		return name128()
	case "nvarchar", "varchar", "nchar", "char":
		if length == 0 {
			length = 30 // CAST's own default
		}
		if length > 4000 {
			length = 4000
		}
		return tdsserver.Type{Kind: tdsserver.NVarChar, Length: length}
	}
	p.failed = raise(243, 16, "Type %s is not a defined system type.", name)
	return tdsserver.Type{}
}

// name128 is sysname.
func name128() tdsserver.Type { return tdsserver.Type{Kind: tdsserver.NVarChar, Length: 128} }
