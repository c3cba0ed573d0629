package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// packetType is the first byte of a packet header (MS-TDS 2.2.3.1.1).
type packetType byte

// The packet types that a SQL Server sees or sends.
const (
	packetBatch       packetType = 0x01
	packetRPC         packetType = 0x03
	packetReply       packetType = 0x04
	packetAttention   packetType = 0x06
	packetBulk        packetType = 0x07
	packetTransaction packetType = 0x0E
	packetLogin       packetType = 0x10
	packetSSPI        packetType = 0x11
	packetPrelogin    packetType = 0x12
)

// Bits of the status byte (MS-TDS 2.2.3.1.2).
const (
	statusEnd                  = 0x01
	statusIgnore               = 0x02
	statusReset                = 0x08
	statusResetKeepTransaction = 0x10
)

const (
	headerSize = 8
	// defaultPacketSize holds until the login has negotiated another.
	defaultPacketSize = 4096
	minPacketSize     = 512
	maxPacketSize     = 32767
	// maxEncryptedPacketSize keeps a packet within one TLS record.
	maxEncryptedPacketSize = 16383
)

var (
	errPacketLength = errors.New("packet length out of range")
	errTooLarge     = errors.New("message too large")
)

// message is the payload of the packets up to the one that ends it.
type message struct {
	kind    packetType
	status  byte // of the first packet
	ignored bool // the client took it back while sending
	payload []byte
}

// readMessage reads one message of at most limit bytes of payload.
func readMessage(r io.Reader, limit int) (message, error) {
	var m message
	var header [headerSize]byte
	for first := true; ; first = false {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if !first && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		size := int(binary.BigEndian.Uint16(header[2:]))
		if size < headerSize || size > maxPacketSize {
			return message{}, fmt.Errorf("%w: %d", errPacketLength, size)
		}
		switch kind := packetType(header[0]); {
		case first:
			m.kind, m.status = kind, header[1]
		case kind != m.kind:
			return message{}, fmt.Errorf("packet of type 0x%02x inside a message of type 0x%02x", byte(kind), byte(m.kind))
		}
		start, n := len(m.payload), size-headerSize
		if start+n > limit {
			return message{}, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
		}
		m.payload = append(m.payload, make([]byte, n)...)
		if _, err := io.ReadFull(r, m.payload[start:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		if header[1]&statusEnd != 0 {
			m.ignored = header[1]&statusIgnore != 0
			return m, nil
		}
	}
}

// writeMessage sends a payload in packets of at most size bytes, one Write each: under TLS that makes one record of
// each packet, as SQL Server does.
func writeMessage(w io.Writer, kind packetType, payload []byte, size int, session uint16) error {
	return writePackets(w, kind, payload, size, session, statusEnd)
}

// writePackets sends a payload as writeMessage does; the status of its last packet is last, statusEnd or, for a part of
// a message, 0.
func writePackets(w io.Writer, kind packetType, payload []byte, size int, session uint16, last byte) error {
	packet := make([]byte, 0, min(size, headerSize+len(payload)))
	for number := byte(1); ; number++ {
		n, status := min(len(payload), size-headerSize), byte(0)
		end := n == len(payload)
		if end {
			status = last
		}
		packet = append(packet[:0], byte(kind), status)
		packet = binary.BigEndian.AppendUint16(packet, uint16(headerSize+n))
		packet = binary.BigEndian.AppendUint16(packet, session)
		packet = append(packet, number, 0)
		packet = append(packet, payload[:n]...)
		if _, err := w.Write(packet); err != nil {
			return err
		}
		if payload = payload[n:]; end {
			return nil
		}
	}
}
