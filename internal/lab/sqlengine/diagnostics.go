package sqlengine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// Diagnostics are the components that sp_server_diagnostics judges. The zero value is clean. Its fifth one, events, is
// never judged.
type Diagnostics struct{ System, Resource, QueryProcessing, IOSubsystem ComponentState }

// ComponentState is what sp_server_diagnostics says of a component.
type ComponentState int

// The states of a component. Its numbers there are 1, 2, 3 and, for unknown, 0.
const (
	ComponentClean ComponentState = iota
	ComponentWarning
	ComponentError
	ComponentUnknown
)

// String is sp_server_diagnostics' state_desc.
func (s ComponentState) String() string {
	switch s {
	case ComponentClean:
		return "clean"
	case ComponentWarning:
		return "warning"
	case ComponentError:
		return "error"
	case ComponentUnknown:
	}
	return "unknown"
}

func (s ComponentState) code() int64 {
	switch s {
	case ComponentClean:
		return 1
	case ComponentWarning:
		return 2
	case ComponentError:
		return 3
	case ComponentUnknown:
	}
	return 0
}

// minRepeatInterval is the least @repeat_interval that is not 0, in seconds.
const minRepeatInterval = 5

// diagnostics is sp_server_diagnostics, once or, with @repeat_interval, set after set until an attention. Its columns
// and states: learn.microsoft.com, "sp_server_diagnostics (Transact-SQL)".
func (env *environment) diagnostics(params []tdsserver.Param) tdsserver.Response {
	if failed := env.needs(ServerState); failed != nil {
		return tdsserver.Fail(failed)
	}
	if len(params) > 1 {
		return tdsserver.Fail(raise(8144, 16, "Procedure or function sp_server_diagnostics has too many arguments specified."))
	}
	repeat := int64(0)
	for _, p := range params {
		if p.Name != "" && !strings.EqualFold(p.Name, "@repeat_interval") {
			return tdsserver.Fail(raise(8145, 16, "%s is not a parameter for procedure sp_server_diagnostics.", p.Name))
		}
		n, ok := p.Value.(int64)
		if p.Value != nil && !ok || n < 0 || n > 0 && n < minRepeatInterval {
			return tdsserver.Fail(raise(15600, 15, "An invalid parameter or option was specified for procedure 'sys.sp_server_diagnostics'."))
		}
		repeat = n
	}
	result := env.diagnosticsSet()
	if repeat > 0 {
		instance := env.instance
		result.More = func(ctx context.Context) (tdsserver.Result, bool) {
			timer := time.NewTimer(time.Duration(repeat) * time.Second)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return tdsserver.Result{}, false
			case <-timer.C:
			}
			s := instance.Snapshot()
			if s.Phase == Hung {
				<-ctx.Done()
				return tdsserver.Result{}, false
			}
			return (&environment{Snapshot: s}).diagnosticsSet(), true
		}
	}
	return tdsserver.Response{Results: []tdsserver.Result{result}}
}

// diagnosticsSet is one set of rows.
func (env *environment) diagnosticsSet() tdsserver.Result {
	name := name128()
	set := tdsserver.Result{Columns: []tdsserver.Column{
		{Name: "create_time", Type: tdsserver.Type{Kind: tdsserver.DateTime}},
		{Name: "component_type", Type: name},
		{Name: "component_name", Type: name},
		{Name: "state", Type: tdsserver.Type{Kind: tdsserver.Int}},
		{Name: "state_desc", Type: name},
		{Name: "data", Type: tdsserver.Type{Kind: tdsserver.NVarChar, Length: tdsserver.Max}},
	}}
	d := env.Diagnostics
	failing := func(s ComponentState) int {
		if s == ComponentError {
			return 1
		}
		return 0
	}
	for _, c := range []struct {
		name  string
		state ComponentState
		data  string
	}{
		{"system", d.System, fmt.Sprintf(`<system spinlockBackoffs="0" sickSpinlockType="none" sickSpinlockTypeAfterAv="none" latchWarnings="0" isAccessViolationOccurred="%[1]d" writeAccessViolationCount="%[1]d" totalDumpRequests="%[1]d" intervalDumpRequests="%[1]d" nonYieldingTasksReported="0" pageFaults="1024" systemCpuUtilization="11" sqlCpuUtilization="9" BadPagesDetected="0" BadPagesFixed="0" LastBadPageAddress="0x0"/>`, failing(d.System))},
		{"resource", d.Resource, fmt.Sprintf(`<resource lastNotification="RESOURCE_MEMPHYSICAL_HIGH" outOfMemoryExceptions="%[1]d" isAnyPoolOutOfMemory="%[1]d" processOutOfMemoryPeriod="0"><memoryReport name="Process/System Counts" unit="Value"><entry description="Available Physical Memory" value="4294967296"/><entry description="Available Virtual Memory" value="140726214811648"/><entry description="Available Paging File" value="6442450944"/><entry description="Working Set" value="1073741824"/></memoryReport></resource>`, failing(d.Resource))},
		{"query_processing", d.QueryProcessing, fmt.Sprintf(`<queryProcessing maxWorkers="512" workersCreated="40" workersIdle="20" tasksCompletedWithinInterval="5" pendingTasks="0" oldestPendingTaskWaitingTime="0" hasUnresolvableDeadlockOccurred="%[1]d" hasDeadlockedSchedulersOccurred="%[1]d" trackingNonYieldingScheduler="0x0"/>`, failing(d.QueryProcessing))},
		{"io_subsystem", d.IOSubsystem, `<ioSubsystem ioLatchTimeouts="0" intervalLongIos="0" totalLongIos="0"/>`},
		{"events", ComponentUnknown, `<events/>`}, // always unknown, which is its normal state
	} {
		set.Rows = append(set.Rows, []any{env.Now, "instance", c.name, c.state.code(), c.state.String(), c.data})
	}
	return set
}
