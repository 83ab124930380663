package redistest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A watched test notes that it was ended, and why.
type watched struct {
	testing.TB
	fatal string
}

func (w *watched) Fatalf(format string, args ...any) {
	w.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestImagesRequired asks for an image that is not there: a test that must run on
// containers fails, any other goes on with the rest and says so.
func TestImagesRequired(t *testing.T) {
	t.Setenv("REDLATCH_ADDRS", "")
	t.Setenv("REDLATCH_IMAGE", "")
	t.Setenv("REDLATCH_SERVERS", "")
	if err := engine.serves(t.Context(), request{n: 1}); err != nil {
		LeaveOut(t, "%v", err)
	}
	all := images
	t.Cleanup(func() { images = all })
	images = []Image{Redis80, "redlatch-not-there:1"}

	ask := func(required, servers string) (got []Image, fatal string) {
		t.Setenv("REDLATCH_REQUIRED", required)
		t.Setenv("REDLATCH_SERVERS", servers)
		t.Setenv("REDLATCH_REPORT", t.TempDir()+"/report")
		w := &watched{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			got = Images(w)
		}()
		<-done
		return got, w.fatal
	}
	if got, fatal := ask("containers", ""); !strings.Contains(fatal, "no local image redlatch-not-there:1") {
		t.Errorf("containers required: got %v and the failure %q, want it to name the image", got, fatal)
	}
	if got, fatal := ask("", "containers"); fatal != "" || !slices.Equal(got, []Image{Redis80}) {
		t.Errorf("containers wished for: got %v and the failure %q, want %v alone", got, fatal, Redis80)
	}
}
