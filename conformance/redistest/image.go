package redistest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// An Image names a server and its version: one of the constants, or, for
// containers, the name of any local image whose entrypoint takes server flags.
type Image string

// The servers that the project is tested on.
const (
	Redis70  Image = "redis-7.0"
	Redis80  Image = "redis-8.0"
	Valkey81 Image = "valkey-8.1"
)

var images = []Image{Redis70, Redis80, Valkey81}

// Images returns the images that [Start] can serve here one after another: for
// tests that repeat themselves on each. Those that it cannot serve are left out
// and counted; where REDLATCH_REQUIRED asks for containers, which can be built, the
// test fails instead. With REDLATCH_IMAGE set it is that one alone. An empty Image
// stands for the one there is, where the kind has no choice (addresses, embedded).
func Images(tb testing.TB) []Image {
	tb.Helper()
	ctx := tb.Context()
	kind, _, err := choose(ctx, "", request{n: 1})
	if err != nil {
		tb.Fatal(err)
	}
	if kind == Given || kind == Embedded {
		for _, image := range images {
			leftOut(tb.Name(), fmt.Sprintf("%s: the kind is %s", image, kind))
		}
		return []Image{""}
	}
	if image := wanted(""); image != "" {
		return []Image{image}
	}
	var can []Image
	for _, image := range images {
		if err := sources[kind].serves(ctx, request{n: 1, image: image}); err != nil {
			if Kind(os.Getenv("REDLATCH_REQUIRED")) == Containers {
				tb.Fatalf("redistest: REDLATCH_REQUIRED asks for containers: %v", err)
			}
			leftOut(tb.Name(), fmt.Sprintf("%s: %v", image, err))
			continue
		}
		can = append(can, image)
	}
	return can
}

// wanted is the image that the caller or the environment names, or "".
func wanted(image Image) Image {
	if image != "" {
		return image
	}
	return Image(os.Getenv("REDLATCH_IMAGE"))
}

// ref is the image's name in a container engine.
func (i Image) ref() string {
	switch i {
	case "":
		return Redis80.ref()
	case Redis70, Redis80, Valkey81:
		name, version, _ := strings.Cut(string(i), "-")
		return "redlatch/" + name + ":" + version
	}
	return string(i)
}

// built reports whether images.sh knows how to build the image.
func (i Image) built() bool {
	return strings.HasPrefix(i.ref(), "redlatch/")
}

// matches reports whether a server that calls itself version ("redis 7.0.15") is
// this image.
func (i Image) matches(version string) bool {
	name, number, ok := strings.Cut(string(i), "-")
	return ok && (version == name+" "+number || strings.HasPrefix(version, name+" "+number+"."))
}

// PrepareImages builds those of the images that the container engine lacks; with
// none named, all three. Test binaries that run at the same time wait for each
// other. It is slow: about five seconds an image.
func PrepareImages(ctx context.Context, which ...Image) error {
	if len(which) == 0 {
		which = images
	}
	for _, image := range which {
		if err := engine.serves(ctx, request{n: 1, image: image}); err != nil {
			return err
		}
	}
	return nil
}
