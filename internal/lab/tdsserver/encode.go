package tdsserver

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"
)

// collation is SQL_Latin1_General_CP1_CI_AS.
func collation() []byte { return []byte{0x09, 0x04, 0xD0, 0x00, 0x34} }

// typeInfo writes TYPE_INFO.
func (t *tokens) typeInfo(ty Type) error {
	switch ty.Kind {
	case TinyInt:
		t.raw(typeIntN, 1)
	case SmallInt:
		t.raw(typeIntN, 2)
	case Int:
		t.raw(typeIntN, 4)
	case BigInt:
		t.raw(typeIntN, 8)
	case Bit:
		t.raw(typeBitN, 1)
	case Real:
		t.raw(typeFloatN, 4)
	case Float:
		t.raw(typeFloatN, 8)
	case DateTime:
		t.raw(typeDateTimeN, 8)
	case Date:
		t.raw(typeDate)
	case UniqueIdentifier:
		t.raw(typeGUID, 16)
	case Variant:
		t.raw(typeVariant)
		t.u32(maxVariant)
	case DateTime2, DateTimeOffset:
		if ty.Scale < 0 || ty.Scale > 7 {
			return fmt.Errorf("%v with scale %d, 0 to 7 are allowed", ty.Kind, ty.Scale)
		}
		if ty.Kind == DateTime2 {
			t.raw(typeDateTime2, byte(ty.Scale))
		} else {
			t.raw(typeDateTimeOffset, byte(ty.Scale))
		}
	case Decimal:
		if ty.Precision < 1 || ty.Precision > 38 || ty.Scale < 0 || ty.Scale > ty.Precision {
			return fmt.Errorf("decimal(%d,%d) does not exist", ty.Precision, ty.Scale)
		}
		t.raw(typeNumeric, byte(decimalSize(ty.Precision)), byte(ty.Precision), byte(ty.Scale))
	case NVarChar:
		if ty.Length != Max && (ty.Length < 1 || ty.Length > 4000) {
			return fmt.Errorf("nvarchar(%d) does not exist", ty.Length)
		}
		t.raw(typeNVarChar)
		t.length(ty.Length, 2)
		t.raw(collation()...)
	case VarBinary:
		if ty.Length != Max && (ty.Length < 1 || ty.Length > 8000) {
			return fmt.Errorf("varbinary(%d) does not exist", ty.Length)
		}
		t.raw(typeVarBinary)
		t.length(ty.Length, 1)
	default:
		return fmt.Errorf("unknown type %v", ty.Kind)
	}
	return nil
}

// length writes the declared length of a type of variable length, counted in units of the size given.
func (t *tokens) length(declared, unit int) {
	if declared == Max {
		t.u16(math.MaxUint16)
		return
	}
	t.u16(uint16(declared * unit))
}

// null writes the NULL of a type.
func (t *tokens) null(ty Type) {
	switch {
	case (ty.Kind == NVarChar || ty.Kind == VarBinary) && ty.Length == Max:
		t.u64(math.MaxUint64)
	case ty.Kind == NVarChar || ty.Kind == VarBinary:
		t.u16(math.MaxUint16)
	case ty.Kind == Variant:
		t.u32(0)
	default:
		t.u8(0)
	}
}

// value writes one value of a row. An error means that the handler gave a value that does not fit its own column.
func (t *tokens) value(ty Type, v any) error {
	if v == nil {
		t.null(ty)
		return nil
	}
	switch v := v.(type) {
	case int64:
		return t.integer(ty, v)
	case bool:
		switch ty.Kind {
		case Bit:
			t.u8(1)
			t.bit(v)
			return nil
		case Variant:
			t.u32(3)
			t.raw(typeBit, 0)
			t.bit(v)
			return nil
		}
	case float64:
		switch ty.Kind {
		case Float:
			t.u8(8)
			t.u64(math.Float64bits(v))
			return nil
		case Real:
			t.u8(4)
			t.u32(math.Float32bits(float32(v)))
			return nil
		case Variant:
			t.u32(10)
			t.raw(typeFloat8, 0)
			t.u64(math.Float64bits(v))
			return nil
		}
	case string:
		return t.text(ty, v)
	case []byte:
		if ty.Kind == VarBinary {
			return t.bytes(ty.Length, 1, v)
		}
	case time.Time:
		return t.time(ty, v)
	case *big.Rat:
		if ty.Kind == Decimal {
			return t.decimal(ty, v)
		}
	case UUID:
		if ty.Kind == UniqueIdentifier {
			t.u8(16)
			swapped := v.swapped()
			t.raw(swapped[:]...)
			return nil
		}
	}
	return fmt.Errorf("a %T is no %v", v, ty.Kind)
}

func (t *tokens) bit(v bool) {
	if v {
		t.u8(1)
	} else {
		t.u8(0)
	}
}

