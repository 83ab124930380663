package keys_test

import (
	"strings"
	"testing"

	"github.com/redlatch/redlatch/internal/keys"
)

// suffixes are those that the kinds of locks use.
var suffixes = []string{
	"mutex:meta", "mutex:queue", "mutex:tickets", "rw:writer", "rw:readers", "rw:meta", "rw:queue", "rw:tickets",
	"semaphore:slots", "semaphore:meta", "semaphore:queue", "semaphore:tickets",
}

// FuzzSiblings takes two keys: the siblings of each are in its slot, and none of all
// these is another, but where one key is itself written as the other's sibling.
func FuzzSiblings(f *testing.F) {
	for _, s := range [][2]string{
		{"orders", "Orders"}, {"a}b", "a{b}c"}, {"{}a", "{}b"}, {"a", "{a}"}, {"a", "{a}:"},
		{"a:", "{a}"}, {"{{a}}", "{{a}"}, {"\x00", "\xff\xfe"}, {"a|b", "a}|b"}, {"{a}:mutex:meta", "a"},
	} {
		f.Add(s[0], s[1])
	}
	for _, key := range []string{"", "}:"} { // beside the key with the tag that it borrows
		tag, _, _ := strings.Cut(keys.Siblings(key, "")[0], "}")
		f.Add(key, tag+"}")
		f.Add(key, tag+"}:"+strings.TrimSuffix(key, ":"))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		owner := map[string]string{}
		for _, key := range []string{a, b} {
			for _, k := range keys.Siblings(key, suffixes...) {
				if keys.Slot(k) != keys.Slot(key) {
					t.Errorf("%q is in slot %d, want %d, that of %q", k, keys.Slot(k), keys.Slot(key), key)
				}
				if k == key {
					t.Errorf("%q is a sibling of itself", key)
				}
				if of, taken := owner[k]; taken && (of != key || a != b) {
					t.Errorf("%q is a sibling of both %q and %q", k, of, key)
				}
				owner[k] = key
			}
		}
		if len(owner) != len(suffixes) && a == b || len(owner) != 2*len(suffixes) && a != b {
			t.Errorf("%d siblings of %q and %q are different, want all", len(owner), a, b)
		}
		for _, key := range []string{a, b} {
			if of, is := owner[key]; is && !strings.Contains(key, ":") {
				t.Errorf("the key %q is a sibling of %q", key, of)
			}
		}
	})
}
