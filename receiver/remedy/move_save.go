package remedy

// moveSave is a quick migration: the guest is saved, taken to another node and goes on there as it was.
func moveSave() Spec { return moves(MoveSave, Save) }
