package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	root    = "../.." // of the repository
	module  = "github.com/redlatch/redlatch"
	version = "v0.1.0"
	heading = "## [Unreleased]\n" // in CHANGELOG.md
)

// A clone is a repository to make a version in.
type clone struct {
	dir    string
	env    []string // beside the test's own
	nested []string // the folders of what is published beside the root
}

// command runs a command in a folder of the clone and returns what it prints.
func (c *clone) command(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = filepath.Join(c.dir, dir)
	for _, v := range os.Environ() {
		// The servers and reports of the run that this test is part of are not the clone's.
		if !strings.HasPrefix(v, "REDLATCH_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "GOWORK=off"), c.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is command, where an error ends the test.
func (c *clone) must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := c.command(t, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(out)
}

func (c *clone) git(t *testing.T, args ...string) string {
	t.Helper()
	return c.must(t, ".", "git", args...)
}

// state is everything that a release may change.
func (c *clone) state(t *testing.T) string {
	t.Helper()
	return c.git(t, "for-each-ref") + c.git(t, "rev-parse", "--abbrev-ref", "HEAD") + c.git(t, "rev-parse", "HEAD") + c.git(t, "status", "--porcelain") +
		c.git(t, "worktree", "list")
}

// write changes a file, and commits with the message unless that is empty.
func (c *clone) write(t *testing.T, message, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if message != "" {
		c.git(t, "add", "-A")
		c.git(t, "commit", "-q", "-m", message)
	}
}

func (c *clone) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func tag(dir, version string) string {
	if dir == "" {
		return version
	}
	return dir + "/" + version
}

// newClone returns a clone of what is committed, with a branch of its own, and with two
// exported functions more.
func newClone(t *testing.T) *clone {
	t.Helper()
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	c := &clone{dir: repository}
	if out, err := c.command(t, ".", "git", "rev-parse", "--verify", "HEAD"); err != nil {
		t.Skipf("this is no git repository, which a release is made in: %v: %s", err, out)
	}
	c.dir = filepath.Join(t.TempDir(), "clone")
	if out, err := (&clone{dir: "."}).command(t, ".", "git", "clone", "-q", "--no-tags", "file://"+repository, c.dir); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	c.git(t, "config", "user.name", "A Test")
	c.git(t, "config", "user.email", "test@example.com")
	c.git(t, "checkout", "-q", "-B", "main")
	for _, dir := range strings.Fields(c.read(t, "scripts/published.txt")) {
		if dir != "." {
			c.nested = append(c.nested, dir)
		}
	}
	if len(c.nested) == 0 {
		t.Fatal("scripts/published.txt names no nested module")
	}
	// Right after a release there may be nothing that is new.
	text := strings.Replace(c.read(t, "CHANGELOG.md"), heading, heading+"\n### Added\n\n- something\n", 1)
	c.write(t, "Note something", "CHANGELOG.md", text)
	c.write(t, "Add something", departed, "package core\n\n// These are about to leave.\nfunc Departed() {}\nfunc Announced() {}\n")
	return c
}

// departed is the file of the exported functions that are there in the release alone.
const departed = "core/departed.go"

func TestRelease(t *testing.T) {
	c := newClone(t)
	t.Run("refused", func(t *testing.T) { refused(t, c) })
	before := c.git(t, "rev-parse", "HEAD")

	if !t.Run("dry", func(t *testing.T) {
		want := c.state(t)
		out := c.must(t, ".", "scripts/release.sh", "-unchecked", version)
		if got := c.state(t); got != want {
			t.Errorf("got\n%s\nwant, as before\n%s", got, want)
		}
		if !strings.Contains(out, "release: dry: ") {
			t.Errorf("does not say that it was dry:\n%s", out)
		}
	}) {
		return
	}

	out := c.must(t, ".", "make", "release", "VERSION="+version, "APPLY=1", "UNCHECKED=1")
	if !strings.Contains(out, "git push --atomic origin main "+version+" "+tag(c.nested[0], version)) {
		t.Errorf("does not say what to push:\n%s", out)
	}
	t.Run("the commits", func(t *testing.T) { commits(t, c, before) })
	t.Run("the first programs", func(t *testing.T) { programs(t, c) })
	t.Run("the last tag beside the tree", func(t *testing.T) {
		c := &clone{dir: c.dir, env: []string{"REDLATCH_SERVERS=embedded"}}
		out := c.must(t, "tests", "go", "test", "-count=1", "-v", "./versions")
		if !strings.Contains(out, "--- PASS: TestLastVersion") {
			t.Errorf("go test ./versions has left it out:\n%s", out)
		}
	})
	t.Run("the API", func(t *testing.T) { api(t, c) })
}

// refused tries what must not become a version.
func refused(t *testing.T, c *clone) {
	start := c.git(t, "rev-parse", "HEAD")
	changelog := c.read(t, "CHANGELOG.md")
	if !strings.Contains(changelog, heading) {
		t.Fatalf("CHANGELOG.md has no %q", heading)
	}
	begin := changelog[:strings.Index(changelog, heading)+len(heading)]
	nothing := func(*testing.T) {}
	for _, tt := range []struct {
		name, version string
		prepare       func(t *testing.T)
		want          string
	}{
		{"no version", "", nothing, `VERSION is ""`},
		{"without v", "0.1.0", nothing, `VERSION is "0.1.0"`},
		{"two numbers", "v0.1", nothing, `VERSION is "v0.1"`},
		{"a leading zero", "v0.01.0", nothing, `VERSION is "v0.01.0"`},
		{"another path", "v2.0.0", nothing, `VERSION is "v2.0.0"`},
		{"a changed file", version, func(t *testing.T) { c.write(t, "", "go.mod", "module changed\n") }, "not clean:  M go.mod"},
		{"a new file", version, func(t *testing.T) { c.write(t, "", "new.go", "package redlatch\n") }, "not clean: ?? new.go"},
		{"a tag", version, func(t *testing.T) { c.git(t, "tag", version) }, "the tag " + version + " exists"},
		{"a module's tag", version, func(t *testing.T) { c.git(t, "tag", tag(c.nested[2], version)) }, "the tag " + tag(c.nested[2], version) + " exists"},
		{"nothing new", version, func(t *testing.T) {
			c.write(t, "Empty", "CHANGELOG.md", begin+"\n## [0.0.1]\n\n- something\n")
		}, "nothing under [Unreleased]"},
		{"incompatible", "v0.1.1", func(t *testing.T) {
			c.write(t, "Break", "CHANGELOG.md", begin+"\n### Incompatible\n\n- `core.Foo` is gone\n")
		}, "incompatible changes"},
		{"no branch", version, func(t *testing.T) { c.git(t, "checkout", "-q", "--detach") }, "no branch is checked out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				c.git(t, "checkout", "-q", "-f", "-B", "main", start)
				c.git(t, "clean", "-q", "-f", "-d")
				for _, name := range strings.Fields(c.git(t, "tag")) {
					c.git(t, "tag", "-d", name)
				}
			}()
			tt.prepare(t)
			want := c.state(t)
			out, err := c.command(t, ".", "scripts/release.sh", "-apply", "-unchecked", tt.version)
			if err == nil || !strings.Contains(out, "release: ") || !strings.Contains(out, tt.want) {
				t.Errorf("got %v and\n%s\nwant an error with %q", err, out, tt.want)
			}
			if got := c.state(t); got != want {
				t.Errorf("got\n%s\nwant, as before\n%s", got, want)
			}
		})
	}
}

// commits looks at what the release has added to before.
func commits(t *testing.T, c *clone, before string) {
	if got := c.git(t, "diff", "--name-only", before, "HEAD"); got != "CHANGELOG.md" {
		t.Errorf("the branch has changed in %q, want CHANGELOG.md alone", got)
	}
	if !regexp.MustCompile(`(?m)^## \[Unreleased\]\n\n## \[0\.1\.0\] - \d{4}-\d\d-\d\d$`).MatchString(c.read(t, "CHANGELOG.md")) {
		t.Error("CHANGELOG.md has no heading for the version below [Unreleased]")
	}
	if got := c.git(t, "rev-list", "--count", before+"..HEAD"); got != "2" {
		t.Errorf("got %s commits, want 2", got)
	}
	if got := c.git(t, "describe", "--tags", "--abbrev=0", "--match", "v*"); got != version {
		t.Errorf("the last tag is %s, want %s", got, version)
	}
	tagged := c.git(t, "rev-parse", "HEAD~1")
	for _, dir := range append([]string{""}, c.nested...) {
		if got := c.git(t, "rev-parse", tag(dir, version)+"^{commit}"); got != tagged {
			t.Errorf("%s is %s, want %s", tag(dir, version), got, tagged)
		}
	}
	own := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + `\S* (v\S+)$`)
	for _, name := range strings.Fields(c.git(t, "ls-files", "*go.mod")) {
		text := c.git(t, "show", tagged+":"+name)
		for _, m := range own.FindAllStringSubmatch(text, -1) {
			if m[1] != version {
				t.Errorf("%s requires %q, want %s", name, m[0], version)
			}
		}
		published := name == "go.mod"
		for _, dir := range c.nested {
			published = published || name == dir+"/go.mod"
		}
		if published && strings.Contains(text, "replace") {
			t.Errorf("%s of %s has a replace:\n%s", name, version, text)
		}
		if published != strings.Contains(text, "=>") != strings.Contains(c.read(t, name), "=>") && name != "go.mod" {
			t.Errorf("%s: what was replaced before is not so again:\n%s", name, c.read(t, name))
		}
	}
}

