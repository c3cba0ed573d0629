package remedy

// moveShutdown has the guest shut down and starts it on another node. A guest that does not listen stays where it is.
func moveShutdown() Spec { return moves(MoveShutdown, Shutdown) }
