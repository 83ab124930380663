package redlatch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/redlatch/redlatch"
	"github.com/redlatch/redlatch/core"
)

func TestErrorsAreCores(t *testing.T) {
	for _, pair := range [][2]error{
		{redlatch.ErrNotAcquired, core.ErrNotAcquired}, {redlatch.ErrLost, core.ErrLost}, {redlatch.ErrReleased, core.ErrReleased},
		{redlatch.ErrInvalid, core.ErrInvalid}, {redlatch.ErrDeadlock, core.ErrDeadlock}, {redlatch.ErrClosed, core.ErrClosed},
	} {
		if pair[0] != pair[1] {
			t.Errorf("got %v, want core's %v", pair[0], pair[1])
		}
	}
}

// The Lockers that users are given show their methods alone.
func TestLockersHideTheEngine(t *testing.T) {
	locks := open()
	defer locks.Close()
	semaphore, err := locks.Semaphore("s", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []redlatch.Locker{locks.Mutex("m"), locks.RWMutex("rw"), locks.RWMutex("rw").RLocker(), semaphore.Locker()} {
		typ := reflect.TypeOf(l)
		if _, ok := l.(interface{ Unwrap() core.Locker }); !ok {
			t.Errorf("%v has no Unwrap", typ)
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		for _, f := range reflect.VisibleFields(typ) {
			if f.IsExported() {
				t.Errorf("%v has the exported field %s", typ, f.Name)
			}
		}
	}
}

// TestNoInternalTypeIsPublic reads what the public packages export: no type of an internal
// package may be in it, since nobody else could name that.
func TestNoInternalTypeIsPublic(t *testing.T) {
	seen := 0
	for _, dir := range []string{".", "core", "redlock", "semaphore", "conformance", "conformance/checker"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			internal := map[string]bool{}
			for _, spec := range file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if strings.Contains(imported, "/internal/") {
					internal[imported[strings.LastIndex(imported, "/")+1:]] = true
				}
			}
			for _, decl := range exported(file) {
				seen++
				ast.Inspect(decl, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						if of, ok := s.X.(*ast.Ident); ok && internal[of.Name] {
							t.Errorf("%s: %s.%s is in an exported declaration", path, of.Name, s.Sel.Name)
						}
					}
					return true
				})
			}
		}
	}
	if seen < 60 {
		t.Errorf("%d exported declarations were looked at, at least 60 expected", seen)
	}
}

// exported returns the types of what a file exports: of functions, methods, variables and
// fields.
func exported(file *ast.File) (types []ast.Node) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(base(d.Recv.List[0].Type))) {
				types = append(types, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					if s.Names[0].IsExported() && s.Type != nil {
						types = append(types, s.Type)
					}
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						types = append(types, shown(s.Type)...)
					}
				}
			}
		}
	}
	return types
}

// shown returns what others see of a type: of a struct the exported fields.
func shown(typ ast.Expr) (types []ast.Node) {
	s, ok := typ.(*ast.StructType)
	if !ok {
		return []ast.Node{typ}
	}
	for _, f := range s.Fields.List {
		if len(f.Names) == 0 && ast.IsExported(base(f.Type)) || len(f.Names) > 0 && f.Names[0].IsExported() {
			types = append(types, f.Type)
		}
	}
	return types
}

// base returns the name of a type, without pointer and package.
func base(typ ast.Expr) string {
	switch t := typ.(type) {
	case *ast.StarExpr:
		return base(t.X)
	case *ast.SelectorExpr:
		return t.Sel.Name
	case *ast.Ident:
		return t.Name
	}
	return ""
}
