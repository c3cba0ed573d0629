// Package load is the client of the white paper's experiment (section 3.4): transaction after transaction from outside,
// each of which reads and then updates, before, during and after a fault; and afterwards the count of what SQL Server had
// acknowledged and does not have any more. None may be missing.
//
//	c, err := load.New(load.Options{Prober: prober, Database: "drill", Shape: load.Short})
//	err = c.Prepare(ctx)                 // makes its two tables
//	err = c.Run(running)                 // until its context ends; the fault falls into it
//	result, err := c.Verify(ctx)         // result.Lost must be 0
//	err = c.Remove(ctx)                  // also where something before it failed
//
// The tables are those of the paper: A(product code NCHAR(10), remark NVARCHAR(50)) and B(product code NCHAR(10), product
// name NVARCHAR(50)), under a name that begins with Prefix, in a database that the caller names; tempdb, which does not
// survive a restart, and the other databases of SQL Server's own are refused. A transaction updates A from B, puts a row
// with its own number into A, may stay open for a while, and commits.
//
// A commit is acknowledged when its answer has come. One whose answer was cut off is unknown: it may or may not be there.
// Before the COMMIT was sent, nothing can have been committed.
//
// It needs a login that may create and drop tables in the schema dbo of that database and read and write them:
// db_ddladmin, db_datareader and db_datawriter there. It reads nothing else, but for the names of the tables.
//
// A Client is for one run; Prepare, Run, Verify and Remove are called one after the other. Tally may be called meanwhile.
package load

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// Prefix is what the names of all tables of drills begin with.
const Prefix = "hypervigil_drill_"

// Shape is what a transaction is like.
type Shape int

// The shapes.
const (
	// Short updates one row.
	Short Shape = iota
	// Long updates every row of the table, as the white paper's did in about five minutes, over more than 1 GB.
	Long
)

// String is the shape's name.
func (s Shape) String() string {
	switch s {
	case Short:
		return "short"
	case Long:
		return "long"
	}
	return fmt.Sprintf("Shape(%d)", int(s))
}

// ShapeNamed finds a shape.
func ShapeNamed(name string) (Shape, error) {
	for _, s := range []Shape{Short, Long} {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("shape %q is not known; use short or long", name)
}

// Options configure a Client. Prober and Database are required.
type Options struct {
	// Prober is the instance; its credential is what logs in.
	Prober   *sqlhealth.Prober
	Instance string // for errors: cluster/vm/instance
	Database string
	Shape    Shape
	// Rows is how many products the tables have: 1 where zero for Short, which takes them in turn, 10,000 for Long. About
	// eight million make 1 GB, by the widths of the columns.
	Rows int
	// Hold is how long a transaction stays open after its last change. Every is the time from the end of one to the next;
	// 100 ms where zero.
	Hold, Every time.Duration
	// Login bounds a login, Statement a statement: 5 s, and 10 s for Short or 15 min for Long, where zero.
	Login, Statement time.Duration
	// KnockEvery is the time between two connections that only ask whether the port is open; 100 ms where zero. It is
	// also how finely Result.TCPLost is measured.
	KnockEvery time.Duration
}

// Client is one run of the load.
type Client struct {
	o    Options
	a, b string // the tables' full names, as they stand in a statement
	name string // what both names begin with
	born time.Time

	prepared bool

	mu           sync.Mutex
	transactions []transaction // by sequence number less one
	errors       map[string]int
	began, ended time.Time // of Run
	outages      []span    // of the port
	cut          func()    // ends the session that there is; nil: there is none
}

// outcome is what became of a transaction.
type outcome int

const (
	underway     outcome = iota // nothing is there
	committing                  // from the moment before the COMMIT is sent: as unknown
	failed                      // before the COMMIT was sent: nothing is there
	unknown                     // the COMMIT's answer did not come
	acknowledged                // it came
)

// transaction is one that was tried.
type transaction struct {
	outcome outcome
	at      time.Time // of its end
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// maxRows bounds Options.Rows by the width of a product's code, maxShortRows those of Short, which are read one by one
// afterwards.
const (
	maxRows      = 999_999_999
	maxShortRows = 10_000
)

// New checks the options. It connects to nothing.
func New(o Options) (*Client, error) {
	switch {
	case o.Prober == nil:
		return nil, errors.New("load: no prober")
	case o.Database == "":
		return nil, errors.New("load: no database")
	case o.Rows < 0 || o.Rows > maxRows || o.Shape == Short && o.Rows > maxShortRows:
		return nil, fmt.Errorf("load: %d rows for a %v transaction", o.Rows, o.Shape)
	case o.Hold < 0 || o.Every < 0 || o.Login < 0 || o.Statement < 0 || o.KnockEvery < 0:
		return nil, errors.New("load: a duration below 0")
	}
	switch strings.ToLower(o.Database) {
	case "tempdb":
		return nil, errors.New("load: tempdb is made anew at every start: nothing in it could be verified; name a database of your own")
	case "master", "model", "msdb":
		return nil, fmt.Errorf("load: %s is SQL Server's own; name a database of your own", o.Database)
	}
	fallback := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	statement, rows := 10*time.Second, 1
	if o.Shape == Long {
		statement, rows = 15*time.Minute, 10_000
	}
	fallback(&o.Every, 100*time.Millisecond)
	fallback(&o.KnockEvery, 100*time.Millisecond)
	fallback(&o.Login, 5*time.Second)
	fallback(&o.Statement, statement)
	if o.Rows == 0 {
		o.Rows = rows
	}
	c := &Client{o: o, born: time.Now().UTC(), errors: map[string]int{}}
	c.name = Prefix + c.born.Format(stampLayout) + "_" + strings.ToLower(rand.Text()[:8])
	c.a, c.b = c.full(c.name+"_a"), c.full(c.name+"_b")
	return c, nil
}

// stampLayout is how the time of a drill stands in its tables' names, in UTC.
const stampLayout = "20060102t150405"

// full is a table's name with its database and schema.
func (c *Client) full(table string) string { return quote(c.o.Database) + ".[dbo]." + quote(table) }

// quote makes an identifier of a name (learn.microsoft.com, "Database identifiers", delimited identifiers).
func quote(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// Tables are the names of the tables, for who has to remove them by hand.
func (c *Client) Tables() []string { return []string{c.a, c.b} }

// patience is how long answers may take.
func (c *Client) patience() sqlhealth.Patience {
	return sqlhealth.Patience{Login: c.o.Login, Statement: c.o.Statement}
}

// in says where an error happened.
func (c *Client) in(what string, err error) error {
	if c.o.Instance == "" {
		return fmt.Errorf("load: %s: %w", what, err)
	}
	return fmt.Errorf("load on %s: %s: %w", c.o.Instance, what, err)
}
