package conformance

import "fmt"

// around is how much of a long text or list a message shows on each side of a difference.
const around = 10

// firstUnequal returns how long the common beginning of two lists is.
func firstUnequal[T comparable](got, want []T) int {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	return i
}

// firstDifference says where long lists differ, which brief may have cut off.
func firstDifference(got, want []int64) string {
	if max(len(got), len(want)) <= shown || len(got) == 0 {
		return ""
	}
	i := firstUnequal(got, want)
	from := max(0, i-around)
	return fmt.Sprintf("; they differ from integer %d on: got %v, want %v after %v",
		i, got[i:min(len(got), i+around)], want[i:min(len(want), i+around)], want[from:i])
}

// unlike says how got differs from want: both whole where they are short, else quoted around
// the first byte that differs.
func unlike(got, want string) string {
	i := firstUnequal([]byte(got), []byte(want))
	return fmt.Sprintf("got %s (%d bytes), want %s (%d bytes), which differ from byte %d on",
		excerpt(got, i), len(got), excerpt(want, i), len(want), i)
}

// excerpt quotes s around byte i.
func excerpt(s string, i int) string {
	from, to := max(0, i-around), min(len(s), i+around)
	if len(s) <= 4*around {
		from, to = 0, len(s)
	}
	text := fmt.Sprintf("%q", s[from:to])
	if from > 0 {
		text = "..." + text
	}
	if to < len(s) {
		text += "..."
	}
	return text
}

// heard turns the answer of the script echo into the keys and arguments that it got, as
// far as it is one.
func heard(values []int64) (keys, args []string, ok bool) {
	if len(values) < 2 {
		return nil, nil, false
	}
	n, values := values[0], values[2:]
	for i := int64(0); len(values) > 0; i++ {
		length := values[0]
		if length < 0 || length > int64(len(values)-1) {
			return nil, nil, false
		}
		var text []byte
		for _, b := range values[1 : 1+length] {
			text = append(text, byte(b))
		}
		if values = values[1+length:]; i < n {
			keys = append(keys, string(text))
		} else {
			args = append(args, string(text))
		}
	}
	return keys, args, true
}
