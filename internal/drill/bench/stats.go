package main

import (
	"cmp"
	"slices"
)

// percentile is the nearest-rank percentile of a list that need not be sorted; 0 of an empty one.
func percentile[T cmp.Ordered](list []T, p float64) T {
	var none T
	if len(list) == 0 {
		return none
	}
	s := slices.Sorted(slices.Values(list))
	rank := int(p/100*float64(len(s)) + 0.999999)
	return s[min(max(rank, 1), len(s))-1]
}

// median is the 50th percentile.
func median[T cmp.Ordered](list []T) T { return percentile(list, 50) }
