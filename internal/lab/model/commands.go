package model

import (
	"github.com/hypervigil/hypervigil/internal/cluster"
)

// The return values of Win32_Service's and Win32_Process' methods that the model gives (learn.microsoft.com,
// "StartService method of the Win32_Service class", "Terminate method of the Win32_Process class").
const (
	codeSuccess           = 0
	codeDependentsRunning = 3
	codeCannotAccept      = 5
	codeNotActive         = 6
	codeAlreadyRunning    = 10
	codeDependencyFailed  = 13
	codeDisabled          = 14
	codeLogonFailed       = 15
	codeNotFound          = 9 // Terminate: path not found
)

// Received counts a method that arrived for a virtual machine, whatever comes of it.
func (m *Model) Received(v *VM, method, detail string) {
	v.Counts.Commands = append(v.Counts.Commands, Count{m.now, method, detail})
}

// StartService is Win32_Service.StartService: it begins the start and returns.
func (m *Model) StartService(v *VM, s *Service) uint32 {
	switch {
	case s.State == cluster.ServiceRunning || s.State == cluster.ServiceStartPending:
		return codeAlreadyRunning
	case s.State != cluster.ServiceStopped:
		return codeCannotAccept
	case s.StartMode == "Disabled":
		return codeDisabled
	case !m.logsOn(v, s):
		return codeLogonFailed
	}
	if s.DependsOn != "" {
		on := v.Service(s.DependsOn)
		if on == nil || on.State != cluster.ServiceRunning && on.State != cluster.ServiceStopped {
			return codeDependencyFailed
		}
		if on.State == cluster.ServiceStopped {
			// The service control manager starts what a service depends on first.
			if code := m.StartService(v, on); code != codeSuccess {
				return codeDependencyFailed
			}
			turn := s.turn
			s.State = cluster.ServiceStartPending
			m.inGuest(v, m.Spec.Profile.ServiceStart, func() {
				if s.turn == turn && v.Guest == GuestRunning {
					m.start(v, s, "command")
				}
			})
			return codeSuccess
		}
	}
	m.start(v, s, "command")
	return codeSuccess
}

// StopService is Win32_Service.StopService: refused while dependents run.
func (m *Model) StopService(v *VM, s *Service) uint32 {
	if s.State != cluster.ServiceRunning {
		return codeNotActive
	}
	for _, d := range v.Dependents(s.Name) {
		if d.State != cluster.ServiceStopped {
			return codeDependentsRunning
		}
	}
	if s.Server != nil && s.Server.Hung {
		return codeCannotAccept // it does not listen to the service control manager either
	}
	m.stop(v, s)
	return codeSuccess
}

// Terminate is Win32_Process.Terminate.
func (m *Model) Terminate(v *VM, pid uint32) uint32 {
	for _, s := range v.Services {
		if s.PID == pid && pid != 0 {
			if !s.Stays {
				m.kill(v, s)
			}
			return codeSuccess
		}
	}
	return codeNotFound
}
