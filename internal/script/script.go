// Package script holds the Lua that runs on the nodes: verbs that are the same for
// every lock, put together with the part that says what a kind of lock is.
package script

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"errors"

	"github.com/redlatch/redlatch/core"
)

//go:embed lua/*.lua
var files embed.FS

// part returns the part of a script that is in a file of that name.
func part(name string) string {
	source, err := files.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is compiled in
	}
	return string(source)
}

// A Script is Lua source with its SHA-1, by which servers cache it.
type Script struct {
	source, sha string
}

// New returns a script of the given source.
func New(source string) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{source, hex.EncodeToString(sum[:])}
}

// Run sends the script by its hash and, to a node that does not know it, once more
// as source.
func (s *Script) Run(ctx context.Context, node core.Scripter, keys, args []string) ([]int64, error) {
	reply, err := node.EvalSha(ctx, s.sha, keys, args)
	if errors.Is(err, core.ErrNoScript) {
		return node.Eval(ctx, s.source, keys, args)
	}
	return reply, err
}

// A Kind is a kind of lock: what all verbs do with it, on the nodes.
type Kind struct {
	Acquire, Extend, Repair, Release *Script
	part                             string
}

// NewKind builds the verbs for the kind that source, Lua, describes. quickAcquire and
// quickRelease, which may be empty, deal with the common case beforehand.
func NewKind(source, quickAcquire, quickRelease string) *Kind {
	k := &Kind{part: source}
	k.Acquire = k.verb(quickAcquire, part("acquire"))
	k.Extend = k.verb("", part("extend"))
	k.Repair = k.verb("", part("repair"))
	k.Release = New(quickRelease + k.verb("", part("release")).source)
	return k
}

// Verb builds a further verb for the kind.
func (k *Kind) Verb(source string) *Script { return k.verb("", source) }

func (k *Kind) verb(quick, source string) *Script {
	return New(part("head") + quick + part("common") + k.part + part("queue") + source)
}
