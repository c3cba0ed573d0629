package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/wsman"
)

// selectServices is the projection of Win32_Service.
const selectServices = "SELECT Name, State, StartMode, ProcessId, ExitCode, ServiceSpecificExitCode FROM Win32_Service"

// Services reads those of the named services that exist, in the order of names.
func (m *machine) Services(ctx context.Context, names []string) ([]Service, error) {
	where := ""
	switch len(names) {
	case 0:
		return nil, nil
	case 1:
		where = " WHERE Name = " + wsman.Quote(names[0])
	}
	// Of several, all services are read at once: two round trips, where one query for each would cost as many.
	found, err := m.services(ctx, where)
	if err != nil {
		return nil, fmt.Errorf("read services: %w", err)
	}
	return pick(found, names), nil
}

// pick returns the services of these names, in their order.
func pick(services []Service, names []string) []Service {
	var out []Service
	for _, name := range names {
		i := slices.IndexFunc(services, func(s Service) bool { return strings.EqualFold(s.Name, name) })
		if i >= 0 {
			out = append(out, services[i])
		}
	}
	return out
}

// services reads Win32_Service. The exit code may not be NULL: zero means a clean stop.
func (m *machine) services(ctx context.Context, where string) ([]Service, error) {
	return all(ctx, m, nsWindows, selectServices+where, func(f *fields) Service {
		return Service{
			Name: f.mustText("Name"), State: ServiceState(f.mustText("State")), StartMode: f.text("StartMode"),
			ProcessID: f.uint32("ProcessId"), ExitCode: f.mustUint32("ExitCode"), SpecificCode: f.uint32("ServiceSpecificExitCode"),
		}
	})
}
