package tdsserver

import (
	"encoding/binary"
	"fmt"
)

// Token types (MS-TDS 2.2.7).
const (
	tokenReturnStatus  = 0x79
	tokenColMetadata   = 0x81
	tokenError         = 0xAA
	tokenInfo          = 0xAB
	tokenReturnValue   = 0xAC
	tokenLoginAck      = 0xAD
	tokenFeatureExtAck = 0xAE
	tokenRow           = 0xD1
	tokenEnvChange     = 0xE3
	tokenSSPI          = 0xED
	tokenDone          = 0xFD
	tokenDoneProc      = 0xFE
	tokenDoneInProc    = 0xFF
)

// Status bits of the DONE tokens (MS-TDS 2.2.7.6).
const (
	doneMore      = 0x0001
	doneError     = 0x0002
	doneCount     = 0x0010
	doneAttention = 0x0020
)

// The statement that a DONE token closes, as far as clients look at it.
const (
	commandSelect = 0xC1
	commandExec   = 0xE0
)

// Kinds of ENVCHANGE (MS-TDS 2.2.7.9).
const (
	envDatabase   = 1
	envLanguage   = 2
	envPacketSize = 4
	envCollation  = 7
	envBegin      = 8
	envCommit     = 9
	envRollback   = 10
	envReset      = 18
)

// tokens builds the payload of a reply. Numbers are little-endian but where MS-TDS says otherwise.
type tokens struct{ buf []byte }

func (t *tokens) raw(b ...byte) { t.buf = append(t.buf, b...) }
func (t *tokens) u8(v byte)     { t.buf = append(t.buf, v) }
func (t *tokens) u16(v uint16)  { t.buf = binary.LittleEndian.AppendUint16(t.buf, v) }
func (t *tokens) u24(v uint32)  { t.buf = append(t.buf, byte(v), byte(v>>8), byte(v>>16)) }
func (t *tokens) u32(v uint32)  { t.buf = binary.LittleEndian.AppendUint32(t.buf, v) }
func (t *tokens) u64(v uint64)  { t.buf = binary.LittleEndian.AppendUint64(t.buf, v) }

// byteText writes B_VARCHAR: at most 255 units, the rest is cut.
func (t *tokens) byteText(s string) {
	b := encodeUTF16(s)
	b = b[:min(len(b), 2*255)]
	t.u8(byte(len(b) / 2))
	t.raw(b...)
}

// shortText writes US_VARCHAR, at most 4000 units, the rest is cut.
func (t *tokens) shortText(s string) {
	b := encodeUTF16(s)
	b = b[:min(len(b), 2*4000)]
	t.u16(uint16(len(b) / 2))
	t.raw(b...)
}

// sized writes a token that tells its length in two bytes.
func (t *tokens) sized(token byte, body func()) {
	t.u8(token)
	at := len(t.buf)
	t.u16(0)
	body()
	binary.LittleEndian.PutUint16(t.buf[at:], uint16(len(t.buf)-at-2))
}

func (t *tokens) done(token byte, status, command uint16, rows uint64) {
	t.u8(token)
	t.u16(status)
	t.u16(command)
	t.u64(rows)
}

// message writes ERROR or INFO.
func (t *tokens) message(token byte, e *Error, server string) {
	t.sized(token, func() {
		t.u32(uint32(e.Number))
		t.u8(e.State)
		t.u8(e.Class)
		t.shortText(e.Message)
		t.byteText(server)
		t.byteText(e.Procedure)
		t.u32(uint32(max(e.Line, 1)))
	})
}

// textChange writes an ENVCHANGE of texts.
func (t *tokens) textChange(kind byte, now, before string) {
	t.sized(tokenEnvChange, func() {
		t.u8(kind)
		t.byteText(now)
		t.byteText(before)
	})
}

// bytesChange writes an ENVCHANGE of bytes.
func (t *tokens) bytesChange(kind byte, now, before []byte) {
	t.sized(tokenEnvChange, func() {
		t.u8(kind)
		t.u8(byte(len(now)))
		t.raw(now...)
		t.u8(byte(len(before)))
		t.raw(before...)
	})
}

// rows writes COLMETADATA and the rows.
func (t *tokens) rows(columns []Column, rows [][]any) error {
	t.u8(tokenColMetadata)
	t.u16(uint16(len(columns)))
	for _, c := range columns {
		t.u32(0)      // user type
		t.u16(0x0009) // nullable, updatability unknown
		if err := t.typeInfo(c.Type); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		t.byteText(c.Name)
	}
	for i, row := range rows {
		if len(row) != len(columns) {
			return fmt.Errorf("row %d has %d values for %d columns", i, len(row), len(columns))
		}
		t.u8(tokenRow)
		for j, v := range row {
			if err := t.value(columns[j].Type, v); err != nil {
				return fmt.Errorf("row %d, column %s: %w", i, columns[j].Name, err)
			}
		}
	}
	return nil
}
