package sqlengine

import (
	"strings"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// statement is one that can be run.
type statement interface {
	run(env *environment) tdsserver.Result
}

// parser reads the tokens of one batch. The first error stays, and all that follows is skipped.
type parser struct {
	tokens []token
	failed *tdsserver.Error
	depth  int
}

// maxDepth bounds the nesting of expressions; SQL Server's own limit depends on its stack.
const maxDepth = 100

// parse reads a batch as a whole: SQL Server runs nothing of one that it cannot read.
func parse(text string) ([]statement, *tdsserver.Error) {
	tokens, failed := lex(text)
	if failed != nil {
		return nil, failed
	}
	p := &parser{tokens: tokens}
	var out []statement
	for {
		for p.accept(";") {
			continue
		}
		if p.failed != nil {
			return nil, p.failed
		}
		if p.peek().kind == tokenEnd {
			return out, nil
		}
		if st := p.statement(len(out) == 0); p.failed == nil {
			out = append(out, st)
		}
	}
}

func (p *parser) peek() token { return p.tokens[0] }

// take takes a token; the end is never taken off.
func (p *parser) take() token {
	t := p.tokens[0]
	if t.kind != tokenEnd {
		p.tokens = p.tokens[1:]
	}
	return t
}

// accept takes the next token if it is the word given.
func (p *parser) accept(word string) bool {
	if p.failed != nil || !p.peek().is(word) {
		return false
	}
	p.take()
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.unexpected()
	}
}

// unexpected refuses the next token.
func (p *parser) unexpected() {
	if p.failed != nil {
		return
	}
	t := p.peek()
	switch {
	case t.kind == tokenEnd:
		p.failed = raise(102, 15, "Incorrect syntax near the end of the batch.")
	case t.kind == tokenName && isKeyword(t.text):
		p.failed = raise(156, 15, "Incorrect syntax near the keyword '%s'.", t.text)
	default:
		p.failed = raise(102, 15, "Incorrect syntax near '%s'.", t.text)
	}
}

// isKeyword reports whether a word is reserved in T-SQL, as far as one of them could stand where a name may.
func isKeyword(word string) bool {
	switch strings.ToUpper(word) {
	case "ALTER", "AND", "AS", "BACKUP", "BEGIN", "BETWEEN", "CASE", "CLOSE", "COMMIT", "CREATE", "CROSS", "CURSOR",
		"DBCC", "DECLARE", "DELETE", "DISTINCT", "DROP", "ELSE", "END", "EXEC", "EXECUTE", "EXISTS", "FETCH", "FOR",
		"FROM", "GRANT", "GROUP", "HAVING", "IF", "IN", "INNER", "INSERT", "INTO", "IS", "JOIN", "KILL", "LEFT", "LIKE",
		"MERGE", "NOT", "NULL", "ON", "OPEN", "OPTION", "OR", "ORDER", "OUTER", "PRINT", "RAISERROR", "RECONFIGURE",
		"RESTORE", "RETURN", "REVOKE", "RIGHT", "ROLLBACK", "SELECT", "SET", "SHUTDOWN", "TABLE", "THEN", "TOP", "TRUNCATE",
		"UNION", "UPDATE", "USE", "VALUES", "VIEW", "WAITFOR", "WHEN", "WHERE", "WHILE", "WITH":
		return true
	}
	return false
}

// name takes an identifier.
func (p *parser) name() string {
	t := p.peek()
	if t.kind == tokenQuoted || t.kind == tokenName && !isKeyword(t.text) {
		p.take()
		return t.text
	}
	p.unexpected()
	return ""
}

// path takes an identifier of several parts; master..x has an empty one.
func (p *parser) path() []string {
	parts := []string{p.name()}
	for p.failed == nil && p.accept(".") {
		if p.peek().is(".") {
			parts = append(parts, "")
			continue
		}
		parts = append(parts, p.name())
	}
	return parts
}

// statement takes one. Only the first of a batch may be a procedure's bare name.
func (p *parser) statement(first bool) statement {
	switch t := p.peek(); {
	case p.accept("SELECT"):
		return p.query()
	case p.accept("SET"):
		return p.set()
	case p.accept("INSERT"):
		return p.insert()
	case p.accept("UPDATE"):
		return p.update()
	case p.accept("DELETE"):
		return p.remove()
	case p.accept("CREATE"):
		return p.create()
	case p.accept("DROP"):
		return p.drop()
	case p.accept("USE"):
		return use{p.name()}
	case p.accept("PRINT"):
		return printed{p.expression()}
	case p.accept("BEGIN"):
		return p.transaction(tdsserver.Begin)
	case p.accept("COMMIT"):
		return p.transaction(tdsserver.Commit)
	case p.accept("ROLLBACK"):
		return p.transaction(tdsserver.Rollback)
	case p.accept("EXEC"), p.accept("EXECUTE"):
		return p.exec()
	case first && (t.kind == tokenQuoted || t.kind == tokenName && !isKeyword(t.text)):
		return p.exec()
	}
	p.unexpected()
	return nil
}

// transaction takes the rest of BEGIN, COMMIT and ROLLBACK: only BEGIN needs the word.
func (p *parser) transaction(change tdsserver.TransactionChange) statement {
	if !p.accept("TRAN") && !p.accept("TRANSACTION") && !p.accept("WORK") && change == tdsserver.Begin {
		p.unexpected()
	}
	return transaction{change}
}

