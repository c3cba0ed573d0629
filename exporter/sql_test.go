package exporter

import (
	"context"

	"github.com/hypervigil/hypervigil/internal/sqlhealth"
)

// DatabaseReport is of an instance with one database.
func (p *peer) DatabaseReport(context.Context) (sqlhealth.DatabaseReport, []*sqlhealth.Failure) {
	return sqlhealth.DatabaseReport{Databases: []sqlhealth.Database{{ID: 1, Name: "master"}}}, nil
}

// Health is of an instance that is well.
func (p *peer) Health(context.Context) sqlhealth.Health {
	return sqlhealth.Health{Known: true}
}

// Abandoned is of a driver that is not stuck, unless the world says otherwise.
func (p *peer) Abandoned() int { return int(p.world.abandoned.Load()) }

// PerformanceReport is of an instance that has done nothing.
func (p *peer) PerformanceReport(context.Context) (sqlhealth.PerformanceReport, []*sqlhealth.Failure) {
	return sqlhealth.PerformanceReport{}, nil
}

// SessionReport is of an instance without sessions.
func (p *peer) SessionReport(context.Context) (sqlhealth.SessionReport, []*sqlhealth.Failure) {
	return sqlhealth.SessionReport{Blocked: &sqlhealth.Blocked{}, Transactions: &sqlhealth.Transactions{}}, nil
}

// GroupReport is of an instance without Always On.
func (p *peer) GroupReport(context.Context) (sqlhealth.GroupReport, []*sqlhealth.Failure) {
	return sqlhealth.GroupReport{}, nil
}

// MemberReport is of an instance without Always On.
func (p *peer) MemberReport(context.Context) (sqlhealth.MemberReport, []*sqlhealth.Failure) {
	return sqlhealth.MemberReport{}, nil
}
