package tdsserver

import (
	"errors"
	"fmt"
)

// prepared holds a session's prepared statements by handle.
type prepared struct {
	statements map[int32]string
	last       int32
}

// maxPrepared bounds the statements one session may prepare.
const maxPrepared = 1024

func (p *prepared) add(text string) (int32, *Error) {
	if len(p.statements) >= maxPrepared {
		return 0, &Error{Number: 701, State: 1, Class: 17, Message: "There is insufficient system memory in resource pool 'default' to run this query."}
	}
	if p.statements == nil {
		p.statements = make(map[int32]string)
	}
	p.last++
	p.statements[p.last] = text
	return p.last, nil
}

func (p *prepared) find(handle any) (int32, string, *Error) {
	n, _ := handle.(int64)
	if text, ok := p.statements[int32(n)]; ok && n == int64(int32(n)) {
		return int32(n), text, nil
	}
	return 0, "", &Error{Number: 8179, State: 1, Class: 16, Message: fmt.Sprintf("Could not find prepared statement with handle %d.", n)}
}

func (p *prepared) clear() { p.statements = nil }

// work is a request on its way to its reply.
type work struct {
	request   Request
	response  Response
	procedure bool // the reply is a procedure's
	nothing   bool // there is nothing to ask the handler for
	handle    *handle
	failed    *Error
}

// handle is the output parameter of sp_prepare and sp_prepexec.
type handle struct {
	name     string
	position int
	value    int32
}

// resolve turns a call into what is to be run. An error of class 20 means that the message could not be read.
func (s *Session) resolve(body []byte) (work, *Error) {
	w := work{procedure: true}
	c, err := parseRPC(body)
	var unknown *unknownType
	switch {
	case errors.As(err, &unknown):
		return w, &Error{Number: 8009, State: 1, Class: 16, Message: fmt.Sprintf("The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Parameter %d (\"%s\"): Data type 0x%02X is unknown.", unknown.position, unknown.name, unknown.kind)}
	case errors.Is(err, errTooMany):
		return w, &Error{Number: 8003, State: 1, Class: 16, Message: fmt.Sprintf("The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Too many parameters were provided in this RPC request. The maximum is %d.", maxParams)}
	case err != nil:
		return w, &Error{Number: 4002, State: 1, Class: 20, Message: "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly."}
	}
	params := c.params
	// text is the statement at a position; the parameters that follow it are the statement's own.
	text := func(position int) (string, []Param, *Error) {
		if position < len(params) {
			if stmt, ok := params[position].Value.(string); ok {
				return stmt, params[position+1:], nil
			}
		}
		return "", nil, &Error{Number: 214, State: 2, Class: 16, Procedure: c.procedure, Message: "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'."}
	}
	var failed *Error
	switch {
	case isSystem(c.procedure, "sp_executesql"):
		if w.request.Text, w.request.Params, failed = text(0); failed == nil && len(w.request.Params) > 0 {
			w.request.Params = w.request.Params[1:] // their declarations
		}
	case isSystem(c.procedure, "sp_prepare"):
		w.nothing = true
		var stmt string
		if stmt, _, failed = text(2); failed == nil {
			failed = s.prepare(&w, params[0], stmt)
		}
		params = params[1:]
	case isSystem(c.procedure, "sp_prepexec"):
		if w.request.Text, w.request.Params, failed = text(2); failed == nil {
			failed = s.prepare(&w, params[0], w.request.Text)
			params = params[1:]
		}
	case isSystem(c.procedure, "sp_execute"):
		if len(params) == 0 {
			params = []Param{{}}
		}
		_, w.request.Text, failed = s.prepared.find(params[0].Value)
		w.request.Params = params[1:]
	case isSystem(c.procedure, "sp_unprepare"):
		w.nothing = true
		if len(params) == 0 {
			params = []Param{{}}
		}
		var n int32
		if n, _, failed = s.prepared.find(params[0].Value); failed == nil {
			delete(s.prepared.statements, n)
		}
	default:
		w.request.Procedure, w.request.Params = c.procedure, params
	}
	if failed != nil {
		return w, failed
	}
	for _, p := range params {
		if p.Output {
			return w, &Error{Number: 8162, State: 2, Class: 16, Message: fmt.Sprintf("The formal parameter \"%s\" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.", p.Name)}
		}
	}
	return w, nil
}

func (s *Session) prepare(w *work, output Param, text string) *Error {
	n, failed := s.prepared.add(text)
	if failed == nil {
		w.handle = &handle{name: output.Name, value: n}
	}
	return failed
}
