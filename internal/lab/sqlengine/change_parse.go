package sqlengine

import "strings"

// create takes the rest of CREATE TABLE; nothing else can be created.
func (p *parser) create() statement {
	p.expect("TABLE")
	c := createTable{path: p.path()}
	p.expect("(")
	for p.failed == nil {
		c.columns = append(c.columns, p.column())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return c
}

// column takes one column: its name, its type, NULL or NOT NULL, PRIMARY KEY.
func (p *parser) column() column {
	var c column
	c.Name = p.name()
	switch strings.ToLower(p.peek().text) {
	case "nchar", "char":
		c.padded = true
	}
	bare := len(p.tokens) > 1 && !p.tokens[1].is("(")
	c.Type = p.typeName()
	if c.padded && bare {
		c.Type.Length = 1 // a column's own default, which differs from CAST's
	}
	for p.failed == nil {
		switch {
		case p.accept("NOT"):
			p.expect("NULL")
			c.notNull = true
		case p.accept("NULL"):
		case p.accept("PRIMARY"):
			p.expect("KEY")
			c.key, c.notNull = true, true
		default:
			return c
		}
	}
	return c
}

// drop takes the rest of DROP TABLE [IF EXISTS].
func (p *parser) drop() statement {
	p.expect("TABLE")
	var d dropTable
	if p.accept("IF") {
		p.expect("EXISTS")
		d.ifExists = true
	}
	for p.failed == nil {
		d.paths = append(d.paths, p.path())
		if !p.accept(",") {
			break
		}
	}
	return d
}

// insert takes the rest of INSERT.
func (p *parser) insert() statement {
	p.accept("INTO")
	s := insert{path: p.path()}
	if p.accept("(") {
		for {
			s.columns = append(s.columns, p.name())
			if !p.accept(",") {
				break
			}
		}
		p.expect(")")
	}
	p.expect("VALUES")
	for p.failed == nil {
		p.expect("(")
		s.rows = append(s.rows, p.list())
		if !p.accept(",") {
			break
		}
	}
	return s
}

// update takes the rest of UPDATE.
func (p *parser) update() statement {
	s := update{path: p.path()}
	p.expect("SET")
	for p.failed == nil {
		path := p.path() // a column may be named with its table's alias
		s.columns = append(s.columns, path[len(path)-1])
		p.expect("=")
		s.values = append(s.values, p.expression())
		if !p.accept(",") {
			break
		}
	}
	if p.accept("FROM") {
		s.from = p.from()
	}
	s.where = p.where()
	return s
}

// remove takes the rest of DELETE.
func (p *parser) remove() statement {
	p.accept("FROM")
	return remove{path: p.path(), where: p.where()}
}
