package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Failure is how a commit of Memory fails.
type Failure int

// The failures. The Unknown ones break the store as a failed sync breaks Bolt: nothing is read or written until
// Crash.
const (
	None        Failure = iota
	Absent              // an error, nothing written, the store goes on
	UnknownKept         // an UnknownError; after Crash the batch is there
	UnknownLost         // an UnknownError; after Crash the batch is not there
)

func (f Failure) String() string {
	switch f {
	case None:
		return "none"
	case Absent:
		return "absent"
	case UnknownKept:
		return "unknown, kept"
	case UnknownLost:
		return "unknown, lost"
	}
	return fmt.Sprintf("Failure(%d)", int(f))
}

// errInjected is the cause of every failure of Memory.
var errInjected = errors.New("injected failure of the disk")

// Memory is a Store without a disk, for simulation: deterministic, with crashes and failures on demand. What it
// lists is zeroed after the call, so that who keeps a value beyond it notices.
type Memory struct {
	mu     sync.Mutex
	data   map[string][]byte
	fail   func(batch []Op) Failure
	broken bool
	closed bool
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{data: map[string][]byte{schemaKey: []byte(strconv.Itoa(Schema))}}
}

// FailCommits sets the hook that is asked, one commit at a time, whether and how a batch fails. nil: none does.
func (m *Memory) FailCommits(hook func(batch []Op) Failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = hook
}

// Crash is the end of the machine: m is of no use any more, and what it had synced is in the store returned.
func (m *Memory) Crash() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return &Memory{data: maps.Clone(m.data), fail: m.fail}
}

// usable is called with the lock held.
func (m *Memory) usable(ctx context.Context) error {
	switch {
	case m.closed:
		return ErrClosed
	case m.broken:
		return fmt.Errorf("ledger in memory: nothing is read or written since an earlier commit may be lost: %w", errInjected)
	}
	return ctx.Err()
}

// Commit implements Store.
func (m *Memory) Commit(ctx context.Context, epoch uint64, batch []Op) error {
	if err := Validate(batch); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	newest, err := parseEpoch(m.data[epochKey])
	if err != nil {
		return err
	}
	if epoch < newest {
		return fmt.Errorf("%w: %d is older than %d", ErrFenced, epoch, newest)
	}
	failure := None
	if m.fail != nil {
		failure = m.fail(batch)
	}
	switch failure {
	case None, UnknownKept:
	case Absent:
		return fmt.Errorf("commit: %w", errInjected)
	case UnknownLost:
		m.broken = true
		return &UnknownError{Err: errInjected}
	}
	if epoch > newest {
		m.data[epochKey] = strconv.AppendUint(nil, epoch, 10)
	}
	for _, op := range batch {
		if _, exists := m.data[op.Key]; exists && op.IfAbsent {
			return fmt.Errorf("%w: %q exists", ErrConflict, op.Key)
		}
	}
	for _, op := range batch {
		if op.Value == nil {
			delete(m.data, op.Key)
		} else {
			m.data[op.Key] = slices.Clone(op.Value)
		}
	}
	if failure == UnknownKept {
		m.broken = true
		return &UnknownError{Err: errInjected}
	}
	return nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error {
	m.mu.Lock()
	err := m.usable(ctx)
	state := map[string][]byte{}
	for key, value := range m.data { // values are never changed in place
		if strings.HasPrefix(key, prefix) {
			state[key] = value
		}
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		value := append([]byte{}, state[key]...)
		err := fn(key, value)
		clear(value)
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
