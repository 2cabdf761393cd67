package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// index is one of a collection: what makes the function's queries fast.
type index struct {
	Key        string   `json:"key"`
	Type       string   `json:"type"`
	Attributes []string `json:"attributes"`
	Orders     []string `json:"orders"`
	Status     string   `json:"status,omitempty"`
}

func (p *project) remoteIndexes(ctx context.Context, k kind) ([]index, error) {
	var found struct{ Indexes []index }
	err := p.call(ctx, http.MethodGet, p.collectionPath(k)+"/indexes?"+mostListed(), nil, &found)
	return found.Indexes, err
}

// serves reports whether an index is good for the same queries as the one needed,
// whatever its name is.
func (ix index) serves(needed index) bool {
	return ix.Type == needed.Type && len(ix.Attributes) > 0 && ix.Attributes[0] == needed.Attributes[0]
}

// missingIndexes are those that none of the found ones stands in for.
func missingIndexes(found, needed []index) (missing []index) {
	for _, n := range needed {
		if !slices.ContainsFunc(found, func(f index) bool { return f.serves(n) }) {
			missing = append(missing, n)
		}
	}
	return missing
}

// indexProblems says which are missing, and which never became usable.
func indexProblems(found, needed []index) (problems []string) {
	for _, n := range missingIndexes(found, needed) {
		problems = append(problems, "there is no index on "+n.Attributes[0])
	}
	for _, f := range found {
		switch {
		case f.Status == "available" || !slices.ContainsFunc(needed, f.serves):
		case f.Status == "processing":
			problems = append(problems, "the index "+f.Key+" is still being made")
		default:
			problems = append(problems, "the index "+f.Key+" is "+f.Status+", so delete it")
		}
	}
	return problems
}

// checkStarted looks at what the documents of started payments or payouts have beside
// those of callbacks.
func checkStarted(k kind) func(context.Context, *project) (string, error) {
	return func(ctx context.Context, p *project) (string, error) {
		found, err := p.remoteAttributes(ctx, k)
		if err != nil {
			return "", err
		}
		indexes, err := p.remoteIndexes(ctx, k)
		if err != nil {
			return "", err
		}
		needed := p.ofStarted(k)
		if problems, fixable := attributesProblem(found, needed); len(problems) > 0 {
			what := strings.Join(problems, "; ") + ": Appwrite refuses started documents of " + k.id(p.target)
			if !fixable {
				what += personDecides
			}
			return "", wrong(what, p.collectionInConsole(k, "Attributes"))
		}
		if problems := indexProblems(indexes, p.indexes[k.name]); len(problems) > 0 {
			return "", wrong(strings.Join(problems, "; ")+": each look-up reads every document of "+k.id(p.target), p.collectionInConsole(k, "Indexes"))
		}
		return fmt.Sprintf("%d attributes and %d indexes", len(needed), len(p.indexes[k.name])), nil
	}
}

// fixStarted adds them. The collection may be in use, and hold documents: those read
// null there.
func fixStarted(k kind) func(context.Context, *project) error {
	return func(ctx context.Context, p *project) error {
		found, err := p.remoteAttributes(ctx, k)
		if err != nil {
			return err
		}
		needed := p.ofStarted(k)
		if err := p.addAttributes(ctx, k, found, needed); err != nil {
			return err
		}
		if found, err = p.remoteAttributes(ctx, k); err != nil {
			return err
		}
		if problems, _ := attributesProblem(found, needed); len(problems) > 0 {
			return nil // the second look says so
		}
		return p.addIndexes(ctx, k)
	}
}

// addIndexes makes those that are missing, and waits until they can be used.
func (p *project) addIndexes(ctx context.Context, k kind) error {
	found, err := p.remoteIndexes(ctx, k)
	if err != nil {
		return err
	}
	for _, n := range missingIndexes(found, p.indexes[k.name]) {
		err := p.wait(ctx, "the index "+n.Key, func() (bool, error) {
			err := p.call(ctx, http.MethodPost, p.collectionPath(k)+"/indexes", n, nil)
			switch {
			case isType(err, "attribute_not_available"): // it says so for a moment after the attribute was made
				return false, nil
			case isStatus(err, http.StatusConflict): // made by an earlier try that broke off
				return true, nil
			}
			return err == nil, err
		})
		if err != nil {
			return fmt.Errorf("the index %s: %w", n.Key, err)
		}
	}
	return p.wait(ctx, "its indexes", func() (bool, error) {
		found, err := p.remoteIndexes(ctx, k)
		return !slices.ContainsFunc(found, func(f index) bool { return f.Status == "processing" }), err
	})
}
