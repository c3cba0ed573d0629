package tdsserver

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"time"
)

var errShort = errors.New("the stream ended unexpectedly")

// reader takes little-endian values off a message; after the end of the message it gives zeros and keeps the error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.rest) {
		if r.err == nil {
			r.err = errShort
		}
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// number takes an unsigned number of n bytes, at most 8.
func (r *reader) number(n int) uint64 {
	return unsigned(r.take(n))
}

func (r *reader) u8() byte    { return byte(r.number(1)) }
func (r *reader) u16() uint16 { return uint16(r.number(2)) }
func (r *reader) u32() uint32 { return uint32(r.number(4)) }

// unsigned reads at most 8 bytes, little-endian.
func unsigned(b []byte) uint64 {
	var whole [8]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:])
}

// signed reads 1 (which SQL Server has no sign for), 2, 4 or 8 bytes.
func signed(b []byte) int64 {
	u := unsigned(b)
	switch len(b) {
	case 2:
		return int64(int16(u))
	case 4:
		return int64(int32(u))
	}
	return int64(u)
}

func float(b []byte) float64 {
	if len(b) == 4 {
		return float64(math.Float32frombits(uint32(unsigned(b))))
	}
	return math.Float64frombits(unsigned(b))
}

// typed takes TYPE_INFO and the value after it. It is false for a type this server does not read, and then what
// follows cannot be told either.
func (r *reader) typed() (value any, kind byte, ok bool) {
	kind = r.u8()
	switch kind {
	case typeNull:
		return nil, kind, true
	case typeInt1:
		return int64(r.u8()), kind, true
	case typeBit:
		return r.u8() != 0, kind, true
	case typeInt2:
		return signed(r.take(2)), kind, true
	case typeInt4:
		return signed(r.take(4)), kind, true
	case typeInt8:
		return signed(r.take(8)), kind, true
	case typeFloat4:
		return float(r.take(4)), kind, true
	case typeFloat8:
		return float(r.take(8)), kind, true
	case typeIntN, typeBitN, typeFloatN, typeMoneyN, typeDateTimeN, typeGUID:
		r.u8()
		b := r.take(int(r.u8()))
		if len(b) == 0 {
			return nil, kind, true
		}
		value, ok = sizedValue(kind, b)
	case typeDecimal, typeNumeric:
		r.u8()
		r.u8()
		scale := r.u8()
		b := r.take(int(r.u8()))
		if len(b) == 0 {
			return nil, kind, true
		}
		value, ok = decimalValue(b, scale)
	case typeDate, typeTime, typeDateTime2, typeDateTimeOffset:
		var scale byte
		if kind != typeDate {
			scale = r.u8()
		}
		b := r.take(int(r.u8()))
		if len(b) == 0 {
			return nil, kind, true
		}
		value, ok = timeValue(kind, scale, b)
	case typeNVarChar, typeNChar, typeVarChar, typeChar, typeVarBinary, typeBinary:
		value, ok = r.variable(kind), true
	case typeText, typeNText:
		r.u32()
		r.take(5)
		n := r.u32()
		if n == math.MaxUint32 {
			return nil, kind, true
		}
		if b := r.take(int(n)); kind == typeNText {
			value = decodeUTF16(b)
		} else {
			value = string(b)
		}
		ok = true
	}
	return value, kind, ok
}

// variable takes a text or binary value, of a declared length or "max", in chunks (MS-TDS 2.2.5.2.3).
func (r *reader) variable(kind byte) any {
	declared := r.u16()
	binaryType := kind == typeVarBinary || kind == typeBinary
	if !binaryType {
		r.take(5)
	}
	var b []byte
	if declared == math.MaxUint16 {
		if r.number(8) == math.MaxUint64 {
			return nil
		}
		for r.err == nil {
			n := r.u32()
			if n == 0 {
				break
			}
			b = append(b, r.take(int(n))...)
		}
	} else {
		n := r.u16()
		if n == math.MaxUint16 {
			return nil
		}
		b = r.take(int(n))
	}
	switch {
	case binaryType:
		return append([]byte{}, b...)
	case kind == typeNVarChar || kind == typeNChar:
		return decodeUTF16(b)
	}
	return string(b)
}

// sizedValue reads a value whose size the client chose.
func sizedValue(kind byte, b []byte) (any, bool) {
	n := len(b)
	switch {
	case kind == typeIntN && (n == 1 || n == 2 || n == 4 || n == 8):
		return signed(b), true
	case kind == typeBitN && n == 1:
		return b[0] != 0, true
	case kind == typeFloatN && (n == 4 || n == 8):
		return float(b), true
	case kind == typeMoneyN && n == 4:
		return big.NewRat(signed(b), 10000), true
	case kind == typeMoneyN && n == 8:
		return big.NewRat(int64(unsigned(b[:4])<<32|unsigned(b[4:])), 10000), true
	case kind == typeDateTimeN && n == 4: // smalldatetime: days and minutes
		return time.Date(1900, 1, 1+int(unsigned(b[:2])), 0, int(unsigned(b[2:])), 0, 0, time.UTC), true
	case kind == typeDateTimeN && n == 8:
		day := time.Date(1900, 1, 1+int(signed(b[:4])), 0, 0, 0, 0, time.UTC)
		return day.Add((time.Duration(unsigned(b[4:]))*10*time.Millisecond + 1500*time.Microsecond) / 3).Truncate(time.Millisecond), true
	case kind == typeGUID && n == 16:
		return UUID(b).swapped(), true
	}
	return nil, false
}

func decimalValue(b []byte, scale byte) (any, bool) {
	if len(b) > 17 || scale > 38 {
		return nil, false
	}
	magnitude := make([]byte, 0, 16)
	for i := len(b) - 1; i > 0; i-- {
		magnitude = append(magnitude, b[i])
	}
	digits := new(big.Int).SetBytes(magnitude)
	if b[0] == 0 {
		digits.Neg(digits)
	}
	return new(big.Rat).SetFrac(digits, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)), true
}

func timeValue(kind, scale byte, b []byte) (any, bool) {
	if scale > 7 {
		return nil, false
	}
	var clock time.Duration
	if kind != typeDate {
		n := timeSize(int(scale))
		if len(b) < n {
			return nil, false
		}
		clock = time.Duration(unsigned(b[:n]))
		for range 9 - scale {
			clock *= 10
		}
		b = b[n:]
	}
	switch {
	case kind == typeTime && len(b) == 0:
		return clock, true
	case kind == typeDate && len(b) == 3, kind == typeDateTime2 && len(b) == 3:
		return time.Date(1, 1, 1+int(unsigned(b)), 0, 0, 0, 0, time.UTC).Add(clock), true
	case kind == typeDateTimeOffset && len(b) == 5:
		zone := time.FixedZone("", 60*int(signed(b[3:])))
		return time.Date(1, 1, 1+int(unsigned(b[:3])), 0, 0, 0, 0, time.UTC).Add(clock).In(zone), true
	}
	return nil, false
}
