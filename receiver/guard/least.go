package guard

import (
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/evidence"
)

// Least is the least time from the accepted alert to a command of this class, and which guard asks for it: what G8 looks
// for and what G12 leaves to the cluster. A round takes its own time on top. ok is false where no command follows at all,
// and why says that. It is for reckoning beforehand; the guards decide by themselves.
func Least(fault evidence.Fault, p *config.Policy, info cluster.Info) (least time.Duration, why string, ok bool) {
	heartbeat := info.SameSubnetDelay * time.Duration(info.SameSubnetThreshold)
	first := heartbeat + lossMargin
	switch fault {
	case evidence.Service:
		return proofOfLifeSpan, "G8: two rounds a second apart", true
	case evidence.Hang:
		return max(p.HealthCheckTimeout, minHang), "G8: no login for the policy's health_check_timeout", true
	case evidence.Guest:
		return max(guestSpan, first), "G8 and G12: three rounds over the class's time, and the cluster's own detection", true
	case evidence.Network:
		return max(networkSpan, first), "G8 and G12: three rounds over the class's time, and the cluster's own detection", true
	case evidence.Host:
		return max(hostWait, heartbeat+info.ResiliencyDefaultPeriod+hostMargin), "G12: a host is the cluster's to recover", true
	case evidence.Internal:
		if p.InternalLevel > 0 {
			return proofOfLifeSpan, "G8: two rounds a second apart, once three sets came to the receiver too", true
		}
		return 0, "internal_level of the policy is 0: the class only tells", false
	case evidence.Resource:
		if info.AutoBalancerMode >= balancesAlways {
			return balancerTime + balancerMargin, "G11: the cluster balances its load itself", true
		}
		return resourceSpan, "G8: three samples over the class's time", true
	case evidence.Storage, evidence.Database:
	}
	return 0, "fault class " + string(fault) + " only tells", false
}