func (t *tokens) integer(ty Type, v int64) error {
	var lowest, highest int64
	switch ty.Kind {
	case TinyInt:
		lowest, highest = 0, math.MaxUint8
	case SmallInt:
		lowest, highest = math.MinInt16, math.MaxInt16
	case Int:
		lowest, highest = math.MinInt32, math.MaxInt32
	case BigInt:
		lowest, highest = math.MinInt64, math.MaxInt64
	case Variant:
		if v >= math.MinInt32 && v <= math.MaxInt32 {
			t.u32(6)
			t.raw(typeInt4, 0)
			t.u32(uint32(v))
			return nil
		}
		t.u32(10)
		t.raw(typeInt8, 0)
		t.u64(uint64(v))
		return nil
	default:
		return fmt.Errorf("an integer is no %v", ty.Kind)
	}
	if v < lowest || v > highest {
		return fmt.Errorf("%d is outside %v", v, ty.Kind)
	}
	switch ty.Kind {
	case TinyInt:
		t.raw(1, byte(v))
	case SmallInt:
		t.u8(2)
		t.u16(uint16(v))
	case Int:
		t.u8(4)
		t.u32(uint32(v))
	default:
		t.u8(8)
		t.u64(uint64(v))
	}
	return nil
}

func (t *tokens) text(ty Type, v string) error {
	b := encodeUTF16(v)
	switch ty.Kind {
	case NVarChar:
		return t.bytes(ty.Length, 2, b)
	case Variant:
		if len(b) > 8000 {
			return fmt.Errorf("text of %d bytes in a sql_variant", len(b))
		}
		t.u32(uint32(2 + 7 + len(b)))
		t.raw(typeNVarChar, 7)
		t.raw(collation()...)
		t.u16(8000)
		t.raw(b...)
		return nil
	}
	return fmt.Errorf("a string is no %v", ty.Kind)
}

// bytes writes a value of variable length: declared is its type's in units of the size given, or Max.
func (t *tokens) bytes(declared, unit int, b []byte) error {
	if declared == Max {
		t.u64(uint64(len(b)))
		if len(b) > 0 {
			t.u32(uint32(len(b)))
			t.raw(b...)
		}
		t.u32(0)
		return nil
	}
	if len(b) > declared*unit {
		return fmt.Errorf("%d bytes where %d are declared", len(b), declared*unit)
	}
	t.u16(uint16(len(b)))
	t.raw(b...)
	return nil
}

func (t *tokens) time(ty Type, v time.Time) error {
	switch ty.Kind {
	case DateTime:
		// Three hundredths of a second, rounded; the last one of a day may round into the next.
		days, ticks := daysSince(v, 1900), int64((timeOfDay(v)*3+5*time.Millisecond)/(10*time.Millisecond))
		if ticks >= 300*86400 {
			days, ticks = days+1, 0
		}
		t.u8(8)
		t.u32(uint32(int32(days)))
		t.u32(uint32(ticks))
	case Date:
		t.u8(3)
		t.u24(uint32(daysSince(v, 1)))
	case DateTime2:
		t.u8(byte(timeSize(ty.Scale) + 3))
		t.timeOfDay(ty.Scale, v)
		t.u24(uint32(daysSince(v, 1)))
	case DateTimeOffset:
		t.u8(byte(timeSize(ty.Scale) + 5))
		t.timeOfDay(ty.Scale, v.UTC())
		t.u24(uint32(daysSince(v.UTC(), 1)))
		_, offset := v.Zone()
		t.u16(uint16(int16(offset / 60)))
	default:
		return fmt.Errorf("a time is no %v", ty.Kind)
	}
	return nil
}

// timeOfDay writes the wall clock in units of the scale, cut off.
func (t *tokens) timeOfDay(scale int, v time.Time) {
	units := uint64(timeOfDay(v))
	for range 9 - scale {
		units /= 10
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], units)
	t.raw(b[:timeSize(scale)]...)
}

func (t *tokens) decimal(ty Type, v *big.Rat) error {
	scaled := new(big.Rat).Mul(v, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(ty.Scale)), nil)))
	if !scaled.IsInt() {
		return fmt.Errorf("%s has more than %d digits after the point", v.RatString(), ty.Scale)
	}
	digits := new(big.Int).Abs(scaled.Num())
	if len(digits.String()) > ty.Precision {
		return fmt.Errorf("%s does not fit decimal(%d,%d)", v.RatString(), ty.Precision, ty.Scale)
	}
	size := decimalSize(ty.Precision)
	t.u8(byte(size))
	t.bit(scaled.Sign() >= 0)
	magnitude := digits.FillBytes(make([]byte, size-1))
	for i := len(magnitude) - 1; i >= 0; i-- {
		t.u8(magnitude[i])
	}
	return nil
}
