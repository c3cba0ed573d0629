package sqlengine

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// disk is what an instance has written down: its tables, as they were committed last. It outlives the process of SQL
// Server, wherever the virtual machine runs; what the process had open and not committed is gone with it.
//
// Its lock is held while a Worker is told, and never while an Instance is asked.
type disk struct {
	worker Worker // nil: nobody is told

	mu      sync.Mutex
	run     uint32
	tables  map[object]*table
	open    map[*tdsserver.Session]*work
	locks   map[object]*work
	ids     int64 // of transactions
	objects int64 // of tables
}

// Worker is an Instance that is told how much of its work a crash would leave to be undone: rows written by transactions
// that are open. run is Snapshot.Run as it was.
type Worker interface {
	Working(run uint32, rows int)
}

// object is a table by its database and its name, in small letters.
type object struct{ database, name string }

// work is a transaction.
type work struct {
	id      int64
	session int
	began   time.Time // or its first write
	tables  map[object]*table
	rows    int  // written
	over    bool // committed, rolled back, or gone with the process
	done    chan struct{}
	waits   *work // for a lock that this one holds
}

// firstTransaction keeps the transactions' IDs apart from those that a model shows.
const firstTransaction = 5000

func newDisk(i Instance) *disk {
	d := &disk{tables: map[object]*table{}, open: map[*tdsserver.Session]*work{}, locks: map[object]*work{}, ids: firstTransaction}
	d.worker, _ = i.(Worker)
	return d
}

// enter begins something in a run of the service, and ends all that an earlier one left open, as recovery does. It is
// false in a run that is over: whoever asks has no server any more.
func (d *disk) enter(run uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case run < d.run:
		return false
	case run > d.run:
		for s, w := range d.open {
			delete(d.open, s)
			d.end(w)
		}
		clear(d.locks) // statements outside a transaction hold some too
		d.run = run
	}
	return true
}

// begin begins a transaction of a session; outside one, s is nil and it is a statement's own.
func (d *disk) begin(s *tdsserver.Session, now time.Time) *work {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids++
	w := &work{id: d.ids, began: now, tables: map[object]*table{}, done: make(chan struct{})}
	if s != nil {
		w.session = s.ID()
		d.open[s] = w
	}
	return w
}

// of is a session's transaction; nil outside one, and where it has gone with the process.
func (d *disk) of(s *tdsserver.Session) *work {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[s]
}

// commit makes what was written last. It is false where the transaction has gone with the process.
func (d *disk) commit(s *tdsserver.Session, w *work) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w == nil || w.over {
		return false
	}
	for name, t := range w.tables {
		if t == nil {
			delete(d.tables, name)
			continue
		}
		d.tables[name] = t
	}
	delete(d.open, s)
	d.end(w)
	d.tell()
	return true
}

// rollback forgets what was written.
func (d *disk) rollback(s *tdsserver.Session, w *work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w == nil || w.over {
		return
	}
	delete(d.open, s)
	d.end(w)
	d.tell()
}

// end lets go of a transaction's locks; the caller holds the lock.
func (d *disk) end(w *work) {
	w.over = true
	for name, holder := range d.locks {
		if holder == w {
			delete(d.locks, name)
		}
	}
	close(w.done)
}

// tell tells the worker what is open; the caller holds the lock.
func (d *disk) tell() {
	if d.worker == nil {
		return
	}
	rows := 0
	for _, w := range d.open {
		rows += w.rows
	}
	d.worker.Working(d.run, rows)
}

// read is a table as a transaction sees it, w being nil outside one: its own changes, and else what was committed last,
// as under READ_COMMITTED_SNAPSHOT. It is nil where there is no such table.
func (d *disk) read(w *work, name object) *table {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.see(w, name)
}

func (d *disk) see(w *work, name object) *table {
	if w != nil {
		if t, ok := w.tables[name]; ok {
			return t
		}
	}
	return d.tables[name]
}

// lock takes a table for a transaction until its end, and returns it as the transaction sees it. A lock is the whole
// table's, to which SQL Server escalates it where many rows are written.
func (d *disk) lock(ctx context.Context, w *work, name object) (*table, *tdsserver.Error) {
	for {
		d.mu.Lock()
		holder := d.locks[name]
		switch {
		case w.over:
			d.mu.Unlock()
			return nil, killed()
		case holder == nil || holder == w:
			d.locks[name], w.waits = w, nil
			t := d.see(w, name)
			d.mu.Unlock()
			return t, nil
		}
		for x := holder; x != nil; x = x.waits {
			if x == w {
				d.mu.Unlock()
				return nil, raise(1205, 13, "Transaction (Process ID %d) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.", w.session)
			}
		}
		w.waits = holder
		d.mu.Unlock()
		select {
		case <-holder.done:
		case <-w.done:
		case <-ctx.Done():
			d.mu.Lock()
			w.waits = nil
			d.mu.Unlock()
			return nil, killed() // nobody reads it: the client sent an attention, or hung up
		}
	}
}

// write puts a table's next version into a transaction that has its lock; nil drops it.
func (d *disk) write(w *work, name object, next *table, rows int, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(w.tables) == 0 {
		w.began = now
	}
	w.tables[name] = next
	w.rows += rows
	d.tell()
}

// number is the next table's object_id.
func (d *disk) number() int64 {
	const first = 245575913 // as large as SQL Server's are
	d.mu.Lock()
	defer d.mu.Unlock()
	d.objects++
	return first + 16*d.objects
}

// list gives the committed tables of a database.
func (d *disk) list(database string) []*table {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*table
	for name, t := range d.tables {
		if strings.EqualFold(name.database, database) {
			out = append(out, t)
		}
	}
	return out
}

// transactions are those that are open, as the views show them.
func (d *disk) transactions(s *Snapshot) []Transaction {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Transaction
	for _, w := range d.open {
		t := Transaction{ID: w.id, SessionID: w.session, Begin: w.began}
		for name := range w.tables {
			if db, ok := s.find(name.database); ok {
				t.DatabaseID = db.ID
			}
		}
		out = append(out, t)
	}
	return out
}

// killed is the error of a session whose server is gone.
func killed() *tdsserver.Error {
	return raise(596, 21, "Cannot continue the execution because the session is in the kill state.")
}
