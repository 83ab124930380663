package protocol

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlatch/redlatch/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Check(m.Run())) }

// Go gives each argument in the place in which the Lua has its name.
func TestArgumentsStandWhereTheirNamesDo(t *testing.T) {
	c := Call{Owner: "owner", Param: "param", Expiry: "expiry", Keep: "keep", Fencing: "fencing"}
	for name, tt := range map[string]struct{ got, want []string }{
		"acquire":            {c.Acquire("manner", "guard", &Place{"ticket", "lease", "allowance", "channel"}), acquire},
		"acquire, no place":  {c.Acquire("manner", "guard", nil), acquire[:7]},
		"extend":             {c.Extend("slotted"), extend},
		"extend, no slot":    {c.Extend(""), common},
		"release":            {c.Release("leaver", "stayer"), release},
		"repair":             {c.Repair(), common},
		"acquire in the Lua": {strings.Split(strings.TrimSuffix(strings.TrimPrefix(named(acquire), "local "), " = unpack(ARGV)\n"), ", "), acquire},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, tt.got, tt.want)
		}
	}
}

// No file of the Lua has a position of an argument in it.
func TestLuaKnowsNoPosition(t *testing.T) {
	positions := regexp.MustCompile(`ARGV\s*\[`)
	checked := 0
	for _, dir := range []string{"lua", "../../redlock/lua", "../../semaphore/lua"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(dir + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if at := positions.Find(text); at != nil {
				t.Errorf("%s/%s has %q: name it in names.go", dir, f.Name(), at)
			}
			checked++
		}
	}
	if checked < 12 {
		t.Errorf("%d files were looked at, want all", checked)
	}
}

func TestReadRefusesWhatNoScriptGives(t *testing.T) {
	for _, r := range [][]int64{nil, {}, {1}} {
		if _, err := Read(r); err == nil {
			t.Errorf("%v is taken for a reply", r)
		}
	}
	for _, fenced := range []bool{true, false} {
		token := map[bool]int64{true: 7, false: 0}[fenced]
		for _, r := range []Reply{
			{1, 9}, {1, 9, token, -1}, {1, 9, token, -1, 0, 0}, {1, 9, 7 - token, -1, 0}, {1, 9, -1, -1, 0}, {1, 9, 1 << 53, -1, 0},
			{1, 9, token, -2, 0}, {1, 9, token, 1 << 31, 0}, {1, 9, token, -1, -2},
			{0, 9, -2, -1, 1, 0}, {0, 9, 0, -1, 1}, {-2, 9}, {-2, 9, -1}, {-3, 9, 1, 1}, {2, 9, 0, 0, 0}, {-1, 9},
		} {
			if got, err := r.Acquired(fenced); err == nil || !strings.Contains(err.Error(), "reply is [") {
				t.Errorf("fenced: %v: %v is read as %+v, %v", fenced, r, got, err)
			}
		}
	}
}

func TestAcquiredIsRead(t *testing.T) {
	for _, tt := range []struct {
		reply Reply
		want  Acquired
	}{
		{Reply{1, 9, 7, 3, 5000}, Acquired{Status: Granted, Token: 7, Slot: 3, Place: -1, Called: 5 * time.Millisecond}},
		{Reply{1, 9, 7, -1, -1}, Acquired{Status: Granted, Token: 7, Slot: -1, Place: -1, Dropped: true}},
		{Reply{0, 9, 250, 2, 3, 0}, Acquired{Status: Refused, Slot: -1, Left: 250 * time.Millisecond, Place: 2, Why: Kept}},
		{Reply{0, 9, -1, -1, 1, -1}, Acquired{Status: Refused, Slot: -1, Left: -time.Millisecond, Place: -1, Why: Held, Dropped: true}},
		{Reply{-2, 9, 4}, Acquired{Status: OtherLimit, Slot: -1, Place: -1, InForce: 4}},
		{Reply{-3, 9, 8000}, Acquired{Status: OtherGuard, Slot: -1, Place: -1, InForce: 8000}},
	} {
		if got, err := tt.reply.Acquired(true); err != nil || got != tt.want {
			t.Errorf("%v: got %+v, %v, want %+v", tt.reply, got, err, tt.want)
		}
	}
}
