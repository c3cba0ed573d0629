//go:build !windows

package winservice

import "github.com/hypervigil/hypervigil/internal/logging"

// Connect is Windows' alone.
func Connect() (Manager, func() error, error) { return nil, nil, ErrNotWindows }

// Serve is Windows' alone.
func Serve(string, Program) error { return ErrNotWindows }

// Events is Windows' alone.
func Events(string) (logging.EventSink, func() error, error) { return nil, nil, ErrNotWindows }
