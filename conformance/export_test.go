package conformance

import "time"

// SetPatience shortens how long the suite waits for a Scripter that hangs.
func SetPatience(d time.Duration) { patience = d }

// Names returns the names of all cases.
func Names() []string {
	var names []string
	for _, g := range groups {
		for _, c := range g.checks {
			names = append(names, g.name+"/"+c.name)
		}
	}
	return names
}
