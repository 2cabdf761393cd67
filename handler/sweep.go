package handler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// What one run of the sweep may take. Appwrite starts it every five minutes.
const (
	sweepMost   = 500              // documents that are looked at
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

// sweep asks Safaricom about every started payment that is due. It does what is due and
// nothing else, since anybody can have it run.
func (f *Function) sweep(r *request) (reply openruntimes.Response) {
	defer func() {
		if recover() != nil {
			r.ctx.Error("panic route=" + r.route.name + " at=" + panicSite())
			reply = r.fail(&problem{Type: unavailable, Message: "something is wrong here"})
		}
	}()
	if !f.config.startsPayments() {
		return r.reply(http.StatusOK, sweepReply{})
	}
	c := &checking{request: r, function: f, api: f.documents(r.ctx.Req.Headers["x-appwrite-key"])}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.sweepLasts)
	defer cancel()
	told, failed := c.run(ctx)
	if failed != nil {
		c.ctx.Error(fmt.Sprintf("failed route=%s reason=%q error=%q", r.route.name, failed.Type, failed.log))
		return r.fail(failed)
	}
	r.ctx.Log(fmt.Sprintf("route=%s due=%d asked=%d found=%d not-sent=%d given-up=%d failed=%d calls=%d ms=%d", r.route.name, told.Due, told.Asked,
		told.Found, told.NotSent, told.GivenUp, told.Failed, c.api.Calls(), time.Since(r.start).Milliseconds()))
	return r.reply(http.StatusOK, told)
}

// run looks at what is due, one document after the other.
func (c *checking) run(ctx context.Context) (told sweepReply, failed *problem) {
	f := c.function
	if problems := append(f.config.missing(""), f.config.pushProblems()...); len(problems) > 0 {
		return told, &problem{Type: notConfigured, Message: notReady, log: strings.Join(problems, "; ")}
	}
	now := f.clock.now()
	c.until = now.Add(sweepBegins)
	due, err := c.due(ctx, now)
	if err != nil {
		return told, &problem{Type: unavailable, Message: "what is due could not be listed", log: fmt.Sprintf("%s: %v", appwrite.Classify(err), err)}
	}
	told.Due = len(due)
	if told.Due == 0 {
		return told, nil
	}
	if failed := f.ready(ctx, c.api); failed != nil {
		return told, failed
	}
	first := rand.IntN(min(told.Due, sweepFirsts))
	for i := 0; i < told.Due && !c.stop && f.clock.now().Before(c.until); i++ {
		d := due[(first+i)%told.Due]
		_, did := c.look(ctx, d, nextCheck(d.Server.CreatedAt, f.clock.now()))
		told.count(did)
		if did == found {
			c.ctx.Log("route=" + c.route.name + " id=" + safeID(d.DocumentID) + " outcome=" + string(found))
		}
	}
	told.Asked = c.questions
	return told, nil
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

// due lists the started payments whose check is due, the longest due first. All pages are
// read before the first document is claimed: the place of a page's end moves with it.
func (c *checking) due(ctx context.Context, now time.Time) (due []settle.Document, err error) {
	found, err := c.api.ListAll(ctx, parse.Payment, sweepMost, appwrite.Before("nextCheckAt", now), appwrite.EarliestFirst("nextCheckAt"))
	for _, d := range found {
		if d.RequestKey != "" {
			due = append(due, d)
		}
	}
	return due, err
}
