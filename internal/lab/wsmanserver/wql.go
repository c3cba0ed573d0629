package wsmanserver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// query is a WQL SELECT of the kind that the server knows.
type query struct {
	columns []string // nil for *
	class   string
	where   []condition // all must hold
}

// condition is one comparison.
type condition struct {
	property string
	op       operator
	literal  literal
}

// operator compares.
type operator int

// The operators of WQL that the server knows.
const (
	opEqual operator = iota
	opNotEqual
	opLess
	opGreater
	opLessEqual
	opGreaterEqual
	opLike
	opIsNull
	opIsNotNull
)

// String returns the operator as WQL writes it.
func (o operator) String() string {
	switch o {
	case opEqual:
		return "="
	case opNotEqual:
		return "<>"
	case opLess:
		return "<"
	case opGreater:
		return ">"
	case opLessEqual:
		return "<="
	case opGreaterEqual:
		return ">="
	case opLike:
		return "LIKE"
	case opIsNull:
		return "IS NULL"
	case opIsNotNull:
		return "IS NOT NULL"
	}
	return fmt.Sprintf("operator(%d)", int(o))
}

// literalKind says what was written in the query.
type literalKind int

// The literals of WQL.
const (
	literalString literalKind = iota
	literalNumber
	literalBool
	literalNull
)

// literal is a constant. Only text is set for a string and a number.
type literal struct {
	kind  literalKind
	text  string
	truth bool
}

// errWQL is what is wrong with a query, for the log and the fault's free text; clients go by the number.
type errWQL struct{ text string }

// Error says what is wrong.
func (e *errWQL) Error() string { return "invalid query: " + e.text }

// wqlErrorf says what is wrong.
func wqlErrorf(format string, args ...any) error { return &errWQL{fmt.Sprintf(format, args...)} }

// parseWQL reads SELECT * | name, ... FROM class [WHERE comparison [AND comparison]...]. Keywords are compared
// without regard to case. Everything else WQL can say (OR, NOT, parentheses, ISA, ASSOCIATORS OF, events) is
// refused: learn.microsoft.com, "WQL (SQL for WMI)".
func parseWQL(text string) (*query, error) {
	tokens, err := lexWQL(text)
	if err != nil {
		return nil, err
	}
	p := &wqlParser{tokens: tokens}
	q := &query{}
	if !p.keyword("SELECT") {
		return nil, wqlErrorf("it starts with %s, want SELECT", p.peek())
	}
	if p.symbol("*") {
		q.columns = nil
	} else if q.columns, err = p.names(); err != nil {
		return nil, err
	}
	if !p.keyword("FROM") {
		return nil, wqlErrorf("%s follows the list, want FROM", p.peek())
	}
	if q.class, err = p.name(); err != nil {
		return nil, err
	}
	if p.done() {
		return q, nil
	}
	if !p.keyword("WHERE") {
		return nil, wqlErrorf("%s follows the class, want WHERE", p.peek())
	}
	for {
		c, err := p.condition()
		if err != nil {
			return nil, err
		}
		q.where = append(q.where, c)
		if p.done() {
			return q, nil
		}
		if !p.keyword("AND") {
			return nil, wqlErrorf("%s follows a comparison, want AND", p.peek())
		}
	}
}

// wqlToken is a piece of a query.
type wqlToken struct {
	kind tokenKind
	text string // a word, a symbol, a number as written, or a string without quotes and escapes
}

// tokenKind says what a token is.
type tokenKind int

// The kinds of tokens.
const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenSymbol
	tokenNumber
	tokenString
)

// String shows the token in an error.
func (t wqlToken) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenWord, tokenSymbol, tokenNumber:
		return t.text
	case tokenString:
		return strconv.Quote(t.text)
	}
	return t.text
}

// lexWQL cuts a query into tokens.
func lexWQL(s string) ([]wqlToken, error) {
	var out []wqlToken
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case isLetter(c):
			n := i + 1
			for n < len(s) && (isLetter(s[n]) || isDigit(s[n])) {
				n++
			}
			out = append(out, wqlToken{tokenWord, s[i:n]})
			i = n
		case isDigit(c), (c == '-' || c == '+') && i+1 < len(s) && isDigit(s[i+1]):
			n := i + 1
			for n < len(s) && (isDigit(s[n]) || isLetter(s[n]) || s[n] == '.') {
				n++
			}
			number := s[i:n]
			if _, ok := parseNumber(number); !ok {
				return nil, wqlErrorf("%q is no number", number)
			}
			out = append(out, wqlToken{tokenNumber, number})
			i = n
		case c == '\'' || c == '"':
			text, n, err := lexString(s[i:])
			if err != nil {
				return nil, err
			}
			out = append(out, wqlToken{tokenString, text})
			i += n
		case strings.IndexByte("*,=<>!", c) >= 0:
			n := 1
			if two := s[i:min(i+2, len(s))]; two == "<>" || two == "!=" || two == "<=" || two == ">=" {
				n = 2
			}
			out = append(out, wqlToken{tokenSymbol, s[i : i+n]})
			i += n
		default:
			return nil, wqlErrorf("%q has no meaning here", s[i:min(i+8, len(s))])
		}
	}
	return out, nil
}

