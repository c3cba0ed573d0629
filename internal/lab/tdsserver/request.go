package tdsserver

import (
	"context"
	"fmt"
)

// Error is SQL Server's error, and below class 11 its informational message.
type Error struct {
	Number    int32
	State     byte
	Class     byte // severity; from 20 on the connection is closed behind it
	Message   string
	Procedure string
	Line      int32 // 1 where zero
}

// Error is the message with its number.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Number) }

// Request is what a client asks for: the text of a batch or of a statement with parameters, or a procedure by name.
// One of Text and Procedure is set, but for an empty batch.
type Request struct {
	Text      string
	Procedure string
	// Params are a procedure's, or a statement's named as declared.
	Params []Param
}

// Response is the answer to a request: what its statements gave, in order.
type Response struct {
	Results []Result
	// Status is the return status of a procedure.
	Status int32
	// HangUp closes the connection behind what the response has, in the middle of the message.
	HangUp bool
}

// Result is what one statement gave.
type Result struct {
	// Messages come before everything else of the statement.
	Messages []Error
	// Columns and Rows are a set of rows; a statement without Columns has none.
	Columns []Column
	Rows    [][]any
	// Database, where set, is the database that the session uses from now on.
	Database string
	// Counted says that the statement wrote Affected rows; that of a SELECT is the number of Rows.
	Counted  bool
	Affected uint64
	// Transaction is what the statement did to the session's transaction.
	Transaction TransactionChange
	// Error ended the statement, behind the rows there are. Without further results it ended the batch.
	Error *Error
	// More makes a statement that gives set after set, each sent as it comes. It is asked for the next one when the
	// one before is on its way, and returns false when there is none. ctx ends as Query's does. It counts for the last
	// result of a response only.
	More func(ctx context.Context) (Result, bool)
}

// TransactionChange is what a statement did to the session's transaction.
type TransactionChange int

// The changes. Commit and Rollback outside a transaction are answered with SQL Server's error.
const (
	Unchanged TransactionChange = iota
	Begin
	Commit
	Rollback
)

// Fail is a response of one error.
func Fail(e *Error) Response {
	return Response{Results: []Result{{Error: e}}, Status: -6}
}
