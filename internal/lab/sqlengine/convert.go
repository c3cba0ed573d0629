package sqlengine

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/hypervigil/hypervigil/internal/lab/tdsserver"
)

// typeOf is the type that a value has by itself: a literal's or a parameter's.
func typeOf(v any) tdsserver.Type {
	switch v := v.(type) {
	case bool:
		return tdsserver.Type{Kind: tdsserver.Bit}
	case int64:
		if v != int64(int32(v)) {
			return tdsserver.Type{Kind: tdsserver.BigInt}
		}
	case float64:
		return tdsserver.Type{Kind: tdsserver.Float}
	case string:
		n := max(len(utf16.Encode([]rune(v))), 1)
		if n > 4000 {
			n = tdsserver.Max
		}
		return tdsserver.Type{Kind: tdsserver.NVarChar, Length: n}
	case []byte:
		n := max(len(v), 1)
		if n > 8000 {
			n = tdsserver.Max
		}
		return tdsserver.Type{Kind: tdsserver.VarBinary, Length: n}
	case time.Time:
		return tdsserver.Type{Kind: tdsserver.DateTime2, Scale: 7}
	case tdsserver.UUID:
		return tdsserver.Type{Kind: tdsserver.UniqueIdentifier}
	case *big.Rat:
		scale, _ := v.FloatPrec()
		digits := len(strings.Trim(v.FloatString(scale), "-")) - min(scale, 1) // without sign and point
		return tdsserver.Type{Kind: tdsserver.Decimal, Precision: min(digits, 38), Scale: min(scale, 38)}
	}
	return tdsserver.Type{Kind: tdsserver.Int}
}

// show is a value as text.
func show(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "1"
		}
		return "0"
	case time.Time:
		return v.Format("2006-01-02 15:04:05.0000000")
	case *big.Rat:
		scale, _ := v.FloatPrec()
		return v.FloatString(scale)
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}

// convert makes a value one of the type.
func convert(v any, to tdsserver.Type) (any, *tdsserver.Error) {
	if v == nil {
		return nil, nil
	}
	impossible := raise(529, 16, "Explicit conversion from data type %v to %v is not allowed.", typeOf(v).Kind, to.Kind)
	switch to.Kind {
	case tdsserver.NVarChar:
		units := utf16.Encode([]rune(show(v)))
		if to.Length != tdsserver.Max && len(units) > to.Length {
			units = units[:to.Length]
		}
		return string(utf16.Decode(units)), nil
	case tdsserver.TinyInt:
		return whole(v, to, 0, math.MaxUint8)
	case tdsserver.SmallInt:
		return whole(v, to, math.MinInt16, math.MaxInt16)
	case tdsserver.Int:
		return whole(v, to, math.MinInt32, math.MaxInt32)
	case tdsserver.BigInt:
		return whole(v, to, math.MinInt64, math.MaxInt64)
	case tdsserver.Bit:
		n, failed := whole(v, to, math.MinInt64, math.MaxInt64)
		if failed != nil {
			return nil, failed
		}
		return n != int64(0), nil
	case tdsserver.Float, tdsserver.Real:
		f, err := strconv.ParseFloat(strings.TrimSpace(show(v)), 64)
		if err != nil {
			return nil, raise(8114, 16, "Error converting data type %v to %v.", typeOf(v).Kind, to.Kind)
		}
		return f, nil
	case tdsserver.DateTime, tdsserver.DateTime2, tdsserver.Date, tdsserver.DateTimeOffset:
		if t, ok := v.(time.Time); ok {
			return t, nil
		}
		if s, ok := v.(string); ok {
			for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"} {
				if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
					return t, nil
				}
			}
			return nil, raise(241, 16, "Conversion failed when converting date and/or time from character string.")
		}
	case tdsserver.Variant:
		return v, nil
	case tdsserver.VarBinary, tdsserver.Decimal, tdsserver.UniqueIdentifier:
		if typeOf(v).Kind == to.Kind {
			return v, nil
		}
	}
	return nil, impossible
}

// whole converts to a whole number within the bounds.
func whole(v any, to tdsserver.Type, lowest, highest int64) (any, *tdsserver.Error) {
	var n int64
	switch v := v.(type) {
	case int64:
		n = v
	case bool:
		if v {
			n = 1
		}
	case float64:
		if v != v || v < -1<<62 || v > 1<<62 {
			return nil, raise(8115, 16, "Arithmetic overflow error converting expression to data type %v.", to.Kind)
		}
		n = int64(v)
	case *big.Rat:
		q := new(big.Int).Quo(v.Num(), v.Denom())
		if !q.IsInt64() {
			return nil, raise(8115, 16, "Arithmetic overflow error converting expression to data type %v.", to.Kind)
		}
		n = q.Int64()
	case string:
		s := strings.TrimSpace(v)
		if to.Kind == tdsserver.Bit && (strings.EqualFold(s, "true") || strings.EqualFold(s, "false")) {
			if strings.EqualFold(s, "true") {
				return int64(1), nil
			}
			return int64(0), nil
		}
		if s != "" { // an empty text is zero
			var err error
			if n, err = strconv.ParseInt(s, 10, 64); err != nil {
				return nil, raise(245, 16, "Conversion failed when converting the nvarchar value '%s' to data type %v.", v, to.Kind)
			}
		}
	default:
		return nil, raise(529, 16, "Explicit conversion from data type %v to %v is not allowed.", typeOf(v).Kind, to.Kind)
	}
	if n < lowest || n > highest {
		return nil, raise(8115, 16, "Arithmetic overflow error converting expression to data type %v.", to.Kind)
	}
	return n, nil
}

// compare orders two values that are not NULL, after converting the one of the weaker type as SQL Server does: a
// text gives way to everything.
func compare(a, b any) (int, *tdsserver.Error) {
	x, aText := a.(string)
	y, bText := b.(string)
	switch {
	case aText && bText:
		return strings.Compare(fold(x), fold(y)), nil
	case aText:
		c, failed := compare(b, a)
		return -c, failed
	case bText:
		to := typeOf(a)
		if to.Kind == tdsserver.Int {
			to.Kind = tdsserver.BigInt
		}
		v, failed := convert(y, to)
		if failed != nil {
			return 0, failed
		}
		return compare(a, v)
	}
	if s, ok := a.(time.Time); ok {
		if t, ok := b.(time.Time); ok {
			return s.Compare(t), nil
		}
	}
	if s, ok := rational(a); ok {
		if t, ok := rational(b); ok {
			return s.Cmp(t), nil
		}
	}
	if typeOf(a).Kind == typeOf(b).Kind {
		return strings.Compare(show(a), show(b)), nil
	}
	return 0, raise(206, 16, "Operand type clash: %v is incompatible with %v", typeOf(a).Kind, typeOf(b).Kind)
}

// fold is a text as the collation sees it.
func fold(s string) string { return strings.ToLower(strings.TrimRight(s, " ")) }

// rational is a number's exact value.
func rational(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v), true
	case bool:
		if v {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	case float64:
		r := new(big.Rat).SetFloat64(v)
		return r, r != nil
	case *big.Rat:
		return v, true
	}
	return nil, false
}
