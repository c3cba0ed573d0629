package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// preloginOption is the token of an option in a PRELOGIN message (MS-TDS 2.2.6.5).
type preloginOption byte

// The options this server reads or sends.
const (
	optionVersion    preloginOption = 0x00
	optionEncryption preloginOption = 0x01
	optionInstance   preloginOption = 0x02
	optionThreadID   preloginOption = 0x03
	optionMARS       preloginOption = 0x04
	optionFedAuth    preloginOption = 0x06
	optionEnd        preloginOption = 0xFF
)

// encryptionOption is what client and server say about encryption in PRELOGIN.
type encryptionOption byte

// What may be said. Strict is TDS 8.0's, inside TLS.
const (
	encryptOff          encryptionOption = 0x00
	encryptOn           encryptionOption = 0x01
	encryptNotSupported encryptionOption = 0x02
	encryptRequired     encryptionOption = 0x03
	encryptStrict       encryptionOption = 0x04
)

// parsePrelogin reads the table of options. Each value is a part of b.
func parsePrelogin(b []byte) (map[preloginOption][]byte, error) {
	options := make(map[preloginOption][]byte)
	for at := 0; ; at += 5 {
		if at >= len(b) {
			return nil, errors.New("prelogin: the list of options has no end")
		}
		option := preloginOption(b[at])
		if option == optionEnd {
			return options, nil
		}
		if at+5 > len(b) {
			return nil, errors.New("prelogin: option cut short")
		}
		if _, ok := options[option]; ok {
			return nil, fmt.Errorf("prelogin: option 0x%02x given twice", byte(option))
		}
		offset, size := int(binary.BigEndian.Uint16(b[at+1:])), int(binary.BigEndian.Uint16(b[at+3:]))
		if offset+size > len(b) {
			return nil, fmt.Errorf("prelogin: option 0x%02x lies outside the message", byte(option))
		}
		options[option] = b[offset : offset+size]
	}
}

// option is one entry of a PRELOGIN answer.
type option struct {
	token preloginOption
	value []byte
}

// appendPrelogin writes the options in the order given; MS-TDS wants VERSION first.
func appendPrelogin(b []byte, options []option) []byte {
	offset := 5*len(options) + 1
	for _, o := range options {
		b = append(b, byte(o.token))
		b = binary.BigEndian.AppendUint16(b, uint16(offset))
		b = binary.BigEndian.AppendUint16(b, uint16(len(o.value)))
		offset += len(o.value)
	}
	b = append(b, byte(optionEnd))
	for _, o := range options {
		b = append(b, o.value...)
	}
	return b
}

// negotiate answers the client's wish in a connection that did not begin with TLS, by the table in MS-TDS 2.2.6.5.
// A client that cannot encrypt is told "required" by a server that demands it, and closes.
func (e Encryption) negotiate(client encryptionOption) (encryptionOption, error) {
	switch client {
	case encryptOff, encryptOn, encryptNotSupported, encryptRequired:
	case encryptStrict:
		return 0, errors.New("prelogin: strict encryption asked for outside TLS")
	default:
		return 0, fmt.Errorf("prelogin: encryption option 0x%02x is not supported", byte(client))
	}
	switch e {
	case NotSupported:
		return encryptNotSupported, nil
	case Offered:
		if client == encryptRequired {
			return encryptOn, nil
		}
		return client, nil
	case Required:
		if client == encryptOn || client == encryptRequired {
			return encryptOn, nil
		}
		return encryptRequired, nil
	case StrictOnly:
		return 0, errors.New("prelogin: outside TLS, but only strict encryption is allowed")
	}
	return 0, fmt.Errorf("unknown encryption setting %d", int(e))
}