// programs builds the first programs of README.md as a stranger would: in an empty module
// outside the repository, by the go get of README.md, from a proxy that has the tags.
func programs(t *testing.T, c *clone) {
	readme := c.read(t, "README.md")
	get := regexp.MustCompile("(?m)^go get (" + regexp.QuoteMeta(module) + `/adapters/)goredis`).FindStringSubmatch(readme)
	if get == nil {
		t.Fatal("README.md has no go get of an adapter")
	}

	// The go command makes each module of the tags, as it does for the public proxy, in a
	// module cache of its own, whose folder of downloads is a proxy by its form.
	made := t.TempDir()
	ambient := c.must(t, ".", "go", "env", "GOMODCACHE")
	proxies := c.must(t, ".", "go", "env", "GOPROXY")
	owner := &clone{dir: made, env: []string{
		"GOMODCACHE=" + made, "GOFLAGS=-modcacherw", "GONOPROXY=" + module, "GONOSUMDB=" + module,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + c.dir + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + module,
	}}
	args := []string{"mod", "download", module + "@" + version}
	for _, dir := range c.nested {
		args = append(args, module+"/"+dir+"@"+version)
	}
	owner.must(t, ".", "go", args...)

	// Another cache for the stranger: the ordinary one may have the version from elsewhere. What
	// is not the project's comes from the ordinary one, else from the ordinary proxy.
	// So the clients are compiled again, which takes most of this test's time: less without
	// optimisation.
	cache := t.TempDir()
	seen := 0
	for _, m := range regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(readme, -1) {
		adapter := regexp.MustCompile(`redlatch/adapters/(\w+)"`).FindStringSubmatch(m[1])
		if adapter == nil {
			t.Errorf("no adapter in\n%s", m[1])
			continue
		}
		seen++
		t.Run(adapter[1], func(t *testing.T) {
			user := &clone{dir: t.TempDir(), env: []string{
				"GOMODCACHE=" + cache, "GOFLAGS=-modcacherw -gcflags=github.com/redis/...=-N", "GONOSUMDB=" + module, "GONOPROXY=", "GOVCS=" + module + ":off,*:all",
				"GOPROXY=file://" + made + "/cache/download,file://" + ambient + "/cache/download," + proxies,
			}}
			user.write(t, "", "main.go", m[1])
			user.must(t, ".", "go", "mod", "init", "example.com/first")
			user.must(t, ".", "go", "get", get[1]+adapter[1])
			user.must(t, ".", "go", "build", "-o", "first", ".")
			for _, path := range []string{module, module + "/adapters/" + adapter[1]} {
				got := user.must(t, ".", "go", "list", "-m", "-f", "{{.Version}} {{.Replace}} {{.Dir}}", path)
				if want := version + " <nil> " + filepath.Join(cache, path) + "@" + version; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if text := user.read(t, "go.mod"); strings.Contains(text, "replace") {
				t.Errorf("go.mod has a replace:\n%s", text)
			}
		})
	}
	adapters := 0
	for _, dir := range c.nested {
		if strings.HasPrefix(dir, "adapters/") {
			adapters++
		}
	}
	if seen != adapters || seen == 0 {
		t.Errorf("README.md has %d first programs, want one for each of %d adapters", seen, adapters)
	}
}

// api removes two exported functions of the last version, of which CHANGELOG.md names one.
func api(t *testing.T, c *clone) {
	if err := os.Remove(filepath.Join(c.dir, departed)); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(c.read(t, "CHANGELOG.md"), heading, heading+"\n### Incompatible\n\n- `core.Announced` has left\n", 1)
	c.write(t, "", "CHANGELOG.md", text)
	out, err := c.command(t, ".", "scripts/api.sh")
	if strings.Contains(out, "api: left out") {
		t.Skip(out)
	}
	if err == nil || !strings.Contains(out, "`core.Departed`") || strings.Count(out, "api: ") != 1 {
		t.Errorf("got %v and\n%s\nwant one complaint, about core.Departed", err, out)
	}
}
