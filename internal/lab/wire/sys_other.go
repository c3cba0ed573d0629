//go:build !linux

package wire

import (
	"errors"
	"net"
	"runtime"
	"syscall"
)

// reservation is nothing here: the number is held by the one listener.
type reservation struct{}

// open opens a plain listener.
func open(want *net.TCPAddr) (reservation, *net.TCPListener, error) {
	ln, err := net.ListenTCP("tcp", want)
	return reservation{}, ln, err
}

// listen is never reached: no supported behaviour closes the listener.
func (reservation) listen(*net.TCPAddr, bool) (*net.TCPListener, error) {
	return nil, errors.ErrUnsupported
}

// close has nothing to give back.
func (reservation) close() error { return nil }

// supported refuses what needs a reserved number or a filter.
func supported(b Behaviour) error {
	switch b {
	case Answering, Hung:
		return nil
	case Refusing, Unanswered:
		return &UnsupportedError{Behaviour: b, OS: runtime.GOOS}
	}
	return nil
}

// deafen has nothing to do: where no port can refuse, none is closed while somebody asks for it.
func deafen(syscall.Conn) error { return nil }

// silence can only switch off what never was on.
func silence(_ syscall.Conn, on bool) error {
	if on {
		return errors.ErrUnsupported
	}
	return nil
}
