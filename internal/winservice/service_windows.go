package winservice

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/hypervigil/hypervigil/internal/logging"
)

// manager is the service control manager of this machine.
type manager struct{ m *mgr.Mgr }

var _ Manager = manager{}

// Connect opens the service control manager of this machine, which only an administrator may; the function closes it.
func Connect() (Manager, func() error, error) {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, nil, fmt.Errorf("open the service control manager: %w; run this as an administrator", err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the service control manager: %w", err)
	}
	return manager{m}, m.Disconnect, nil
}

// with opens a service for the time of one call.
func (m manager) with(name string, do func(*mgr.Service) error) error {
	s, err := m.m.OpenService(name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return ErrNoService
	}
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// Create stores the command line as CommandLine makes it: mgr.CreateService would leave a path without blanks unquoted.
func (m manager) Create(spec Spec) error {
	config := mgr.Config{
		ServiceType: windows.SERVICE_WIN32_OWN_PROCESS, StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
		DisplayName: spec.DisplayName, Description: spec.Description, ServiceStartName: spec.Account,
		SidType: windows.SERVICE_SID_TYPE_UNRESTRICTED,
	}
	s, err := m.m.CreateService(spec.Name, spec.Path, config, spec.Args...)
	if err != nil {
		return err
	}
	config.BinaryPathName = CommandLine(spec.Path, spec.Args)
	config.ServiceStartName = "" // as it is
	if err := s.UpdateConfig(config); err != nil {
		return errors.Join(err, s.Delete(), s.Close())
	}
	return s.Close()
}

func (m manager) SetRecovery(name string, r Recovery) error {
	actions := make([]mgr.RecoveryAction, 0, len(r.Restart))
	for _, d := range r.Restart {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: d})
	}
	return m.with(name, func(s *mgr.Service) error {
		if err := s.SetRecoveryActions(actions, uint32(r.Reset/time.Second)); err != nil {
			return err
		}
		// Without it only a crash would be recovered, and not an end with an exit code.
		return s.SetRecoveryActionsOnNonCrashFailures(true)
	})
}

// AddEventSource registers the service in the Application log with the message file that every Windows has.
func (m manager) AddEventSource(name string) error {
	if err := m.RemoveEventSource(name); err != nil { // of an installation that was not removed
		return err
	}
	return eventlog.InstallAsEventCreate(name, eventlog.Error|eventlog.Warning|eventlog.Info)
}

func (m manager) RemoveEventSource(name string) error {
	if err := eventlog.Remove(name); err != nil && !errors.Is(err, registry.ErrNotExist) {
		return err
	}
	return nil
}

func (m manager) Delete(name string) error {
	return m.with(name, func(s *mgr.Service) error { return s.Delete() })
}

func (m manager) Start(name string) error {
	return m.with(name, func(s *mgr.Service) error { return s.Start() })
}

func (m manager) Stop(name string) error {
	return m.with(name, func(s *mgr.Service) error {
		_, err := s.Control(svc.Stop)
		return err
	})
}

func (m manager) State(name string) (state State, err error) {
	err = m.with(name, func(s *mgr.Service) error {
		status, err := s.Query()
		switch status.State {
		case svc.Stopped:
			state = Stopped
		case svc.StartPending:
			state = StartPending
		case svc.Running:
			state = Running
		case svc.StopPending:
			state = StopPending
		case svc.ContinuePending, svc.PausePending, svc.Paused:
			state = Other
		}
		return err
	})
	return state, err
}

// handler is a Program as golang.org/x/sys/windows/svc wants it.
type handler struct {
	program Program
	err     error
}

// Execute maps requests and states, and leaves everything else to Drive.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (bool, uint32) {
	controls, ended := make(chan Control), make(chan struct{})
	go func() {
		for {
			select {
			case r := <-requests:
				c, ok := control(r.Cmd)
				if !ok {
					continue // we accept no other
				}
				select {
				case controls <- c:
				case <-ended:
					return
				}
			case <-ended:
				return
			}
		}
	}()
	h.err = Drive(controls, func(s Status) { changes <- status(s) }, h.program)
	close(ended)
	if h.err != nil {
		return true, 1
	}
	return false, 0
}

func control(c svc.Cmd) (Control, bool) {
	switch c {
	case svc.Interrogate:
		return Interrogate, true
	case svc.Stop:
		return Stop, true
	case svc.Shutdown:
		return Shutdown, true
	case svc.ParamChange:
		return ParamChange, true
	}
	return 0, false
}

func status(s Status) svc.Status {
	out := svc.Status{CheckPoint: s.CheckPoint}
	switch s.State {
	case StartPending:
		out.State, out.WaitHint = svc.StartPending, uint32(WaitHint/time.Millisecond)
		out.Accepts = svc.AcceptStop | svc.AcceptShutdown
	case Running:
		out.State, out.Accepts = svc.Running, svc.AcceptStop|svc.AcceptShutdown|svc.AcceptParamChange
	case StopPending:
		out.State, out.WaitHint = svc.StopPending, uint32(WaitHint/time.Millisecond)
	case Stopped, Other:
		out.State = svc.Stopped
	}
	return out
}

// Serve hands this process to the service control manager and returns when the service has ended. A process that the
// manager did not start gets an error at once.
func Serve(name string, program Program) error {
	h := &handler{program: program}
	if err := svc.Run(name, h); err != nil {
		if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
			return fmt.Errorf("%w; only the service control manager runs this command", err)
		}
		return err
	}
	return h.err
}

// events writes to the Application log.
type events struct{ log *eventlog.Log }

// Events opens the service's source in the Application log; the function closes it.
func Events(name string) (logging.EventSink, func() error, error) {
	l, err := eventlog.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("open the event log: %w", err)
	}
	return events{l}, l.Close, nil
}

// Event writes one line. EventCreate.exe, our message file, knows the ids 1 to 1000.
func (e events) Event(kind logging.EventKind, line string) error {
	switch kind {
	case logging.EventError:
		return e.log.Error(uint32(kind), line)
	case logging.EventWarning:
		return e.log.Warning(uint32(kind), line)
	case logging.EventInfo:
		return e.log.Info(uint32(kind), line)
	}
	return nil
}
