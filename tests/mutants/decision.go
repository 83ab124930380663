package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// The decision of an attempt is walked through in all its states, so nothing of it may be
// left out or turned round without a test that fails: these mutants are made of its source.
var decision = []string{"internal/vote/ballot.go", "internal/vote/verdict.go"}

// twins are the mutants of the decision that mean what the decision means, and why.
var twins = map[string]string{
	`foremost: return Failed [9: "Granted" for "Failed"]`: "where all have failed, what counts is that nobody refuses and nobody owes an answer",
}

// neighbours are what an operator is exchanged for.
var neighbours = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD,
}

// generate makes a mutant of each operator of the decision, each case and each result.
func generate(root string) ([]mutant, error) {
	var all []mutant
	for _, file := range decision {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		g := &generator{file: file, text: string(text), files: token.NewFileSet()}
		tree, err := parser.ParseFile(g.files, file, text, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				g.within = f.Name.Name
				ast.Inspect(f.Body, g.visit)
			}
		}
		all = append(all, g.mutants...)
	}
	return all, nil
}

// generator makes the mutants of one file.
type generator struct {
	file, text string
	files      *token.FileSet
	within     string // the function
	mutants    []mutant
}

func (g *generator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if to, ok := neighbours[n.Op]; ok {
			g.replace(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), to.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			g.replace(n.OpPos, n.OpPos+1, "")
		}
	case *ast.CaseClause:
		if len(n.List) > 0 { // what the case reads stays in use
			never := make([]string, len(n.List))
			for i, e := range n.List {
				never[i] = "false && (" + g.source(e.Pos(), e.End()) + ")"
			}
			g.replace(n.List[0].Pos(), n.Colon, strings.Join(never, ", "))
		}
	case *ast.IfStmt:
		g.replace(n.Cond.Pos(), n.Cond.End(), "false && "+g.source(n.Cond.Pos(), n.Cond.End()))
	case *ast.ReturnStmt:
		for i, result := range n.Results {
			if to := exchanged(g.source(result.Pos(), result.End())); to != "" {
				g.replace(n.Results[i].Pos(), n.Results[i].End(), to)
			}
		}
	}
	return true
}

// results are what the decision may come to, in the order in which each is exchanged for
// the next.
var results = [][]string{
	{"Await", "AwaitLead", "AwaitSome", "AwaitAll", "AwaitProofs", "AwaitPause", "AskOthers", "PassOver", "AskKept", "AskRefusing", "Win", "StandInLine", "GiveUp"},
	{"Others", "Outage", "Hopeless", "Mistaken"},
	{"true", "false"},
	{"Failed", "Granted"},
}

// exchanged returns the result after that one; empty: it is none.
func exchanged(result string) string {
	for _, all := range results {
		for i, r := range all {
			if r == result {
				return all[(i+1)%len(all)]
			}
		}
	}
	return ""
}

func (g *generator) source(from, to token.Pos) string {
	return g.text[g.files.Position(from).Offset:g.files.Position(to).Offset]
}

// replace adds the mutant that has something else from one place to another. As the text is
// to be there once, the edit takes in what stands around it.
func (g *generator) replace(from, to token.Pos, with string) {
	a, b := g.files.Position(from).Offset, g.files.Position(to).Offset
	start, end := a, b
	for strings.Count(g.text, g.text[start:end]) > 1 {
		start, end = max(start-1, 0), min(end+1, len(g.text))
	}
	line := strings.TrimSpace(g.text[strings.LastIndexByte(g.text[:a], '\n')+1 : b+strings.IndexByte(g.text[b:], '\n')])
	column := g.files.Position(from).Column
	g.mutants = append(g.mutants, mutant{
		name: fmt.Sprintf("%s: %s [%d: %q for %q]", g.within, line, column, with, g.text[a:b]),
		rule: "every ballot has its move and its verdict",
		edit: edit{g.file, g.text[start:end], g.text[start:a] + with + g.text[b:end]},
	})
}
