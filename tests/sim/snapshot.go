package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// A snapshot is the data of a node at one moment. Scripts and subscriptions
// are not part of it.
type snapshot struct {
	taken time.Time // the bubble's
	shown time.Time // the node's: TTLs are moments on its clock
	keys  []savedKey
}

type savedKey struct {
	name, kind string
	text       string             // string
	scores     map[string]float64 // zset
	fields     []string           // hash, name and value in turn
	ttl        time.Duration      // left at taken; 0: none
}

func takeSnapshot(m *miniredis.Miniredis, shown time.Time) *snapshot {
	s := &snapshot{taken: time.Now(), shown: shown}
	for _, name := range m.Keys() {
		k := savedKey{name: name, kind: m.Type(name), ttl: m.TTL(name)}
		switch k.kind {
		case "string":
			k.text, _ = m.Get(name)
		case "zset":
			k.scores, _ = m.SortedSet(name)
		case "hash":
			fields, _ := m.HKeys(name)
			for _, f := range fields {
				k.fields = append(k.fields, f, m.HGet(name, f))
			}
		}
		s.keys = append(s.keys, k)
	}
	return s
}

// restore puts the data into an empty server whose clock shows now. The TTLs are
// those at the time of the snapshot less what has passed since.
func (s *snapshot) restore(m *miniredis.Miniredis, now time.Time) error {
	passed := now.Sub(s.shown)
	for _, k := range s.keys {
		if k.ttl > 0 && k.ttl <= passed {
			continue
		}
		switch k.kind {
		case "string":
			if err := m.Set(k.name, k.text); err != nil {
				return err
			}
		case "zset":
			for member, score := range k.scores {
				if _, err := m.ZAdd(k.name, score, member); err != nil {
					return err
				}
			}
		case "hash":
			m.HSet(k.name, k.fields...)
		default:
			return fmt.Errorf("sim: no snapshot of type %q (key %q)", k.kind, k.name)
		}
		if k.ttl > 0 {
			m.SetTTL(k.name, k.ttl-passed)
		}
	}
	return nil
}

// snapshots are those of the last second, taken before commands.
type snapshots struct {
	recent []*snapshot // oldest first
}

const (
	window  = time.Second            // how much a crash may lose
	spacing = 100 * time.Millisecond // between snapshots
)

// maybe takes a snapshot if the last one is old enough.
func (s *snapshots) maybe(m *miniredis.Miniredis, shown time.Time) {
	now := time.Now()
	if k := len(s.recent); k > 0 && now.Sub(s.recent[k-1].taken) < spacing {
		return
	}
	s.recent = append(s.drop(now), takeSnapshot(m, shown))
}

// drop forgets what is older than the window.
func (s *snapshots) drop(now time.Time) []*snapshot {
	s.recent = slices.DeleteFunc(s.recent, func(p *snapshot) bool { return now.Sub(p.taken) > window })
	return s.recent
}

// before is the oldest state that the window allows: the most that a crash can
// lose. With no command in the window nothing is lost.
func (s *snapshots) before(m *miniredis.Miniredis, shown time.Time) *snapshot {
	if s == nil || len(s.drop(time.Now())) == 0 {
		return takeSnapshot(m, shown)
	}
	return s.recent[0]
}

func (s *snapshots) forget() { s.recent = nil }
