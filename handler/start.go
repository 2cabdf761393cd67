package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// startRequest is what an app asks for: a payment or a payout.
type startRequest interface {
	what() *asked
	// fields are all but id and again, normalised. Their order can never change: stored
	// documents have a keyed hash of them, by which a repeat is known.
	fields() []string
	reference() string                          // "" for a payout
	allows(*config, *appwrite.Account) *problem // what keeps this user from asking for it

	// limits says what keeps it from being sent, once it is claimed.
	limits(context.Context, *starting) *problem
	send(context.Context, *starting) daraja.Answer
}

// asked has the fields that requests of both kinds have.
type asked struct {
	id     string
	phone  string // as Safaricom takes it
	amount int64  // whole shillings
	again  bool
}

func (a *asked) what() *asked { return a }

// starting is one request to start a payment or a payout on its way.
type starting struct {
	*request
	kind    parse.Kind
	wants   startRequest // once it was read
	asked   *asked
	account appwrite.Account

	requestKeys, phoneKeys []string // under each signing key
	claim                  settle.Document
	claimed                bool
}

// begin takes a request through the steps: what was asked for is sent to Safaricom once
// at most, whatever breaks and however often it is asked for.
func (f *Function) begin(r *request, kind parse.Kind, read func([]byte) (startRequest, *problem)) openruntimes.Response {
	if len(r.body) > maxBody {
		return r.tooLarge()
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.pushLasts)
	defer cancel()
	p := &starting{request: r, kind: kind, asked: &asked{}}
	return p.answer(ctx, read)
}

// tooLarge answers a request of an app whose body is over 16 KiB.
func (r *request) tooLarge() openruntimes.Response {
	r.ctx.Error(refused(r.route.name, "body too large", nil))
	return r.reply(http.StatusRequestEntityTooLarge, map[string]*problem{"error": {Type: invalidArgument, Message: "the body is too large"}})
}

// answer asks and replies. A panic in our code leaves what was claimed, of which money
// may have moved: the reply is what was last known of it.
func (p *starting) answer(ctx context.Context, read func([]byte) (startRequest, *problem)) (reply openruntimes.Response) {
	defer func() {
		if recover() == nil {
			return
		}
		p.ctx.Error("panic " + p.name() + " at=" + panicSite())
		if p.claim.DocumentID == "" {
			reply = p.fail(&problem{Type: unavailable, Message: "something is wrong here, and nothing was sent"})
			return
		}
		reply = p.reply(http.StatusOK, newStartReply(&p.claim, ""))
	}()
	started, failed := p.run(ctx, read)
	switch {
	case failed != nil:
		p.logProblem(failed)
		return p.fail(failed)
	case p.claimed:
		p.ctx.Log(p.done("started"))
	default:
		p.ctx.Log(p.done("repeated"))
	}
	return p.reply(http.StatusOK, started)
}

// startReply tells an app what the document of its payment or payout says, also where the
// outcome is unknown: it waits for the document in any case.
type startReply struct {
	ID                string       `json:"id"`
	Status            parse.Status `json:"status"`
	CheckoutRequestID *string      `json:"checkoutRequestId,omitempty"` // of a payment
	ConversationID    *string      `json:"conversationId,omitempty"`    // of a payout
	CustomerMessage   string       `json:"customerMessage"`
}

// run goes through the steps. A failure leaves nothing behind that is not true.
func (p *starting) run(ctx context.Context, read func([]byte) (startRequest, *problem)) (*startReply, *problem) {
	var failed *problem
	if p.wants, failed = read(p.body); p.wants != nil {
		p.asked = p.wants.what()
	}
	if failed != nil {
		return nil, failed
	}
	if failed = p.ready(ctx, p.kind, p.function.config.startProblems[p.kind]); failed != nil {
		return nil, failed
	}
	if p.account, failed = p.caller(ctx); failed == nil {
		failed = p.wants.allows(&p.function.config, &p.account)
	}
	if failed != nil {
		if p.kind == parse.Disbursement && failed.Type != unavailable {
			failed.log = "somebody asked for a payout who may not: " + failed.Message
		}
		return nil, failed
	}
	c := &p.function.config
	p.requestKeys = c.keyedHashes(forRequest, p.wants.fields()...)
	p.phoneKeys = c.keyedHashes(forPhone, p.asked.phone)
	if repeated, failed := p.makeClaim(ctx); repeated != nil || failed != nil {
		return repeated, failed
	}
	if failed = p.wants.limits(ctx, p); failed == nil {
		failed = p.goAhead(ctx)
	}
	if failed != nil {
		return p.endAsFailed(failed, -1)
	}
	return p.send(ctx)
}

