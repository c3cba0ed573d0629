package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// How long and how many deliveries are remembered, and how many forgotten ones are deleted with one later write.
const (
	deliveryWindow = 24 * time.Hour
	maxDeliveries  = 100_000
	pruneBatch     = 64
	// clockStep is how far in the future a delivery may lie before it is taken as one of a clock that was wrong.
	clockStep = time.Minute
)

// delivery is the record of an accepted notification, kept so that the next one like it is not written again.
type delivery struct {
	At        time.Time `json:"at"`
	Sequence  uint64    `json:"sequence"`
	Group     string    `json:"group"` // groupID
	Truncated uint64    `json:"truncated,omitempty"`

	// pruner is the write that is deleting this record, if one is.
	pruner *flight
}

// place is one entry of the order in which deliveries were accepted.
type place struct {
	key      string
	sequence uint64
}

// deliveries remembers what was accepted in the last day. It is not safe for concurrent use.
//
// Only the newest delivery of its group counts as known: where firing, resolved and the same firing come one after
// the other, the third says something new and is written, though its key is known.
type deliveries struct {
	byKey  map[string]*delivery
	latest map[string]uint64 // group to the sequence of its newest delivery
	order  []place           // oldest first; places whose sequence is no longer their key's are stale
	next   uint64            // the next sequence
}

// sequenceKey is the key of an intake record. The zeros make the keys' order the numbers'.
func sequenceKey(sequence uint64) string {
	return ledger.Key("intake", fmt.Sprintf("%020d", sequence))
}

func deliveryRecordKey(key string) string { return ledger.Key("delivery", key) }

// load reads what an earlier life left. The newest delivery is deleted only together with a newer one's coming, so
// that the greatest sequence ever given is among what is there, as long as somebody keeps the file.
func load(ctx context.Context, store Lister) (*deliveries, error) {
	d := &deliveries{byKey: map[string]*delivery{}, latest: map[string]uint64{}, next: 1}
	if err := store.List(ctx, ledger.Prefix("delivery"), func(key string, value []byte) error {
		names, err := ledger.Names(key)
		if err != nil {
			return err
		}
		if len(names) != 2 {
			return fmt.Errorf("ledger record %s: the key has %d names, 2 were expected", key, len(names))
		}
		var entry delivery
		if err := json.Unmarshal(value, &entry); err != nil {
			return fmt.Errorf("ledger record %s: %w", key, err)
		}
		d.byKey[names[1]] = &entry
		d.order = append(d.order, place{names[1], entry.Sequence})
		d.latest[entry.Group] = max(d.latest[entry.Group], entry.Sequence)
		d.next = max(d.next, entry.Sequence+1)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(d.order, func(a, b place) int { return cmp.Compare(a.sequence, b.sequence) })
	if err := store.List(ctx, ledger.Prefix("intake"), func(key string, _ []byte) error {
		sequence, err := parseSequence(key)
		d.next = max(d.next, sequence+1)
		return err
	}); err != nil {
		return nil, err
	}
	return d, nil
}

func parseSequence(key string) (uint64, error) {
	names, err := ledger.Names(key)
	if err != nil {
		return 0, err
	}
	if len(names) != 2 {
		return 0, fmt.Errorf("ledger record %s: the key has %d names, 2 were expected", key, len(names))
	}
	sequence, err := strconv.ParseUint(names[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ledger record %s: the sequence is no number", key)
	}
	return sequence, nil
}

// repeated reports whether a notification says what the newest one of its group said.
func (d *deliveries) repeated(n *Notification, group string, now time.Time) bool {
	entry := d.byKey[n.DeliveryKey]
	return entry != nil && d.fresh(entry, now) && d.latest[group] == entry.Sequence && entry.Truncated == n.TruncatedAlerts
}

func (d *deliveries) fresh(entry *delivery, now time.Time) bool {
	age := now.Sub(entry.At)
	return age < deliveryWindow && age > -clockStep
}

// add remembers an accepted delivery.
func (d *deliveries) add(key string, entry delivery) {
	d.byKey[key] = &entry
	d.latest[entry.Group] = max(d.latest[entry.Group], entry.Sequence)
	d.order = append(d.order, place{key, entry.Sequence})
}

// expired takes the oldest records out that may go: too old, or too many. Those that a write is replacing stay. The
// caller calls forget or keep with them.
func (d *deliveries) expired(now time.Time, writing map[string]*flight, by *flight) []place {
	var old []place
	n := 0
	for ; n < len(d.order) && len(old) < pruneBatch; n++ {
		p := d.order[n]
		entry := d.byKey[p.key]
		if entry == nil || entry.Sequence != p.sequence {
			continue // stale
		}
		if d.fresh(entry, now) && len(d.order)-n <= maxDeliveries {
			break
		}
		if _, busy := writing[p.key]; busy {
			break
		}
		entry.pruner = by
		old = append(old, p)
	}
	clear(d.order[:n])
	d.order = d.order[n:] // the next append that needs room leaves the head behind
	return old
}

// forget drops records that were deleted.
func (d *deliveries) forget(old []place) {
	for _, p := range old {
		entry := d.byKey[p.key]
		if entry == nil || entry.Sequence != p.sequence {
			continue // accepted anew meanwhile
		}
		delete(d.byKey, p.key)
		if d.latest[entry.Group] == entry.Sequence {
			delete(d.latest, entry.Group)
		}
	}
}

// keep takes back records that could not be deleted.
func (d *deliveries) keep(old []place) {
	for _, p := range old {
		if entry := d.byKey[p.key]; entry != nil && entry.Sequence == p.sequence {
			entry.pruner = nil
		}
	}
	d.order = append(slices.Clone(old), d.order...)
}
