package evidence

import (
	"slices"
	"time"
)

// Diagnostics is the last set of sp_server_diagnostics that came to the receiver's own connection, without its figures.
type Diagnostics struct {
	Received   time.Time   `json:"received"`
	Components []Component `json:"components"`
}

// The states of a component, as sp_server_diagnostics numbers them (learn.microsoft.com, "sp_server_diagnostics
// (Transact-SQL)").
const (
	componentClean   = 1
	componentWarning = 2
	componentError   = 3
)

// judged are the components that FailureConditionLevel looks at, and firstLevel the level of the first of them
// (learn.microsoft.com, "Failover policy for failover cluster instances"): system is 3, resource 4, query_processing 5.
func judged() []string { return []string{"system", "resource", "query_processing"} }

const firstLevel = 3

// Sick is a component that SQL Server itself calls an error.
type Sick struct {
	Component string
	Level     int // of FailureConditionLevel
	Sets      int // in a row that said so
}

// Sick lists the judged components in error, the lowest level first.
func (d Diagnostics) Sick() []Sick {
	var list []Sick
	for n, name := range judged() {
		for _, c := range d.Components {
			if c.Name == name && c.State == componentError {
				list = append(list, Sick{Component: name, Level: firstLevel + n, Sets: c.ErrorSets})
			}
		}
	}
	return list
}

// Within is the component of the longest row of errors up to a level; ok is false where none is in error so far down.
func (d Diagnostics) Within(level int) (longest Sick, ok bool) {
	for _, s := range d.Sick() {
		if s.Level <= level && s.Sets > longest.Sets {
			longest, ok = s, true
		}
	}
	return longest, ok
}

// Clean reports whether every judged component has a state and none is in error; a warning is none.
func (d Diagnostics) Clean() bool {
	for _, name := range judged() {
		n := slices.IndexFunc(d.Components, func(c Component) bool { return c.Name == name })
		if n < 0 || d.Components[n].State != componentClean && d.Components[n].State != componentWarning {
			return false
		}
	}
	return true
}
