// Package script holds the Lua that runs on the nodes: verbs that are the same for
// every lock, put together with the part that says what a kind of lock is.
package script

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"

	"github.com/redlatch/redlatch/core"
)

//go:embed lua/head.lua
var head string

//go:embed lua/common.lua
var common string

//go:embed lua/queue.lua
var queue string

//go:embed lua/acquire.lua
var acquire string

//go:embed lua/extend.lua
var extend string

//go:embed lua/repair.lua
var repair string

//go:embed lua/release.lua
var release string

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

// NewKind builds the verbs for the kind that part, Lua source, describes. quickAcquire
// and quickRelease, which may be empty, deal with the common case beforehand.
func NewKind(part, quickAcquire, quickRelease string) *Kind {
	k := &Kind{part: part}
	k.Acquire = New(head + quickAcquire + k.tail(acquire))
	k.Release = New(quickRelease + head + k.tail(release))
	k.Extend, k.Repair = k.Verb(extend), k.Verb(repair)
	return k
}

// Verb builds a further verb for the kind.
func (k *Kind) Verb(source string) *Script { return New(head + k.tail(source)) }

func (k *Kind) tail(verb string) string { return common + k.part + queue + verb }