// makeClaim creates the document. If there is one of that id, this is a repeat, and is
// answered with what that document says. A claim whose creation had no clear answer sends
// nothing: asked again, the id is a repeat.
func (p *starting) makeClaim(ctx context.Context) (*startReply, *problem) {
	now := p.function.clock.now()
	claim := settle.Claim(p.kind, p.asked.id, settle.Started{
		UserID: p.account.ID, Reference: p.wants.reference(), RequestedAmount: p.asked.amount,
		RequestKey: p.requestKeys[0], PhoneKey: p.phoneKeys[0], NextCheckAt: nextCheck(now, now),
	}, now)
	var err error
	p.claim, err = p.api.Claim(ctx, &claim)
	switch {
	case err == nil:
		p.claimed = true
		return nil, nil
	case appwrite.Status(err) == http.StatusBadRequest:
		return nil, &problem{Type: notConfigured, Message: notReady(p.kind), log: "the collection of " + string(p.kind) + "s lacks an attribute: run scripts/deploy: " + err.Error()}
	case !errors.Is(err, settle.ErrExists):
		return nil, storeProblem("the "+noun(p.kind)+" could not be noted down, and nothing was sent", err)
	}
	stored, err := p.api.Get(ctx, p.kind, p.asked.id)
	switch {
	case errors.Is(err, settle.ErrNotFound):
		return nil, &problem{Type: conflicting, Message: "this id was used before"}
	case err != nil:
		return nil, storeProblem("whether this id was used before could not be seen, and nothing was sent", err)
	case stored.UserID != p.account.ID || !slices.Contains(p.requestKeys, stored.RequestKey):
		return nil, &problem{Type: conflicting, Message: "this id belongs to another request"}
	}
	p.claim = stored
	return newStartReply(&p.claim, ""), nil
}

// newStartReply returns the reply that says what a document says. The message is
// Safaricom's for the payer, if it has one.
func newStartReply(d *settle.Document, message string) *startReply {
	reply := &startReply{ID: d.DocumentID, Status: d.Status, CustomerMessage: message}
	name := d.Name()
	if d.Kind == parse.Disbursement {
		reply.ConversationID = &name
	} else {
		reply.CheckoutRequestID = &name
	}
	return reply
}

// goAhead fetches a token and then marks the claim as one that may have been sent.
// Without a clear answer to that nothing is sent.
func (p *starting) goAhead(ctx context.Context) *problem {
	safaricom, cancel := p.function.clock.forSafaricom(ctx, p.start)
	defer cancel()
	if answer := p.function.client(p.kind).Token(safaricom); answer.Outcome != daraja.Accepted {
		return safaricomProblem(answer)
	}
	marked, err := p.api.Amend(ctx, &p.claim, settle.GoAhead())
	if err != nil {
		return storeProblem("the "+noun(p.kind)+" could not be noted down, and nothing was sent", err)
	}
	p.claim = marked
	return nil
}

// send asks Safaricom, and notes down what came of it.
func (p *starting) send(ctx context.Context) (*startReply, *problem) {
	safaricom, cancel := p.function.clock.forSafaricom(ctx, p.start)
	defer cancel()
	answer := p.wants.send(safaricom, p)
	switch answer.Outcome {
	case daraja.Refused, daraja.NotSent:
		code, err := strconv.Atoi(answer.Code)
		if err != nil {
			code = -1
		}
		return p.endAsFailed(safaricomProblem(answer), code)
	case daraja.Unknown:
		reason := "unknown whether it was sent"
		if answer.Duplicate {
			reason = "Safaricom has this id already"
		}
		p.logFailure(p.name(), reason, answer.Reason)
	}
	name := answer.CheckoutRequestID
	if p.kind == parse.Disbursement {
		name = answer.ConversationID
	}
	if name != "" && !answer.Duplicate { // else it is the name of the request that was refused
		p.nameTransaction(name)
	}
	return newStartReply(&p.claim, answer.CustomerMessage), nil
}

