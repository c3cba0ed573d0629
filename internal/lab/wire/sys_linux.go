package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reservation holds a port's number: a bound socket that does not listen. Linux answers SYN with RST there, as
// for a port that nobody holds, and gives the number to nobody else.
type reservation struct{ fd int }

// open binds the reservation and opens the first listener beside it.
func open(want *net.TCPAddr) (reservation, *net.TCPListener, error) {
	four := &unix.SockaddrInet4{Port: want.Port}
	copy(four.Addr[:], want.IP.To4())
	family, sa := unix.AF_INET, unix.Sockaddr(four)
	if want.IP != nil && want.IP.To4() == nil {
		six := &unix.SockaddrInet6{Port: want.Port}
		copy(six.Addr[:], want.IP.To16())
		family, sa = unix.AF_INET6, six
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return reservation{}, nil, os.NewSyscallError("socket", err)
	}
	r := reservation{fd: fd}
	if err := r.bind(sa); err != nil {
		return r, nil, errors.Join(err, r.close())
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return r, nil, errors.Join(os.NewSyscallError("getsockname", err), r.close())
	}
	at := &net.TCPAddr{IP: want.IP, Zone: want.Zone, Port: sockaddrPort(bound)}
	ln, err := r.listen(at, false)
	if err != nil {
		return r, nil, errors.Join(err, r.close())
	}
	return r, ln, nil
}

// bind takes the number. SO_REUSEADDR is on for the bind only, which passes over connections in TIME_WAIT; were
// it on afterwards, another's socket could be bound to the same number. SO_REUSEPORT comes after the bind, so
// that the bind itself fails where somebody holds the number, and lets our listeners in.
func (r reservation) bind(sa unix.Sockaddr) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if err := unix.Bind(r.fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	return os.NewSyscallError("setsockopt SO_REUSEPORT", unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}

// listen opens a listener beside the reservation; silent says that it drops every SYN from the first on.
func (r reservation) listen(at *net.TCPAddr, silent bool) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1, // a frozen machine must not be noticed, nor reset its clients, by our probes
		Control: func(_, _ string, rc syscall.RawConn) error {
			var err error
			cerr := rc.Control(func(fd uintptr) {
				err = os.NewSyscallError("setsockopt SO_REUSEPORT",
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
				if err == nil && silent {
					err = dropAll(int(fd))
				}
			})
			return errors.Join(cerr, err)
		},
	}
	// Multipath TCP would bring a socket of another kind, to which the filter does not apply.
	lc.SetMultipathTCP(false)
	network := "tcp4"
	if at.IP.To4() == nil && at.IP != nil {
		network = "tcp6"
	}
	ln, err := lc.Listen(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// close gives the number back.
func (r reservation) close() error { return os.NewSyscallError("close", unix.Close(r.fd)) }

// supported reports what Linux cannot do: nothing.
func supported(Behaviour) error { return nil }

// deafen ends a socket's listening at once, whoever else has it: a child that the process is just forking holds every socket
// until it has become its program, and a listener that is only closed takes clients for that long (shutdown(2) of a
// listening socket leaves it closed for connections, as Linux' inet_shutdown has it).
func deafen(s syscall.Conn) error {
	rc, err := s.SyscallConn()
	if err != nil {
		return err
	}
	cerr := rc.Control(func(fd uintptr) { err = os.NewSyscallError("shutdown", unix.Shutdown(int(fd), unix.SHUT_RD)) })
	return errors.Join(cerr, err)
}

// silence switches the filter of a socket that drops everything that arrives for it.
func silence(s syscall.Conn, on bool) error {
	rc, err := s.SyscallConn()
	if err != nil {
		return err
	}
	cerr := rc.Control(func(fd uintptr) {
		if on {
			err = dropAll(int(fd))
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		if errors.Is(err, unix.ENOENT) {
			err = nil // there was none
		}
		err = os.NewSyscallError("setsockopt SO_DETACH_FILTER", err)
	})
	return errors.Join(cerr, err)
}

// dropAll attaches a filter of one instruction: accept 0 bytes of the packet. The kernel then drops it before the
// socket sees it: a SYN gets neither SYN-ACK nor RST, a segment no ACK (socket(7), SO_ATTACH_FILTER).
func dropAll(fd int) error {
	code := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET,
		unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}))
}

// sockaddrPort returns the port of an address.
func sockaddrPort(sa unix.Sockaddr) int {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return 0
}
