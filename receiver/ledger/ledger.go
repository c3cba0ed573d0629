// Package ledger is the receiver's durable record: what was accepted, decided, begun and seen. It stores bytes
// under keys, atomically and synced, and knows nothing of their meaning.
//
// One Store interface, three implementations to come of it: bbolt for one node (this package), memory for
// simulation (this package), etcd for several receivers. ledger/ledgertest is the conformance suite that each
// of them passes.
//
// The layout of the keys is the schema; Schema is written into the store when it is made and compared whenever it
// is opened. Keys (names are path-escaped, see Key):
//
//	meta/schema                                  the version, written by the store itself
//	intake/<sequence>                            a notification accepted and not yet taken up by Step
//	delivery/<sha256>                            a delivery seen in the last 24 h (G5)
//	incident/<id>                                one incident with everything decided about it
//	action/<incident id>/<rung>/<n>              one method call and its state
//	vm/<cluster>/<vm>                            binding, baseline, actions of the last 24 h, latch
//	cluster/<cluster>                            owner history and samples
//	pause/<id>                                   a pause with owner, reason and expiry
package ledger

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// Schema is the version of the layout above. A store with another one is refused, never converted silently.
const Schema = 1

// ErrConflict means that a batch's condition did not hold; nothing of it was written.
var ErrConflict = errors.New("ledger: condition of the batch does not hold")

// ErrFenced means that the writer's epoch is older than one the store has seen; nothing was written.
var ErrFenced = errors.New("ledger: epoch is fenced off")

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
// it returned an error for is either wholly there or wholly absent, and only then may the caller ask again.
type Store interface {
	// Commit writes a batch atomically and durably. The epoch is the writer's fencing token: a single-node store
	// refuses an epoch older than the newest it was ever given.
	Commit(ctx context.Context, epoch uint64, batch []Op) error
	// List calls fn for each key with the prefix, in the keys' order, from one consistent state. It stops at fn's
	// first error and returns it. The value is only valid during the call.
	List(ctx context.Context, prefix string, fn func(key string, value []byte) error) error
	Close() error
}

// Key joins names to a key; each name is escaped so that no name can reach into another's place.
func Key(names ...string) string {
	for i, n := range names {
		names[i] = url.PathEscape(n)
	}
	return strings.Join(names, "/")
}
