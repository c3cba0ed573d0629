package sqlhealth

import (
	"context"
	"errors"
	"sync"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hypervigil/hypervigil/internal/dial"
)

// Failure is a part of a report that is missing, and why. Part is what was being done: "read the files" and its like.
type Failure struct {
	Part string
	Err  *Error
}

// Error says what is missing and why; never a password.
func (f *Failure) Error() string { return f.Part + ": " + f.Err.Error() }

// Unwrap is why.
func (f *Failure) Unwrap() error { return f.Err }

// Reason is the reason why.
func (f *Failure) Reason() dial.Reason { return f.Err.Reason }

// step asks for one part of a report. What it learnt it adds piece by piece, so that a deadline costs only the rest.
type step[T any] struct {
	part string
	ask  func(s *session, add func(func(*T))) error
}

// draft is a report that is being written by one goroutine and may be taken away by another at any time.
type draft[T any] struct {
	mu       sync.Mutex
	taken    bool
	value    T
	part     string
	failures []*Failure
}

func (d *draft[T]) do(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.taken {
		f()
	}
}

// report logs in and takes the steps in order. A step that SQL Server refuses, or answers with something unexpected,
// is a failure of its own; anything else ends the report there. What was learnt by then is returned in any case. One
// statement is one batch, for the driver's sake (go-mssqldb issue #407).
func report[T any](ctx context.Context, p *Prober, steps []step[T]) (T, []*Failure) {
	a, d := newAttempt(p), &draft[T]{part: "log in"}
	_, err := perform(ctx, a, func(s *session) (struct{}, error) {
		add := func(f func(*T)) { d.do(func() { f(&d.value) }) }
		for _, st := range steps {
			d.do(func() { d.part = st.part })
			err := st.ask(s, add)
			if err != nil && !survives(err) {
				return struct{}{}, err
			}
			if err != nil {
				failure := a.judge(ctx, err)
				d.do(func() { d.failures = append(d.failures, &Failure{st.part, failure}) })
			}
		}
		return struct{}{}, nil
	})
	d.do(func() { d.taken = true })
	if err != nil {
		d.failures = append(d.failures, &Failure{d.part, a.judge(ctx, err)})
	}
	return d.value, d.failures
}

// fatalClass is the severity from which on SQL Server closes the connection behind an error.
const fatalClass = 20

// survives reports whether the session can be asked something else after the error.
func survives(err error) bool {
	var server mssql.Error
	return errors.Is(err, errShape) || errors.Is(err, errUnseen) || errors.As(err, &server) && server.Class < fatalClass
}

// errUnseen says that SQL Server left out, without an error, what the login may not see.
var errUnseen = errors.New("the login may not see it")
