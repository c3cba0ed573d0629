package receiver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hypervigil/hypervigil/receiver/incident"
)

// stage is a stretch of the way from an alert to a verified command.
type stage string

// The stages. Issued to observed and to verified are of each command, the others of an incident's first.
const (
	alertToAccepted     stage = "alert_to_accepted"     // from the alert's own start
	acceptedToConfirmed stage = "accepted_to_confirmed" // every guard passed, and a person approved where one had to
	confirmedToIssued   stage = "confirmed_to_issued"   // written down, re-validated, handed over
	issuedToObserved    stage = "issued_to_observed"    // its answer, or that its answer was lost
	issuedToVerified    stage = "issued_to_verified"    // its effect
)

func stages() []stage {
	return []stage{alertToAccepted, acceptedToConfirmed, confirmedToIssued, issuedToObserved, issuedToVerified}
}

func newStages() *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "hypervigil", Name: "incident_stage_seconds", Help: "Duration of each stage from an alert to a verified command.",
		Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 3, 5, 10, 30, 60, 120, 300, 600}, NativeHistogramBucketFactor: 1.1,
	}, []string{"stage"})
	for _, s := range stages() {
		h.WithLabelValues(string(s))
	}
	return h
}

// stages observes what one record says has ended since the one before.
func (m *metrics) observeStages(before, i incident.Incident) {
	took := func(s stage, from, to time.Time) {
		if !from.IsZero() && !to.Before(from) { // another machine's clock may be ahead of ours
			m.stages.WithLabelValues(string(s)).Observe(to.Sub(from).Seconds())
		}
	}
	if before.ID == "" {
		took(alertToAccepted, i.Alert.StartsAt, i.OpenedAt)
	}
	if len(before.Actions) == 0 && len(i.Actions) > 0 {
		took(acceptedToConfirmed, i.OpenedAt, i.Actions[0].Planned)
	}
	if at := firstIssued(i); !at.IsZero() && firstIssued(before).IsZero() {
		took(confirmedToIssued, i.Actions[0].Planned, at)
	}
	for n, a := range i.Actions {
		var was incident.Action
		if n < len(before.Actions) {
			was = before.Actions[n]
		}
		if a.State == was.State || a.Issued.IsZero() {
			continue
		}
		switch a.State {
		case incident.Observed, incident.Unknown:
			if a.Result != nil {
				took(issuedToObserved, a.Issued, a.Result.EndedAt)
			}
		case incident.Verified:
			took(issuedToVerified, a.Issued, a.Ended)
		case incident.Planned, incident.Claimed, incident.Issued, incident.Failed:
		}
	}
}
