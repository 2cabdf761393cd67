package handler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// What one run of the sweep may take. Appwrite starts it every five minutes.
const (
	sweepMost   = 500              // documents of each kind that are looked at
	sweepBegins = 20 * time.Second // no question begins later, counted from the run's start
	sweepFirsts = 25               // the run begins at any of so many, so that none of them can block the others
)

// sweepReply is for whoever reads the execution: what a run has done.
type sweepReply struct {
	Due     int `json:"due"`
	Asked   int `json:"asked"` // Safaricom was asked about them
	Found   int `json:"found"` // of those, what became of them is known now
	NotSent int `json:"notSent"`
	GivenUp int `json:"givenUp"`
	Failed  int `json:"failed"` // the database failed
}

// sweep asks Safaricom about every started payment and payout that is due. It does what is
// due and nothing else, since anybody can have it run; one run at a time, so that many do
// not ask more often than one.
func (f *Function) sweep(r *request) (reply openruntimes.Response) {
	defer func() {
		if recover() != nil {
			r.ctx.Error("panic route=" + r.route.name + " at=" + panicSite())
			reply = r.fail(&problem{Type: unavailable, Message: "something is wrong here"})
		}
	}()
	if !f.config.starts() {
		return r.reply(http.StatusOK, sweepReply{})
	}
	if !f.sweeping.TryLock() {
		r.ctx.Log("route=" + r.route.name + " outcome=under-way")
		return r.reply(http.StatusOK, sweepReply{})
	}
	defer f.sweeping.Unlock()
	c := &checking{request: r}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.sweepLasts)
	defer cancel()
	told, failed := c.run(ctx)
	if failed != nil {
		r.logFailure("route="+r.route.name, failed.Type, failed.log)
		return r.fail(failed)
	}
	r.ctx.Log(fmt.Sprintf("route=%s due=%d asked=%d found=%d not-sent=%d given-up=%d failed=%d calls=%d ms=%d", r.route.name, told.Due, told.Asked,
		told.Found, told.NotSent, told.GivenUp, told.Failed, c.api.Calls(), time.Since(r.start).Milliseconds()))
	return r.reply(http.StatusOK, told)
}

// run looks at what is due: first at all that needs no question, and then at the rest, one
// document after the other. It begins at any of the oldest, so that none of them can keep
// the others waiting.
func (c *checking) run(ctx context.Context) (told sweepReply, failed *problem) {
	f := c.function
	kinds, failed := f.config.startedKinds()
	if len(kinds) == 0 {
		return told, failed
	}
	if failed != nil { // the others are asked about all the same
		c.logFailure(c.nameOf(""), failed.Type, failed.log)
	}
	now := f.clock.now()
	c.until = now.Add(sweepBegins)
	due, failed := c.due(ctx, kinds, now)
	if failed != nil {
		return told, failed
	}
	told.Due = len(due)
	if told.Due == 0 {
		return told, nil
	}
	if failed := c.ready(ctx, kinds[0], nil); failed != nil {
		return told, failed
	}
	quiet := slices.DeleteFunc(slices.Clone(due), needsQuestion)
	due = slices.DeleteFunc(due, func(d settle.Document) bool { return !needsQuestion(d) })
	oldest := min(len(due), sweepFirsts)
	first := rand.IntN(max(1, oldest))
	for _, d := range slices.Concat(quiet, due[first:oldest], due[:first], due[oldest:]) {
		if c.stop || !f.clock.now().Before(c.until) {
			break
		}
		told.count(c.lookAt(ctx, d))
	}
	told.Asked = c.questions
	return told, nil
}

// needsQuestion reports whether looking at a document means asking Safaricom.
func needsQuestion(d settle.Document) bool {
	interrupted := d.Status == settle.Pending && d.Reason == settle.Interrupted
	return d.Unresolved() && !interrupted && canAsk(&d)
}

// lookAt looks at one document. A panic in our code ends that, and not the run.
func (c *checking) lookAt(ctx context.Context, d settle.Document) (did progress) {
	defer func() {
		if recover() != nil {
			c.ctx.Error("panic " + c.nameOf(d.DocumentID) + " at=" + panicSite())
			did = unstored
		}
	}()
	_, did = c.look(ctx, d, nextCheck(d.Server.CreatedAt, c.function.clock.now()))
	if did == found {
		c.ctx.Log(c.nameOf(d.DocumentID) + " outcome=" + string(found))
	}
	return did
}

func (s *sweepReply) count(did progress) {
	switch did {
	case found:
		s.Found++
	case notSent:
		s.NotSent++
	case gaveUp:
		s.GivenUp++
	case unstored:
		s.Failed++
	}
}

// startedKinds are the kinds that the function is set up to ask about, and what keeps it
// from asking about others for which something is set.
func (c *config) startedKinds() (kinds []parse.Kind, failed *problem) {
	for _, kind := range []parse.Kind{parse.Payment, parse.Disbursement} {
		if kind == parse.Payment && !c.startsPayments() || kind == parse.Disbursement && !c.startsPayouts() {
			continue
		}
		if problems := append(c.missing(kind), c.askProblems[kind]...); len(problems) > 0 {
			failed = &problem{Type: notConfigured, Message: notReady(kind), log: strings.Join(problems, "; ")}
		} else {
			kinds = append(kinds, kind)
		}
	}
	return kinds, failed
}

// due lists what was started and whose check is due, at most sweepMost of each kind, the
// longest due first, payouts among payments. A kind about which Safaricom takes no question
// takes no place from the other. All pages are read before the first document is claimed:
// the place of a page's end moves with it. A kind that cannot be listed does not keep the
// other from being asked about.
func (c *checking) due(ctx context.Context, kinds []parse.Kind, now time.Time) (due []settle.Document, failed *problem) {
	unlisted := 0
	for _, kind := range kinds {
		found, err := c.api.ListAll(ctx, kind, sweepMost, appwrite.Before("nextCheckAt", now), appwrite.EarliestFirst("nextCheckAt"))
		if err != nil {
			failed = &problem{Type: unavailable, Message: "what is due could not be listed", log: fmt.Sprintf("%ss: %s: %v", kind, appwrite.Classify(err), err)}
			if unlisted++; unlisted < len(kinds) {
				c.logFailure(c.nameOf(""), failed.Type, failed.log)
			}
			continue
		}
		for _, d := range found {
			if d.RequestKey != "" {
				due = append(due, d)
			}
		}
	}
	if unlisted == len(kinds) {
		return nil, failed
	}
	slices.SortStableFunc(due, func(a, b settle.Document) int { return a.NextCheckAt.Compare(b.NextCheckAt) })
	return due, nil
}
