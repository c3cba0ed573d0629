package guard

import "github.com/hypervigil/hypervigil/receiver/remedy"

// oneController is G11: for each fault class one controller acts. A SQL Server that a failover cluster inside the
// guests owns, or that takes part in an availability group, is restarted and failed over by those; two hands on it
// would undo each other. Who owns a guest's or a network's fault is a setting of the cluster (CheckHeartbeat,
// ClusterMonitored); while that is not read, it is not ours.
//
// What the service control manager does by itself (its recovery actions) is not asked for: G8 waits a second for a
// service that comes back, and G9 starts none that runs.
func oneController(in Input) Verdict {
	switch in.Rung {
	case remedy.RestartService:
		base, ok := in.Proof.Baseline[in.Subject.Instance]
		switch {
		case !ok:
			return refuse("unread", "whether instance %s is clustered was never read", in.Subject.Instance).
				unblocked("the proof is made by itself once the virtual machine is healthy; see /-/ready")
		case base.Clustered:
			return refuse("failover_cluster_instance", "instance %s belongs to a failover cluster inside the guests, which restarts it", in.Subject.Instance).
				unblocked("nothing: a clustered instance is only observed")
		case base.Hadr:
			return refuse("availability_groups", "availability groups are enabled on instance %s; their failover is not ours to race", in.Subject.Instance).
				unblocked("restart it by hand, or let its group fail over")
		}
		return pass("instance %s is neither clustered nor enabled for availability groups", in.Subject.Instance)
	case remedy.ShutdownRestart, remedy.NMIRestart, remedy.ResetVM:
		return refuse("unread", "whether the cluster watches the guest's heartbeat (CheckHeartbeat) is not read by this release")
	case remedy.LiveMigrate, remedy.MoveSave, remedy.MoveShutdown, remedy.MoveTurnOff:
		return in.moveController()
	case remedy.StartGroup:
		return pass("a lost host is the cluster's first; G12 waits for it")
	}
	return refuse("unknown_rung", "rung %q is not known", in.Rung)
}
