package bench

import (
	"cmp"
	"slices"
)

// Quantile returns the q-th quantile, from 0 to 1, of values, which it sorts; zero, if
// there are none.
func Quantile[T cmp.Ordered](values []T, q float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
