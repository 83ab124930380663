package protocol

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

// A Kind is a kind of lock: what all verbs do with it, on the nodes. Extend and Remove are
// about the hold alone and do with the first of a lock's keys.
type Kind struct {
	Acquire, Extend, Repair, Release, Remove *Script
	part                                     string
}

// NewKind builds the verbs for the kind that source, Lua, describes. quickAcquire and
// quickRelease, which may be empty, deal with the common case beforehand.
func NewKind(source, quickAcquire, quickRelease string) *Kind {
	k := &Kind{part: source}
	k.Acquire = k.verb(acquire, "", quickAcquire, part("acquire"))
	k.Repair = k.verb(common, "", "", part("repair"))
	k.Release = k.verb(release, quickRelease, "", part("release"))
	k.Extend = k.alone(extend, part("extend"))
	k.Remove = k.alone(release, part("remove"))
	return k
}

// Verb builds a further verb for the kind, with the arguments that all have.
func (k *Kind) Verb(source string) *Script { return k.verb(common, "", "", source) }

// verb puts a script together. What is early comes before anything is read.
func (k *Kind) verb(arguments []string, early, quick, source string) *Script {
	return New(named(arguments) + early + part("head") + quick + part("common") + k.part + part("queue") + source)
}

// alone is verb for one that is about the hold alone.
func (k *Kind) alone(arguments []string, source string) *Script {
	return New(named(arguments) + part("head") + part("common") + k.part + source)
}
