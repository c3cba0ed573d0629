package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// handshakeConn carries TLS as TDS 7 does: while the handshake lasts its records travel inside PRELOGIN packets,
// afterwards they stand alone and carry the packets. Reads never go past the end of a TLS record, so that what
// follows the login in clear stays where it is when only the login is encrypted.
type handshakeConn struct {
	net.Conn
	in      io.Reader
	wrapped bool
	inside  []byte // rest of the PRELOGIN message being read
	record  int    // bytes left of the TLS record being read
	header  []byte // of that record, not yet handed out
}

// maxHandshakeMessage is far above any flight of a handshake and small enough to hold.
const maxHandshakeMessage = 64 << 10

// Read hands out handshake bytes from PRELOGIN messages, or later the bytes of one TLS record.
func (c *handshakeConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.wrapped || len(c.inside) > 0 {
		return c.readWrapped(p)
	}
	if c.record == 0 && len(c.header) == 0 {
		var header [5]byte
		if _, err := io.ReadFull(c.in, header[:]); err != nil {
			return 0, err
		}
		c.header, c.record = header[:], int(binary.BigEndian.Uint16(header[3:]))
	}
	if len(c.header) > 0 {
		n := copy(p, c.header)
		c.header = c.header[n:]
		return n, nil
	}
	n, err := c.in.Read(p[:min(len(p), c.record)])
	c.record -= n
	return n, err
}

func (c *handshakeConn) readWrapped(p []byte) (int, error) {
	for len(c.inside) == 0 {
		m, err := readMessage(c.in, maxHandshakeMessage)
		if err != nil {
			return 0, err
		}
		if m.kind != packetPrelogin {
			return 0, fmt.Errorf("packet of type 0x%02x during the TLS handshake", byte(m.kind))
		}
		if len(m.payload) == 0 {
			return 0, errors.New("empty packet during the TLS handshake")
		}
		c.inside = m.payload
	}
	n := copy(p, c.inside)
	c.inside = c.inside[n:]
	return n, nil
}

// Write wraps handshake bytes; later it passes on what it is given.
func (c *handshakeConn) Write(p []byte) (int, error) {
	if !c.wrapped {
		return c.Conn.Write(p)
	}
	if err := writeMessage(c.Conn, packetPrelogin, p, defaultPacketSize, 0); err != nil {
		return 0, err
	}
	return len(p), nil
}
