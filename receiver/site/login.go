package site

import (
	"context"
	"errors"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/sqlhealth"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// login tries to use SQL Server as a client would, and where that works and is wanted, lists the databases.
func login(ctx context.Context, p *sqlhealth.Prober, databases bool) evidence.Reading[evidence.Login] {
	a := p.Availability(ctx)
	r := evidence.Reading[evidence.Login]{At: a.At.UTC()}
	if !a.Up {
		return notUp(r, a)
	}
	r.Value = evidence.Login{
		Up: true, ServerName: a.Info.ServerName, MachineName: a.Info.MachineName, StartTime: a.StartTime,
		Clustered: a.Info.IsClustered, Hadr: a.Info.IsHadrEnabled,
	}
	for _, d := range a.Durations {
		r.Value.Took += d
	}
	if !databases {
		return r
	}
	list, err := p.Databases(ctx)
	if err != nil {
		// It is up, and that counts; whoever needs the databases sees that they are missing.
		r.Detail = "databases: " + err.Error()
		return r
	}
	r.Value.Databases = make(map[string]string, len(list))
	for _, d := range list {
		r.Value.Databases[d.Name] = d.StateDesc
	}
	return r
}

// notUp tells a SQL Server that does not serve from an attempt that says nothing about it: a wrong password, a name
// that does not resolve, a certificate, or our own end of the attempt are no evidence.
func notUp(r evidence.Reading[evidence.Login], a sqlhealth.Availability) evidence.Reading[evidence.Login] {
	var detail string
	if a.Err != nil {
		detail = a.Err.Error()
	}
	if a.Reason.Ours() || a.Reason == dial.Answered || errors.Is(a.Err, context.Canceled) {
		failure := a.Reason
		if failure == dial.Answered {
			failure = dial.Other
		}
		return unread[evidence.Login](r.At, failure, detail)
	}
	r.Value = evidence.Login{Reason: a.Reason, ErrorNumber: a.ErrorNumber}
	r.Detail = detail
	return r
}
