package guard

// active is G7: the notification was a wake-up call; whether the alert is still active, neither silenced nor
// inhibited, is asked of Alertmanager now.
func active(in Input) Verdict {
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	a := round.Alert
	switch {
	case !a.Known():
		return hold("unreachable", in.soon(), "no Alertmanager could be asked (%s %s)", a.Failure, a.Detail)
	case a.Value.Suppressed:
		return hold("suppressed", in.soon(), "the alert is silenced or inhibited in Alertmanager").
			unblocked("expire the silence; while it stands nothing is done")
	case !a.Value.Active:
		return hold("not_active", in.soon(), "the alert is not active in Alertmanager now")
	}
	return pass("active on all %d of %d Alertmanagers that answered", a.Value.Reachable, a.Value.Asked)
}
