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
