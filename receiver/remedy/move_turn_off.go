package remedy

// moveTurnOff turns the virtual machine off, as pulling its plug would, and starts it on another node.
func moveTurnOff() Spec { return moves(MoveTurnOff, TurnOff) }
