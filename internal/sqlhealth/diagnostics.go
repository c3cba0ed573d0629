package sqlhealth

import (
	"context"
	"database/sql/driver"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ComponentState is what sp_server_diagnostics says of a component, as it numbers it.
type ComponentState int64

// The states of a component.
const (
	ComponentUnknown ComponentState = 0
	ComponentClean   ComponentState = 1
	ComponentWarning ComponentState = 2
	ComponentError   ComponentState = 3
)

// The components of an instance. ComponentEvents is never judged: unknown is its normal state.
const (
	ComponentSystem          = "system"
	ComponentResource        = "resource"
	ComponentQueryProcessing = "query_processing"
	ComponentIOSubsystem     = "io_subsystem"
	ComponentEvents          = "events"
)

// Component is one component of one set.
type Component struct {
	Name  string
	State ComponentState
	// ErrorSets is how many sets in a row, this one included, called the component's state an error, none of them older
	// than the health check's time-out when the next one came.
	ErrorSets int
	// Values are the figures of its data, by the attribute's name in small letters; those of its memory report by
	// their description. Which there are differs between versions.
	Values map[string]float64
}

// Set is one set of sp_server_diagnostics.
type Set struct {
	Received   time.Time // by our clock; zero where there is none
	Components []Component
}

// Level is the lowest level of the FailureConditionLevel ladder that the set violates, 0 where it violates none. It is
// not known where a component that would have to be clean for the answer has no state. Levels: learn.microsoft.com,
// "Failover policy for failover cluster instances".
func (s Set) Level() (level int, known bool) {
	for i, name := range []string{ComponentSystem, ComponentResource, ComponentQueryProcessing} {
		switch s.state(name) {
		case ComponentClean, ComponentWarning: // a warning is no error
		case ComponentError:
			return levelSystem + i, true
		case ComponentUnknown:
			return 0, false
		default:
			return 0, false
		}
	}
	return 0, true
}

// The levels of the ladder. The first two are of an instance that says nothing.
const (
	levelDown   = 1
	levelSilent = 2
	levelSystem = 3 // then resource and query_processing
)

// countErrors carries ErrorSets on from the set before, unless that was stale when this one came: sets with an unseen
// time between them are not in a row.
func (s Set) countErrors(before Set, stale time.Duration) {
	fresh := !before.Received.IsZero() && s.Received.Sub(before.Received) <= stale
	for i := range s.Components {
		c := &s.Components[i]
		if c.State != ComponentError {
			continue
		}
		c.ErrorSets = 1
		for _, b := range before.Components {
			if fresh && b.Name == c.Name {
				c.ErrorSets += b.ErrorSets
				break
			}
		}
	}
}

func (s Set) state(name string) ComponentState {
	for _, c := range s.Components {
		if c.Name == name {
			return c.State
		}
	}
	return ComponentUnknown
}

// The columns that sp_server_diagnostics gives, by position; there may be more behind them. Source:
// learn.microsoft.com, "sp_server_diagnostics (Transact-SQL)".
const (
	columnType      = 1
	columnName      = 2
	columnState     = 3
	columnData      = 5
	leastColumns    = 6
	componentOfSelf = "instance" // an availability group has rows too, and could be called "system"
)

var (
	// errStreamEnded says that the procedure returned, which it does not by itself.
	errStreamEnded = errors.New("sp_server_diagnostics has ended by itself")
	// errWaiting says that nothing has come yet, and nothing should have.
	errWaiting = errors.New("sp_server_diagnostics has been started; its first answer takes five seconds or more")
	// errClosed says that nobody is there any more to be told.
	errClosed = errors.New("the stream is closed")
)

// diagnose runs sp_server_diagnostics and gives each set as soon as it is complete: with the last of the components,
// since the driver tells the end of a set only with the next one. It returns when the connection ends; abort ends it.
func (s *session) diagnose(every time.Duration, abort func(), received func([]Component)) error {
	stmt, err := s.conn.Prepare("EXEC sys.sp_server_diagnostics @repeat_interval = " + strconv.Itoa(int(every/time.Second)))
	if err != nil {
		return err
	}
	asker, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return errors.New("driver without StmtQueryContext")
	}
	rows, err := asker.QueryContext(context.Background(), nil)
	if err != nil {
		return err
	}
	var set []Component
	var wrong error
	give := func() {
		if len(set) > 0 && wrong == nil {
			received(set)
		}
		set = nil
	}
	for {
		values := make([]driver.Value, len(rows.Columns()))
		err := rows.Next(values)
		switch {
		case errors.Is(err, io.EOF):
			give()
			more, ok := rows.(driver.RowsNextResultSet)
			if ok && more.HasNextResultSet() && more.NextResultSet() == nil {
				continue
			}
			return errors.Join(wrong, errStreamEnded)
		case err != nil:
			return errors.Join(wrong, err)
		case wrong != nil: // read to the end: a reader of the driver's that is left alone waits for ever
			continue
		case len(values) < leastColumns:
			wrong = fmt.Errorf("%w: %d columns of sp_server_diagnostics", errShape, len(values))
			abort()
			continue
		}
		r := record{values: values}
		if r.text(columnType) != componentOfSelf {
			continue
		}
		c := Component{Name: r.text(columnName), State: ComponentState(r.number(columnState))}
		if c.Name != ComponentEvents { // whose data are large, and no figures
			c.Values = figures(r.text(columnData))
		}
		if r.err != nil {
			wrong = r.err
			abort()
			continue
		}
		set = append(set, c)
		if c.Name == ComponentEvents {
			give()
		}
	}
}

// maxData is how much of a component's data is looked at: the figures stand at the beginning. In bytes.
const maxData = 64 << 10

// maxEntries bounds the memory report.
const maxEntries = 64

// figures reads the figures of a component's data: the attributes of its root element that are numbers, and the
// entries of its memory report. What is no XML, or ends in the middle, gives what was read until then.
func figures(data string) map[string]float64 {
	if len(data) > maxData {
		data = data[:maxData]
	}
	d := xml.NewDecoder(strings.NewReader(data))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is text by now
	out := map[string]float64{}
	entries := 0
	for root := true; ; {
		token, err := d.RawToken()
		if err != nil {
			return out
		}
		element, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case root:
			root = false
			for _, a := range element.Attr {
				if v, err := strconv.ParseFloat(a.Value, 64); err == nil {
					out[strings.ToLower(a.Name.Local)] = v
				}
			}
		case element.Name.Local == "entry" && entries < maxEntries:
			entries++
			var description string
			var value float64
			found := false
			for _, a := range element.Attr {
				switch strings.ToLower(a.Name.Local) {
				case "description":
					description = a.Value
				case "value":
					v, err := strconv.ParseFloat(a.Value, 64)
					value, found = v, err == nil
				}
			}
			if found {
				out[description] = value
			}
		}
	}
}
