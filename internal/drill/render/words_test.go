package render

import "testing"

func TestMarksOfManyParametersStayShort(t *testing.T) {
	t.Parallel()
	for want, places := range map[string][]int{
		"": nil, "P1": {0}, "P1 P2": {0, 1}, "P1–P3": {0, 1, 2}, "P1–P4 P6 P8 P9": {0, 1, 2, 3, 5, 7, 8}, "P2 P4 P6–P8": {1, 3, 5, 6, 7},
	} {
		if got := marks(places); got != want {
			t.Errorf("marks(%v) = %q, want %q", places, got, want)
		}
	}
}

func TestNumbersKeepWhatWasMeasured(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]float64{"0": 0, "0.020": 0.0201, "0.10": 0.1, "1.36": 1.3649999, "-1.50": -1.5, "12.3": 12.34, "192.0": 192} {
		if got := number(f); got != want {
			t.Errorf("number(%v) = %q, want %q", f, got, want)
		}
	}
	if got := seconds(nil); got != unknown {
		t.Errorf("a figure that never came is %q", got)
	}
}

func TestOnlyABarOfOursIsCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tops []float64
		want float64
	}{{[]float64{55, 192}, 192}, {[]float64{55, 192, 11}, 192}, {[]float64{55, 192, 305}, 305}, {[]float64{55, 192, 1859}, 240}, {[]float64{55, 192, 1859, 1800}, 1859}} {
		if got := longest(c.tops, 192); got != c.want {
			t.Errorf("longest(%v) = %v, want %v", c.tops, got, c.want)
		}
	}
}