// nameTransaction notes down what Safaricom calls it. The callback may have done so
// already. If it cannot be stored, it goes to the error log, and is replayed.
func (p *starting) nameTransaction(name string) {
	unnamed := func(d *settle.Document) bool { return d.Name() == "" }
	if err := p.change(settle.Name(p.kind, name), unnamed); err != nil {
		p.claim.SetName(name)
		p.ctx.Error(p.claim.UnsettledName(p.route.wire))
		p.logFailure(p.name(), appwrite.Classify(err), err)
	}
}

// endAsFailed ends a claim of which nothing was sent, or that Safaricom refused, as FAILED,
// and returns the problem for the app. If that cannot be written, the document stays
// PENDING, and the error log has what is to be replayed. If a callback has settled it
// meanwhile, that is the reply, and there is no problem.
func (p *starting) endAsFailed(failed *problem, code int) (*startReply, *problem) {
	reason := cmp.Or(failed.refusal, settle.NotSent+failed.Message)
	pending := func(d *settle.Document) bool { return d.Status == settle.Pending }
	now := p.function.clock.now()
	err := p.change(settle.Failure(reason, code, now), pending)
	switch {
	case err != nil:
		failure := p.claim
		failure.Status, failure.Reason, failure.Code, failure.SettledAt = parse.Failed, reason, code, now
		p.ctx.Error(failure.Unsettled(p.route.wire, "", failure.DocumentID))
		p.logFailure(p.name(), appwrite.Classify(err), err)
	case p.claim.Status != parse.Failed:
		p.logProblem(failed)
		return newStartReply(&p.claim, ""), nil
	default:
		failed.Claimed = true
	}
	return nil, failed
}

// change amends the claim for as long as wanted says so of it.
func (p *starting) change(changes any, wanted func(*settle.Document) bool) error {
	return p.function.clock.twice(func(ctx context.Context) (err error) {
		p.claim, err = settle.Change(ctx, p.api, p.claim, changes, wanted)
		return err
	})
}

// safaricomProblem says what a refusal, or an outcome that sent nothing, is to the app.
func safaricomProblem(a daraja.Answer) *problem {
	detail := describeDetail(a.Detail)
	refusal := ""
	if a.Outcome == daraja.Refused {
		refusal = a.Reason
	}
	switch {
	case a.Credentials:
		return &problem{Type: badCredentials, Message: settingsRefused, ResponseCode: a.Code, refusal: refusal, log: detail}
	case a.Outcome == daraja.Refused:
		return &problem{Type: rejected, Message: a.Reason, ResponseCode: a.Code, refusal: refusal, log: detail}
	default:
		return &problem{Type: unavailable, Message: "Safaricom could not be asked, and nothing was sent", log: detail}
	}
}

const settingsRefused = "Safaricom refuses the settings of this function"

// describeDetail says why Safaricom does not do what it was asked, for the error log.
func describeDetail(d daraja.Detail) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s %s %s %s", d.HTTPStatus, d.Code, d.Reason, d.Field, d.Hint))
}

// storeProblem is what an app is told when the database fails before anything is done.
func storeProblem(message string, err error) *problem {
	return &problem{Type: unavailable, Message: message, log: fmt.Sprintf("%s: %v", appwrite.Classify(err), err)}
}

// noun returns the word for a kind in a message to an app.
func noun(kind parse.Kind) string {
	if kind == parse.Disbursement {
		return "payout"
	}
	return "payment"
}

// name is route and document, for the log.
func (p *starting) name() string { return p.nameOf(p.asked.id) }

// done is the log's line for a request to start something.
func (p *starting) done(outcome string) string {
	return p.line(p.name(), p.claim.Status, outcome)
}

// logProblem writes what an operator should know of what was not done.
func (p *starting) logProblem(failed *problem) {
	p.ctx.Log(p.done(string(failed.Type)))
	if failed.log != "" {
		p.logFailure(p.name(), failed.Type, failed.log)
	}
}
