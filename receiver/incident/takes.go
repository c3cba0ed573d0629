package incident

import (
	"time"

	"github.com/hypervigil/hypervigil/receiver/evidence"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// Rounds is what the rounds of evidence of a class add to the time that its guards ask for (guard.Least): at least, and at
// most while everybody but the sick one answers at once. It is for reckoning beforehand, as guard.Least is.
func Rounds(f evidence.Fault) (least, most time.Duration) {
	took := roundTimeout(f)
	switch f {
	case evidence.Hang, evidence.Guest, evidence.Network:
		// The sick one does not answer, so that each round takes its time-out, and the next wait begins when it is over: the
		// class's time is three waits, and the fourth round ends it.
		least = (silentRounds + 1) * took
		most = least
		if f == evidence.Guest {
			// What its disks did is counted in the background, and may come only in time for the next round.
			most += guestClass/silentRounds + took
		}
		return least, most
	case evidence.Host:
		return 0, took // a lost host does not answer, what its group fell to does
	case evidence.Resource:
		return 0, silentRounds * took // a starved host may answer late, in each of the three
	case evidence.Service, evidence.Internal, evidence.Storage, evidence.Database:
	}
	return 0, 0 // the sick one answers
}

// Keeping is how long the first command waits for what it would destroy to be read: nothing where the rung destroys nothing,
// and the whole time-out of the read where the guest that is asked is dead.
func Keeping(f evidence.Fault, rung remedy.Rung) (least, most time.Duration) {
	switch {
	case !rung.Kills(f):
		return 0, 0
	case f == evidence.Guest:
		return keepTimeout, keepBound
	}
	return 0, keepBound
}
