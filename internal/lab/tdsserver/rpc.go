package tdsserver

import (
	"errors"
	"fmt"
	"math"
)

// Param is one parameter of a request, as decoded: see Kind for the Go types. A text or binary type arrives as
// string or []byte whatever its width, money as *big.Rat, time as the duration since midnight.
type Param struct {
	Name   string // with its @, empty where given by position
	Value  any
	Output bool
}

// call is one remote procedure call.
type call struct {
	procedure string
	params    []Param
}

// maxParams is what SQL Server allows in one request.
const maxParams = 2100

// procedureName is the system procedure that a client names by number (MS-TDS 2.2.6.6).
func procedureName(id uint16) string {
	switch id {
	case 1:
		return "sp_cursor"
	case 2:
		return "sp_cursoropen"
	case 3:
		return "sp_cursorprepare"
	case 4:
		return "sp_cursorexecute"
	case 5:
		return "sp_cursorprepexec"
	case 6:
		return "sp_cursorunprepare"
	case 7:
		return "sp_cursorfetch"
	case 8:
		return "sp_cursoroption"
	case 9:
		return "sp_cursorclose"
	case 10:
		return "sp_executesql"
	case 11:
		return "sp_prepare"
	case 12:
		return "sp_execute"
	case 13:
		return "sp_prepexec"
	case 14:
		return "sp_prepexecrpc"
	case 15:
		return "sp_unprepare"
	}
	return ""
}

// unknownType says that a parameter has a type this server does not read.
type unknownType struct {
	position int
	name     string
	kind     byte
}

// Error is for the server's log.
func (e *unknownType) Error() string {
	return fmt.Sprintf("parameter %d has type 0x%02X", e.position, e.kind)
}

var (
	errBatchedCalls = errors.New("more than one procedure call in a message")
	errTooMany      = fmt.Errorf("more than %d parameters", maxParams)
)

// parseRPC reads a remote procedure call, ALL_HEADERS already taken off.
func parseRPC(b []byte) (call, error) {
	r := &reader{rest: b}
	var c call
	if n := r.u16(); n == math.MaxUint16 {
		id := r.u16()
		if c.procedure = procedureName(id); c.procedure == "" && r.err == nil {
			return call{}, fmt.Errorf("unknown procedure number %d", id)
		}
	} else {
		c.procedure = decodeUTF16(r.take(2 * int(n)))
	}
	r.u16() // options: with recompile, no metadata, reuse metadata
	for r.err == nil && len(r.rest) > 0 {
		// A length of 0x80 or 0xFF where a name of at most 128 characters would begin separates calls.
		if n := r.rest[0]; n >= 0x80 {
			if len(r.rest) == 1 {
				break
			}
			return call{}, errBatchedCalls
		}
		if len(c.params) == maxParams {
			return call{}, errTooMany
		}
		name := decodeUTF16(r.take(2 * int(r.u8())))
		status := r.u8()
		value, kind, ok := r.typed()
		if !ok && r.err == nil {
			return call{}, &unknownType{position: len(c.params) + 1, name: name, kind: kind}
		}
		c.params = append(c.params, Param{Name: name, Value: value, Output: status&0x01 != 0})
	}
	return c, r.err
}
