package testkit

import "strings"

var verbs = []string{"acquire", "extend", "repair", "release", "remove", "available", "probe"}

// Verb returns what a script of the library is for, which the head line of one of its parts
// says: "acquire", "extend", "repair", "release", "remove", "available" or "probe". Of a
// script that is not the library's it is empty.
func Verb(source string) string {
	for _, verb := range verbs {
		head := "-- " + verb + ".lua:"
		if strings.HasPrefix(source, head) || strings.Contains(source, "\n"+head) {
			return verb
		}
	}
	return ""
}
