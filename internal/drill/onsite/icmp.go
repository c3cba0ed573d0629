package onsite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// socket is an echo over the operating system's own ping socket (Linux and Darwin): it needs no privilege, and gives its user
// the answers to his own requests alone. Linux gives it to the groups of net.ipv4.ping_group_range (icmp(7)).
type socket struct {
	conn *icmp.PacketConn
	to   *net.UDPAddr // without a port, which ICMP has none of
	seq  uint16
}

var _ echo = (*socket)(nil)

// dialEcho opens a socket to a host, of IPv4 as the white paper's ping. It sends nothing.
func dialEcho(ctx context.Context, host string) (echo, error) {
	if runtime.GOOS == "windows" {
		// learn.microsoft.com, "TCP/IP Raw Sockets (2)": for the members of the group Administrators alone.
		return nil, errors.New("on Windows ICMP by a socket is for administrators alone, and this program asks for no such right")
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return nil, err
	}
	conn, err := icmp.ListenPacket("udp4", "0.0.0.0")
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w: put a group of yours into net.ipv4.ping_group_range", err)
	}
	if err != nil {
		return nil, err
	}
	return &socket{conn: conn, to: net.UDPAddrFromAddrPort(netip.AddrPortFrom(list[0].Unmap(), 0))}, nil
}

// Ask implements echo.
func (s *socket) Ask(ctx context.Context) error {
	s.seq++
	// The system puts an identifier of its own into it.
	b, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{Seq: int(s.seq), Data: []byte("hypervigil drill")}}).Marshal(nil)
	if err != nil {
		return err
	}
	until, _ := ctx.Deadline()
	if err := s.conn.SetDeadline(until); err != nil {
		return err
	}
	if _, err := s.conn.WriteTo(b, s.to); err != nil {
		return err
	}
	answer := make([]byte, 1500)
	for {
		n, _, err := s.conn.ReadFrom(answer)
		if err != nil {
			return err
		}
		const protocolICMP = 1 // iana.org, "Protocol Numbers"
		m, err := icmp.ParseMessage(protocolICMP, answer[:n])
		if err != nil {
			continue // whatever it is, it is no answer
		}
		// A late answer to an earlier request is none to this one.
		if e, ok := m.Body.(*icmp.Echo); ok && m.Type == ipv4.ICMPTypeEchoReply && e.Seq == int(s.seq) {
			return nil
		}
	}
}

// Close implements echo.
func (s *socket) Close() error { return s.conn.Close() }
