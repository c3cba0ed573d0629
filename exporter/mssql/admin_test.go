package mssql

import (
	"context"
	"errors"
	"testing"

	"github.com/go-kit/log"

	"github.com/hypervigil/hypervigil/exporter/probe"
	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// adminFake is a dedicated administrator connection with a fixed answer.
type adminFake sqlhealth.AdminAnswer

var _ AdminSource = adminFake{}

func (f adminFake) AskAdmin(context.Context) sqlhealth.AdminAnswer { return sqlhealth.AdminAnswer(f) }
func (adminFake) Abandoned() int                                   { return 0 }

func TestAdminConnection(t *testing.T) {
	t.Parallel()
	failed := func(s sqlhealth.AdminState, r dial.Reason) AdminSource {
		return adminFake{State: s, Reason: r, Err: errors.New("no")}
	}
	for name, tc := range map[string]struct {
		source AdminSource
		reason dial.Reason
	}{
		"admin_answers": {adminFake{State: sqlhealth.AdminAnswers}, dial.Answered},
		"admin_taken":   {adminFake{State: sqlhealth.AdminTaken}, dial.Answered},
		"admin_closed":  {failed(sqlhealth.AdminClosed, dial.Protocol), dial.Protocol},
		"admin_refused": {failed(sqlhealth.AdminRefused, dial.Refused), dial.Refused},
		"admin_silent":  {failed(sqlhealth.AdminSilent, dial.LoginTimeout), dial.LoginTimeout},
		"admin_denied":  {failed(sqlhealth.AdminUnknown, dial.Auth), dial.Auth},
		"admin_unasked": {nil, dial.Answered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collectors := Collectors(Options{Source: fake{}, Admin: tc.source, Cluster: "hv-cl1", VM: "SQL01", Instance: "MSSQLSERVER"})
			r := collectors[len(collectors)-1].Collect(t.Context(), log.NewNopLogger())
			if got := probe.Reason(r.Err); got != tc.reason {
				t.Errorf("reason = %q, want %q", got, tc.reason)
			}
			probetest.Golden(t, name, r.Metrics)
		})
	}
}
