package keys_test

import (
	"testing"

	"github.com/redlatch/redlatch/internal/keys"
)

func TestSlot(t *testing.T) {
	// Reference values: CLUSTER KEYSLOT of a real server.
	for key, want := range map[string]uint16{
		"": 0, "123456789": 12739, "foo": 12182, "bar": 5061, "{user1000}.following": 3443, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061,
	} {
		if got := keys.Slot(key); got != want {
			t.Errorf("Slot(%q): got %d, want %d", key, got, want)
		}
	}
}

func TestSiblings(t *testing.T) {
	tests := []struct{ name, key, want string }{
		{"plain", "orders", "{orders}:mutex:meta"},
		{"tag", "a{b}c", "a{b}c::mutex:meta"},
		{"open brace only", "a{b", "{a{b}:mutex:meta"},
		{"close brace only", "a}b", ""},
		{"empty tag", "{}a", ""},
		{"empty", "", ""},
		{"nested", "{{a}}", "{{a}}::mutex:meta"},
		{"binary", "a\x00\r\nb", "{a\x00\r\nb}:mutex:meta"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := keys.Siblings(tt.key, "mutex:meta", "mutex:queue")
			if tt.want != "" && got[0] != tt.want {
				t.Errorf("got %q, want %q", got[0], tt.want)
			}
			for _, k := range got {
				if keys.Slot(k) != keys.Slot(tt.key) {
					t.Errorf("%q is in slot %d, want %d, that of %q", k, keys.Slot(k), keys.Slot(tt.key), tt.key)
				}
			}
			if got[0] == got[1] {
				t.Errorf("two siblings of one name: %q", got[0])
			}
		})
	}
}