// set takes one SET. What is set has no meaning here, so a value is whatever stands where one may.
func (p *parser) set() statement {
	options := []string{p.setting()}
	for p.accept(",") {
		options = append(options, p.setting())
	}
	for _, o := range options {
		if p.failed == nil && !isSetting(o) {
			p.failed = raise(195, 15, "'%s' is not a recognized SET option.", o)
		}
	}
	if p.failed != nil {
		return nil
	}
	switch strings.ToUpper(options[0]) {
	case "TRANSACTION":
		p.expect("ISOLATION")
		p.expect("LEVEL")
		p.isolation()
	case "TEXTSIZE", "LOCK_TIMEOUT", "ROWCOUNT", "DATEFIRST", "QUERY_GOVERNOR_COST_LIMIT", "DEADLOCK_PRIORITY", "LANGUAGE", "DATEFORMAT":
		p.accept("-")
		switch t := p.peek(); t.kind {
		case tokenName, tokenQuoted, tokenNumber, tokenString, tokenVariable:
			p.take()
		case tokenEnd, tokenSign:
			p.unexpected()
		}
	default:
		if !p.accept("ON") {
			p.expect("OFF")
		}
	}
	return nothing{}
}

func (p *parser) setting() string {
	if t := p.peek(); t.kind == tokenName {
		p.take()
		return t.text
	}
	p.unexpected()
	return ""
}

func (p *parser) isolation() {
	switch {
	case p.accept("READ"):
		if !p.accept("COMMITTED") {
			p.expect("UNCOMMITTED")
		}
	case p.accept("REPEATABLE"):
		p.expect("READ")
	case !p.accept("SNAPSHOT"):
		p.expect("SERIALIZABLE")
	}
}

// isSetting reports whether SQL Server has the option.
func isSetting(o string) bool {
	switch strings.ToUpper(o) {
	case "ANSI_DEFAULTS", "ANSI_NULLS", "ANSI_NULL_DFLT_ON", "ANSI_NULL_DFLT_OFF", "ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT",
		"ARITHIGNORE", "CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "IMPLICIT_TRANSACTIONS", "NOCOUNT", "NUMERIC_ROUNDABORT",
		"QUOTED_IDENTIFIER", "XACT_ABORT", "TRANSACTION", "TEXTSIZE", "LOCK_TIMEOUT", "ROWCOUNT", "DATEFIRST", "QUERY_GOVERNOR_COST_LIMIT",
		"DEADLOCK_PRIORITY", "LANGUAGE", "DATEFORMAT", "REMOTE_PROC_TRANSACTIONS", "FORCEPLAN":
		return true
	}
	return false
}

// exec takes a procedure's name and its arguments.
func (p *parser) exec() statement {
	e := execute{procedure: strings.Join(p.path(), ".")}
	for p.failed == nil && p.peek().kind != tokenEnd && !p.peek().is(";") {
		var a argument
		if len(p.tokens) > 2 && p.tokens[0].kind == tokenVariable && p.tokens[1].is("=") {
			a.name = p.take().text
			p.take()
		}
		a.value = p.expression()
		e.arguments = append(e.arguments, a)
		if !p.accept(",") {
			break
		}
	}
	return e
}

// query takes the rest of a SELECT.
func (p *parser) query() statement {
	q := query{top: -1}
	if p.accept("TOP") {
		q.top = p.top()
	}
	for {
		q.items = append(q.items, p.item())
		if !p.accept(",") {
			break
		}
	}
	if p.accept("FROM") {
		q.from = p.from()
	}
	q.where = p.where()
	if p.accept("GROUP") {
		p.expect("BY")
		for {
			q.group = append(q.group, p.expression())
			if !p.accept(",") {
				break
			}
		}
	}
	if !q.aggregates() && p.accept("ORDER") { // of groups it is not known
		p.expect("BY")
		for {
			o := order{by: p.expression()}
			if p.accept("DESC") {
				o.descending = true
			} else {
				p.accept("ASC")
			}
			q.order = append(q.order, o)
			if !p.accept(",") {
				break
			}
		}
	}
	return q
}

func (p *parser) top() int {
	parenthesis := p.accept("(")
	n, ok := integer(p.peek())
	if !ok {
		p.unexpected()
		return 0
	}
	p.take()
	if parenthesis {
		p.expect(")")
	}
	return int(n)
}

// item takes one entry of a select list: expression, expression [AS] alias, alias = expression, or *.
func (p *parser) item() item {
	if p.accept("*") {
		return item{star: true}
	}
	var it item
	if len(p.tokens) > 2 && p.tokens[1].is("=") && (p.isAlias() || p.peek().kind == tokenString) {
		it.alias = p.take().text
		p.take()
		it.value = p.expression()
		return it
	}
	it.value = p.expression()
	switch {
	case p.accept("AS"):
		if p.peek().kind == tokenString {
			it.alias = p.take().text
		} else {
			it.alias = p.name()
		}
	case p.isAlias() || p.peek().kind == tokenString:
		it.alias = p.take().text
	}
	return it
}

// isAlias reports whether a name stands next.
func (p *parser) isAlias() bool {
	t := p.peek()
	return p.failed == nil && (t.kind == tokenQuoted || t.kind == tokenName && !isKeyword(t.text))
}
