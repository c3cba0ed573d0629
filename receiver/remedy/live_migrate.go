package remedy

// liveMigrate takes a well guest away from a sick node; the guest does not notice. It is never a rung for a sick guest,
// which it takes along as it is (G24).
func liveMigrate() Spec { return moves(LiveMigrate, Live) }
