package tdsserver

import "encoding/binary"

// transaction is a session's: SQL Server nests them by counting, and only the outermost one's end is an end.
type transaction struct {
	descriptor uint64 // 0 outside a transaction
	depth      int
	last       uint64
}

func (x *transaction) bytes() []byte {
	return binary.LittleEndian.AppendUint64(nil, x.descriptor)
}

// begin opens a transaction, or one level more, and tells the client.
func (x *transaction) begin(t *tokens) {
	if x.depth++; x.depth > 1 {
		return
	}
	x.last++
	x.descriptor = x.last<<32 | 0x35
	t.bytesChange(envBegin, x.bytes(), nil)
}

// commit closes one level.
func (x *transaction) commit(t *tokens) *Error {
	if x.depth == 0 {
		return &Error{Number: 3902, State: 1, Class: 16, Message: "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."}
	}
	if x.depth--; x.depth > 0 {
		return nil
	}
	t.bytesChange(envCommit, nil, x.bytes())
	x.descriptor = 0
	return nil
}

// rollback closes all levels.
func (x *transaction) rollback(t *tokens) *Error {
	if x.depth == 0 {
		return &Error{Number: 3903, State: 1, Class: 16, Message: "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."}
	}
	t.bytesChange(envRollback, nil, x.bytes())
	x.descriptor, x.depth = 0, 0
	return nil
}

// change does what a statement did.
func (x *transaction) change(t *tokens, c TransactionChange) *Error {
	switch c {
	case Unchanged:
	case Begin:
		x.begin(t)
	case Commit:
		return x.commit(t)
	case Rollback:
		return x.rollback(t)
	}
	return nil
}

// Requests of the transaction manager (MS-TDS 2.2.6.9).
const (
	managerBegin    = 5
	managerCommit   = 7
	managerRollback = 8
	managerSave     = 9
)

// manage answers a transaction manager request, ALL_HEADERS already taken off. keep is asked before the outermost
// transaction begins or ends.
func (x *transaction) manage(t *tokens, b []byte, keep func(TransactionChange) *Error) *Error {
	begin := func() *Error {
		if x.depth == 0 {
			if failed := keep(Begin); failed != nil {
				return failed
			}
		}
		x.begin(t)
		return nil
	}
	r := &reader{rest: b}
	switch request := r.u16(); request {
	case managerBegin:
		return begin()
	case managerCommit, managerRollback:
		r.take(2 * int(r.u8())) // name
		again := r.u8()&0x01 != 0
		var failed *Error
		switch {
		case request == managerCommit && x.depth == 1:
			failed = keep(Commit)
		case request == managerRollback && x.depth > 0:
			failed = keep(Rollback)
		}
		switch {
		case failed != nil:
		case request == managerCommit:
			failed = x.commit(t)
		default:
			failed = x.rollback(t)
		}
		if failed == nil && again {
			return begin()
		}
		return failed
	case managerSave:
		if x.depth == 0 {
			return &Error{Number: 628, State: 0, Class: 16, Message: "Cannot issue SAVE TRANSACTION when there is no active transaction."}
		}
		return nil
	}
	return &Error{Number: 8501, State: 3, Class: 16, Message: "MSDTC on server '' is unavailable."}
}
