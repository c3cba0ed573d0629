package winservice

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// poll is the time between two looks at a service that starts or stops.
const poll = 250 * time.Millisecond

// Install makes the service, its recovery and its source in the event log; where one of them fails, nothing is left.
func Install(m Manager, s Spec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if err := m.Create(s); err != nil {
		return fmt.Errorf("create the service: %w", err)
	}
	if err := m.SetRecovery(s.Name, DefaultRecovery()); err != nil {
		return errors.Join(fmt.Errorf("set the recovery: %w", err), m.Delete(s.Name))
	}
	if err := m.AddEventSource(s.Name); err != nil {
		return errors.Join(fmt.Errorf("add the source to the event log: %w", err), m.Delete(s.Name))
	}
	return nil
}

// Launch starts the service and waits until it runs.
func Launch(ctx context.Context, m Manager, name string) error {
	state, err := m.State(name)
	if err != nil || state == Running {
		return err
	}
	if state == Stopped {
		if err := m.Start(name); err != nil {
			return fmt.Errorf("start the service: %w", err)
		}
	}
	return await(ctx, m, name, Running)
}

// Halt stops the service and waits until it has stopped.
func Halt(ctx context.Context, m Manager, name string) error {
	state, err := m.State(name)
	if err != nil || state == Stopped {
		return err
	}
	if state != StopPending {
		if err := m.Stop(name); err != nil {
			return fmt.Errorf("stop the service: %w", err)
		}
	}
	return await(ctx, m, name, Stopped)
}

// Remove deletes a stopped service and its source in the event log. Events that were written stay.
func Remove(m Manager, name string) error {
	switch state, err := m.State(name); {
	case err != nil:
		return err
	case state != Stopped:
		return fmt.Errorf("the service is %v; stop it first", state)
	}
	if err := m.Delete(name); err != nil {
		return fmt.Errorf("delete the service: %w", err)
	}
	if err := m.RemoveEventSource(name); err != nil {
		return fmt.Errorf("remove the source from the event log: %w", err)
	}
	return nil
}

// await looks until the service is in a state, ctx ends, or it has stopped instead of running.
func await(ctx context.Context, m Manager, name string, want State) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		state, err := m.State(name)
		switch {
		case err != nil:
			return err
		case state == want:
			return nil
		case state == Stopped:
			return errors.New("the service ended while it started; the Application event log says why")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the service is still %v: %w", state, ctx.Err())
		}
	}
}
