package hold

import (
	"errors"
	"time"

	"github.com/redlatch/redlatch/core"
	"github.com/redlatch/redlatch/internal/cluster"
	"github.com/redlatch/redlatch/internal/failure"
	"github.com/redlatch/redlatch/internal/vote"
)

// share is what a hold knows of one node: what the node has said, until when it is confirmed
// to have the hold, and what must be removed from it. Its fields belong to Hold.mu.
type share struct {
	said
	confirmed
	remnant
}

// said is what the node has answered, to the attempt at first and to extensions later.
type said struct {
	vote  vote.Vote     // by the last answer
	err   error         // the last failure, or what the caller has to mend
	left  time.Duration // of a refusal: until it is worth coming again; negative: not known
	place int           // of a refusal: in the node's line
}

// confirmed is what the node is known to have.
type confirmed struct {
	end      cluster.Instant // the hold stands until then; zero: it need not stand
	token    int64           // the counter is at least this
	repaired bool            // put back: it does not count until the deadline has moved without it
	since    time.Time       // answers to calls begun earlier do not count
	heard    time.Time       // the latest begin of an extension that was answered

	next    time.Time // when to extend
	tries   int       // since the last extension that was answered
	waiting bool      // an extension waits to be sent
	asking  int       // extensions under way
}

// remnant is what may stand on the node, and what has become of its removal.
type remnant struct {
	stands   bool // the hold may stand there
	pending  int  // calls under way that may create the hold
	unsent   bool // a release waits to be sent
	failures int  // of the release
	cleared  bool // the release was answered
	removal  cluster.Removal
}

// fail notes that the node has failed.
func (s *said) fail(err error) {
	s.err = err
	switch {
	case errors.Is(err, core.ErrInvalid):
		s.vote = vote.Mistake
	case !cluster.Rideable(err):
		s.vote = vote.Lasting
	case err == errRemains, failure.Served(err):
		s.vote = vote.Serving
	default:
		s.vote = vote.Failed
	}
}

// silent reports whether the node has been asked and has not answered.
func (s *share) silent() bool { return s.vote == vote.Silent || s.asking > 0 }
