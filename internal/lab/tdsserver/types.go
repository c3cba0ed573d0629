package tdsserver

import (
	"fmt"
	"time"
)

// Kind is a SQL Server data type. The comment of each says which Go type its values have, in columns and in
// parameters; a nil is NULL.
type Kind int

// The kinds.
const (
	TinyInt          Kind = iota + 1 // int64
	SmallInt                         // int64
	Int                              // int64
	BigInt                           // int64
	Bit                              // bool
	Real                             // float64
	Float                            // float64
	NVarChar                         // string
	VarBinary                        // []byte
	DateTime                         // time.Time, its wall clock
	Date                             // time.Time, its wall clock
	DateTime2                        // time.Time, its wall clock
	DateTimeOffset                   // time.Time
	Decimal                          // *big.Rat
	UniqueIdentifier                 // UUID
	Variant                          // int64, bool, float64 or string
)

// String is the type's name in T-SQL.
func (k Kind) String() string {
	switch k {
	case TinyInt:
		return "tinyint"
	case SmallInt:
		return "smallint"
	case Int:
		return "int"
	case BigInt:
		return "bigint"
	case Bit:
		return "bit"
	case Real:
		return "real"
	case Float:
		return "float"
	case NVarChar:
		return "nvarchar"
	case VarBinary:
		return "varbinary"
	case DateTime:
		return "datetime"
	case Date:
		return "date"
	case DateTime2:
		return "datetime2"
	case DateTimeOffset:
		return "datetimeoffset"
	case Decimal:
		return "decimal"
	case UniqueIdentifier:
		return "uniqueidentifier"
	case Variant:
		return "sql_variant"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Max is the Length of nvarchar(max) and varbinary(max).
const Max = -1

// Type is a column's type.
type Type struct {
	Kind Kind
	// Length is NVarChar's in UTF-16 units, 1 to 4000, VarBinary's in bytes, 1 to 8000, or Max.
	Length int
	// Precision is Decimal's, 1 to 38; Scale its digits after the point, or a time's of a second, 0 to 7.
	Precision, Scale int
}

// Column is one column of a set of rows.
type Column struct {
	Name string
	Type Type
}

// UUID is a uniqueidentifier in the order in which it is written down.
type UUID [16]byte

// String is the UUID in capitals, as SQL Server prints it.
func (u UUID) String() string {
	return fmt.Sprintf("%X-%X-%X-%X-%X", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// swapped converts between the written order and the wire's, in which the first three groups are little-endian.
func (u UUID) swapped() UUID {
	return UUID{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// Type bytes of TYPE_INFO (MS-TDS 2.2.5.4).
const (
	typeNull           = 0x1F
	typeInt1           = 0x30
	typeBit            = 0x32
	typeInt2           = 0x34
	typeInt4           = 0x38
	typeFloat4         = 0x3B
	typeFloat8         = 0x3E
	typeInt8           = 0x7F
	typeGUID           = 0x24
	typeIntN           = 0x26
	typeDate           = 0x28
	typeTime           = 0x29
	typeDateTime2      = 0x2A
	typeDateTimeOffset = 0x2B
	typeVariant        = 0x62
	typeBitN           = 0x68
	typeDecimal        = 0x6A
	typeNumeric        = 0x6C
	typeFloatN         = 0x6D
	typeMoneyN         = 0x6E
	typeDateTimeN      = 0x6F
	typeText           = 0x23
	typeNText          = 0x63
	typeVarBinary      = 0xA5
	typeVarChar        = 0xA7
	typeBinary         = 0xAD
	typeChar           = 0xAF
	typeNVarChar       = 0xE7
	typeNChar          = 0xEF
)

// maxVariant is the declared length of a sql_variant.
const maxVariant = 8009

// decimalSize is the size of a decimal's value on the wire, sign byte included (MS-TDS 2.2.5.5.1.6).
func decimalSize(precision int) int {
	switch {
	case precision <= 9:
		return 5
	case precision <= 19:
		return 9
	case precision <= 28:
		return 13
	}
	return 17
}

// timeSize is the size of a time of day with the scale given (MS-TDS 2.2.5.5.1.8).
func timeSize(scale int) int {
	switch {
	case scale <= 2:
		return 3
	case scale <= 4:
		return 4
	}
	return 5
}

// daysSince counts the days from the first of January of the year to t's date on its own wall clock.
func daysSince(t time.Time, year int) int {
	y, m, d := t.Date()
	return int((time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() - time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix()) / 86400)
}

// timeOfDay is how long t's wall clock has run since midnight.
func timeOfDay(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}
