package tdsserver

// take has a dedicated server taken, or says that it is: SQL Server has one such connection (sys.messages 17810;
// learn.microsoft.com, "Diagnostic connection for database administrators").
func (s *Server) take() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken {
		return &Error{
			Number: 17810, State: 2, Class: 20,
			Message: "Could not connect because the maximum number of '1' dedicated administrator connections already exists. Before a new connection can be made, the existing dedicated administrator connection must be dropped, either by logging off or ending the process.",
		}
	}
	s.taken = true
	return nil
}

// giveBack ends it.
func (s *Server) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = false
}
