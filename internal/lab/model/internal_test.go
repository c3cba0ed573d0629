package model_test

import (
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// TestSQLInternal: SQL Server still serves; the component is well again when the fault is healed, or the service has
// been started anew.
func TestSQLInternal(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	s := m.VM("SQL01").Server("")
	for _, component := range append([]string{""}, model.Components()...) {
		in, err := m.Inject(model.Request{Fault: model.SQLInternal, VM: "SQL01", Component: component})
		if err != nil {
			t.Fatal(err)
		}
		if component == "" {
			component = "system"
		}
		if s.Failing != component || in.Request.Component != component || !s.Up {
			t.Errorf("failing %q of %+v, up %t, want %q and up", s.Failing, in.Request, s.Up, component)
		}
		if m.Heal(in.ID); s.Failing != "" {
			t.Errorf("failing %q after the fault was healed", s.Failing)
		}
	}
	if _, err := m.Inject(model.Request{Fault: model.SQLInternal, VM: "SQL01", Component: "events"}); err == nil {
		t.Error("a component that is never judged can fail")
	}
	for _, r := range []model.Request{{Fault: model.SQLInternal, VM: "SQL01"}, {Fault: model.ServiceCrash, VM: "SQL01"}} {
		in, err := m.Inject(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fault == model.ServiceCrash {
			m.Heal(in.ID)
		}
	}
	m.Advance(m.Now().Add(time.Minute))
	if s.Failing != "" || !s.Up {
		t.Errorf("failing %q, up %t after the service was started again", s.Failing, s.Up)
	}
}