// lexString reads a quoted string and returns it with the bytes it took. A backslash escapes itself and both
// quotes; before anything else it is refused, for it is most likely a path that was not escaped.
func lexString(s string) (text string, taken int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), i + 1, nil
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 < len(s) && strings.IndexByte(`\'"`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		default:
			return "", 0, wqlErrorf(`a backslash in a string must be followed by \, ' or "`)
		}
	}
	return "", 0, wqlErrorf("a string has no end")
}

// isLetter reports whether c starts a name.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }

// isDigit reports whether c is a digit.
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// wqlParser walks over tokens.
type wqlParser struct {
	tokens []wqlToken
	at     int
}

// done reports whether all was read.
func (p *wqlParser) done() bool { return p.at == len(p.tokens) }

// peek returns the next token without taking it.
func (p *wqlParser) peek() wqlToken {
	if p.done() {
		return wqlToken{}
	}
	return p.tokens[p.at]
}

// keyword takes the word if it is next.
func (p *wqlParser) keyword(word string) bool {
	if t := p.peek(); t.kind == tokenWord && strings.EqualFold(t.text, word) {
		p.at++
		return true
	}
	return false
}

// symbol takes the symbol if it is next.
func (p *wqlParser) symbol(s string) bool {
	if t := p.peek(); t.kind == tokenSymbol && t.text == s {
		p.at++
		return true
	}
	return false
}

// name takes a name that is no keyword.
func (p *wqlParser) name() (string, error) {
	t := p.peek()
	if t.kind != tokenWord || slices.Contains(keywords(), strings.ToUpper(t.text)) {
		return "", wqlErrorf("%s is no name", t)
	}
	p.at++
	return t.text, nil
}

// names takes a list of names.
func (p *wqlParser) names() ([]string, error) {
	var out []string
	for {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if !p.symbol(",") {
			return out, nil
		}
	}
}

// keywords are the words that cannot be names (learn.microsoft.com, "WQL (SQL for WMI)").
func keywords() []string {
	return []string{
		"AND", "ASSOCIATORS", "BY", "FALSE", "FROM", "GROUP", "HAVING", "IS", "ISA", "LIKE", "NOT", "NULL", "OR",
		"REFERENCES", "SELECT", "TRUE", "WHERE", "WITHIN",
	}
}

// condition takes one comparison.
func (p *wqlParser) condition() (condition, error) {
	name, err := p.name()
	if err != nil {
		return condition{}, err
	}
	c := condition{property: name}
	if p.keyword("IS") {
		c.op = opIsNull
		if p.keyword("NOT") {
			c.op = opIsNotNull
		}
		if !p.keyword("NULL") {
			return condition{}, wqlErrorf("%s follows IS, want NULL", p.peek())
		}
		return c, nil
	}
	t := p.peek()
	switch {
	case p.symbol("="):
		c.op = opEqual
	case p.symbol("<>"), p.symbol("!="):
		c.op = opNotEqual
	case p.symbol("<"):
		c.op = opLess
	case p.symbol(">"):
		c.op = opGreater
	case p.symbol("<="):
		c.op = opLessEqual
	case p.symbol(">="):
		c.op = opGreaterEqual
	case p.keyword("LIKE"):
		c.op = opLike
	default:
		return condition{}, wqlErrorf("%s follows %s, want a comparison", t, name)
	}
	if c.literal, err = p.constant(); err != nil {
		return condition{}, err
	}
	switch {
	case c.op == opLike && c.literal.kind != literalString:
		return condition{}, wqlErrorf("LIKE needs a string")
	case c.literal.kind != literalNull:
		return c, nil
	case c.op == opEqual:
		c.op = opIsNull
	case c.op == opNotEqual:
		c.op = opIsNotNull
	default:
		return condition{}, wqlErrorf("%s cannot be compared with NULL", c.op)
	}
	return c, nil
}

// constant takes a literal.
func (p *wqlParser) constant() (literal, error) {
	t := p.peek()
	switch {
	case t.kind == tokenString:
		p.at++
		return literal{kind: literalString, text: t.text}, nil
	case t.kind == tokenNumber:
		p.at++
		return literal{kind: literalNumber, text: t.text}, nil
	case p.keyword("TRUE"):
		return literal{kind: literalBool, truth: true}, nil
	case p.keyword("FALSE"):
		return literal{kind: literalBool}, nil
	case p.keyword("NULL"):
		return literal{kind: literalNull}, nil
	}
	return literal{}, wqlErrorf("%s is no constant", t)
}
