// Package ledger is the receiver's durable record: what was accepted, decided, begun and seen. It stores bytes
// under keys, atomically and synced, and knows nothing of their meaning.
//
// One Store interface, three implementations to come of it: bbolt for one node (this package), memory for
// simulation (this package), etcd for several receivers. ledger/ledgertest is the conformance suite that each
// of them passes. A Committer lets many goroutines share a store's syncs:
//
//	store, err := ledger.OpenBolt("/var/lib/hypervigil/ledger.db", ledger.Options{})
//	committer := ledger.NewCommitter(store, epoch)
//	err = committer.Commit(ctx, []ledger.Op{{Key: ledger.Key("pause", id), Value: value}})
//
// The layout of the keys is the schema; Schema is written into the store when it is made and compared whenever it
// is opened. Keys (names are path-escaped, see Key):
//
//	meta/schema                                  the version, written by the store itself
//	meta/epoch                                   the newest epoch it was given, written by the store itself
//	intake/<sequence>                            a notification accepted and not yet taken up by Step
//	delivery/<sha256>                            a delivery seen in the last 24 h (G5)
//	incident/<id>                                one incident with everything decided about it
//	action/<incident id>/<rung>/<n>              one method call and its state
//	vm/<cluster>/<vm>                            binding, baseline, actions of the last 24 h, latch
//	cluster/<cluster>                            owner history and samples
//	audit/<sequence>                             one line of the record of decisions, chained by hashes
//	pause/<id>                                   a pause with owner, reason and expiry
//	bundle/<incident id>/<n>                     the evidence kept before a destructive rung
package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Schema is the version of the layout above and of how a file keeps it. Schema 1 had the same records without seals; a
// file of it is carried over where Options.Carry accepts it. A store with any other one is refused.
const (
	Schema         = 2
	unsealedSchema = 1
)

// The bounds of a key and of a value, in bytes, the same for every store.
const (
	MaxKey   = 4 << 10
	MaxValue = 64 << 20
)

// The store's own keys. No batch may write under meta/.
const (
	metaPrefix = "meta/"
	schemaKey  = metaPrefix + "schema"
	epochKey   = metaPrefix + "epoch"
)

// ErrConflict means that a batch's condition did not hold; nothing of it was written.
var ErrConflict = errors.New("ledger: condition of the batch does not hold")

// ErrFenced means that the writer's epoch is older than one the store has seen; nothing was written.
var ErrFenced = errors.New("ledger: epoch is fenced off")

// ErrInvalid means that a batch cannot be written by any store, now or later; nothing of it was.
var ErrInvalid = errors.New("ledger: invalid batch")

// ErrClosed means that the store or the committer was closed; nothing was written.
var ErrClosed = errors.New("ledger: closed")

// UnknownError is a commit of which it is not known whether it was written: it is wholly there or wholly absent,
// and only the store, read again after it was opened again, can tell. Every other error of Commit means that
// nothing was written.
type UnknownError struct{ Err error }

func (e *UnknownError) Error() string {
	return "ledger: it is unknown whether the batch was written: " + e.Err.Error()
}

func (e *UnknownError) Unwrap() error { return e.Err }

// Op writes one key. A nil Value deletes it. IfAbsent makes the whole batch fail with ErrConflict where the key
// exists already: a claim.
type Op struct {
	Key      string
	Value    []byte
	IfAbsent bool
}

// Store keeps keys and values.
//
// Implementations are safe for concurrent use. What Commit returned nil for survives a crash of the machine; what
// it returned an error for is either wholly there or wholly absent, and only then may the caller ask again. An
// error that is not an *UnknownError means absent.
type Store interface {
	// Commit writes a batch atomically and durably. The epoch is the writer's fencing token: a single-node store
	// refuses an epoch older than the newest it was ever given. Every condition is asked of the state before the
	// batch; then the writes happen in order, so that of several to one key the last one stays. The caller leaves
	// the batch and its values unchanged from then on.
	Commit(ctx context.Context, epoch uint64, batch []Op) error
	// List calls fn for each key with the prefix, in the keys' order, from one consistent state. It stops at fn's
	// first error and returns it. The value is only valid during the call, and fn must not use the store. The
	// prefix is one of bytes: Prefix makes one that ends with a whole name.
	List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error
	// Close waits for the commits under way. A second Close does nothing.
	Close() error
}

// Key joins names to a key; each name is escaped so that no name can reach into another's place.
func Key(names ...string) string {
	escaped := make([]string, len(names))
	for i, n := range names {
		escaped[i] = url.PathEscape(n)
	}
	return strings.Join(escaped, "/")
}

// Prefix is the prefix of the keys that begin with these names and go on with another.
func Prefix(names ...string) string { return Key(names...) + "/" }

// Names takes a key apart: it is the inverse of Key for one name or more, and refuses what Key never made.
func Names(key string) ([]string, error) {
	names := strings.Split(key, "/")
	for i, escaped := range names {
		name, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, fmt.Errorf("ledger key %q: %w", key, err)
		}
		if url.PathEscape(name) != escaped {
			return nil, fmt.Errorf("ledger key %q: %q is not how the name %q is written", key, escaped, name)
		}
		names[i] = name
	}
	return names, nil
}

// Validate returns an error that is ErrInvalid if a batch cannot be written by any store.
func Validate(batch []Op) error {
	for _, op := range batch {
		switch {
		case op.Key == "":
			return fmt.Errorf("%w: a key is empty", ErrInvalid)
		case len(op.Key) > MaxKey:
			return fmt.Errorf("%w: a key has %d bytes, at most %d are possible; it begins with %.64q", ErrInvalid, len(op.Key), MaxKey, op.Key)
		case strings.HasPrefix(op.Key, metaPrefix):
			return fmt.Errorf("%w: key %q: %s is the store's own", ErrInvalid, op.Key, metaPrefix)
		case len(op.Value) > MaxValue:
			return fmt.Errorf("%w: the value of %q has %d bytes, at most %d are possible", ErrInvalid, op.Key, len(op.Value), MaxValue)
		}
	}
	return nil
}
