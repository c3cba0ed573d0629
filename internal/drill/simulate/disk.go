package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/receiver/incident"
	"github.com/hypervigil/hypervigil/receiver/ledger"
)

// writer is the epoch of the one writer there is.
const writer = 1

// disk is the ledger as the receiver's driver writes it. The large records, of which only the newest is ever read and
// only after a crash, are made into bytes no sooner than that; whether nobody can tell the difference is a test.
type disk struct {
	store *ledger.Memory
	late  map[string]any // values of Put effects, which nobody changes
	eager bool           // make bytes of everything at once
	next  ledger.Failure // of the next commit
}

func newDisk(records []ledger.Op) (*disk, error) {
	d := &disk{store: ledger.NewMemory(), late: map[string]any{}}
	if len(records) > 0 {
		if err := d.store.Commit(context.Background(), writer, records); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *disk) isLate(key string) bool {
	return !d.eager && (strings.HasPrefix(key, "incident/") || strings.HasPrefix(key, "vm/") || strings.HasPrefix(key, "cluster/") || strings.HasPrefix(key, "audit/"))
}

// bytesOf makes a record's bytes as the driver does.
func bytesOf(key string, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("record %s cannot be marshalled: %v", key, err)) // a type of ours: a bug
	}
	return b
}

// commit writes the records of a step together. It fails as ledger.Store.Commit does.
func (d *disk) commit(effects []incident.Effect) error {
	failure := d.next
	d.next = ledger.None
	if failure != ledger.None {
		d.flush()
	}
	var batch []ledger.Op
	var late []incident.Put
	for _, e := range effects {
		switch e := e.(type) {
		case incident.Put:
			if failure == ledger.None && !e.IfAbsent && d.isLate(e.Key) {
				late = append(late, e)
				continue
			}
			batch = append(batch, ledger.Op{Key: e.Key, Value: bytesOf(e.Key, e.Value), IfAbsent: e.IfAbsent})
		case incident.Delete:
			batch = append(batch, ledger.Op{Key: e.Key})
		}
	}
	if failure != ledger.None {
		d.store.FailCommits(func([]ledger.Op) ledger.Failure { return failure })
		defer d.store.FailCommits(nil)
	}
	if len(batch) > 0 {
		if err := d.store.Commit(context.Background(), writer, batch); err != nil {
			return err
		}
	}
	for _, p := range late {
		d.late[p.Key] = p.Value
	}
	return nil
}

// put writes one record of the intake's.
func (d *disk) put(key string, v any) error {
	return d.store.Commit(context.Background(), writer, []ledger.Op{{Key: key, Value: bytesOf(key, v)}})
}

// flush makes bytes of what was committed and is not yet.
func (d *disk) flush() {
	if len(d.late) == 0 {
		return
	}
	var batch []ledger.Op
	for _, key := range slices.Sorted(maps.Keys(d.late)) {
		batch = append(batch, ledger.Op{Key: key, Value: bytesOf(key, d.late[key])})
	}
	clear(d.late)
	if err := d.store.Commit(context.Background(), writer, batch); err != nil {
		panic("ledger in memory: " + err.Error()) // no failure was asked for
	}
}

// crash ends the machine and returns what had been synced.
func (d *disk) crash() *disk {
	if len(d.late) > 0 {
		d.flush()
	}
	return &disk{store: d.store.Crash(), late: map[string]any{}, eager: d.eager}
}

// records lists everything, in the keys' order.
func (d *disk) records() ([]incident.Record, error) {
	var list []incident.Record
	err := d.store.List(context.Background(), "", func(key string, value []byte) error {
		list = append(list, incident.Record{Key: key, Value: slices.Clone(value)})
		return nil
	})
	return list, err
}

// action reads an action's record; false where there is none.
func (d *disk) action(key string) (incident.Action, bool) {
	var a incident.Action
	errFound := errors.New("found")
	err := d.store.List(context.Background(), key, func(k string, value []byte) error {
		if k != key {
			return nil
		}
		if err := json.Unmarshal(value, &a); err != nil {
			return err
		}
		return errFound
	})
	return a, errors.Is(err, errFound)
}
