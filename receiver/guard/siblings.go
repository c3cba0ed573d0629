package guard

import (
	"maps"
	"slices"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// siblings is G34: a rung that ends the whole virtual machine ends every instance inside. While one of the others serves,
// or answers in any way, that is a person's to decide.
func siblings(in Input) Verdict {
	if in.Rung.Kind() == config.OnService || !in.Rung.Kills(in.Subject.Fault) {
		return pass("%s ends no other instance", in.Rung)
	}
	round, ok := in.last()
	if !ok {
		return hold("no_evidence", in.soon(), "no evidence has been read yet")
	}
	others := 0
	for _, instance := range in.Instances {
		l, asked := round.Siblings[instance]
		switch {
		case instance == in.Subject.Instance:
			continue
		case !asked && in.Subject.Instance == evidence.NoInstance && len(round.Siblings) == len(in.Instances)-1:
			l = round.Login // the round's own question
		}
		others++
		switch {
		case !l.Known():
			return hold("unreadable", in.soon(), "instance %s in the same virtual machine could not be tried: %s %s", instance, l.Failure, l.Detail)
		case l.Value.Up:
			return propose("sibling_healthy", "instance %s in the same virtual machine serves; %s would end it", instance, in.Rung).unblocked(siblingHelp)
		case l.Value.ErrorNumber != 0:
			return propose("sibling_answers", "instance %s in the same virtual machine answers (error %d): it may be starting or recovering", instance, l.Value.ErrorNumber).
				unblocked(siblingHelp)
		}
	}
	for _, instance := range slices.Sorted(maps.Keys(round.Siblings)) {
		if !slices.Contains(in.Instances, instance) {
			return hold("unreadable", in.soon(), "instance %s is not in the inventory any more", instance)
		}
	}
	return pass("%s in the same virtual machine answers no login", plural(others, "other instance"))
}

const siblingHelp = "restart the sick instance by hand, or approve that the healthy one goes down with it"
