package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// delivery is one callback, from Safaricom or out of the queue.
type delivery struct {
	*request
	uid     string // as it came
	attempt int    // 0 from Safaricom
	rest    []byte // what followed the callback in the body

	// started is the id of the started payment that a signed callback is for. Where
	// the signature cannot be verified, and our own settings may be at fault for that,
	// the callback waits until they are mended.
	started    string
	sig        string
	unverified bool

	document settle.Document // once the body was read; before, it has no id
	name     string          // route and document, for the log, likewise
}

// callback answers a callback.
func (f *Function) callback(r *request) openruntimes.Response {
	if len(r.body) > maxBody {
		r.ctx.Error(refused(r.route.name, "body too large", r.body))
		return refuse(r.ctx, http.StatusRequestEntityTooLarge, "body too large")
	}
	d := &delivery{
		request: r,
		uid:     r.ctx.Req.Query["uid"],
		attempt: attemptNumber(r.ctx.Req.Query["attempt"]),
		name:    "route=" + r.route.name,
	}
	if sig := r.ctx.Req.Query["sig"]; sig != "" {
		id := r.ctx.Req.Query["id"]
		d.unverified = !f.config.verifies(r.route.wire, id, sig)
		// One that is too long is none of ours under any key, and stays so when it is
		// cut to what the queue takes.
		d.sig = sig[:min(len(sig), signatureLength+1)]
		if settle.IsID(id) {
			d.started = id
			d.name = d.nameOf(id)
		}
	}
	// The second run of an execution has nothing to do if the first has ended well.
	key, known := d.executionKey()
	if known && f.redelivered.has(key) {
		r.ctx.Log(d.done("repeated"))
		return accepted()
	}
	reply := d.answer()
	if known && reply.StatusCode == http.StatusOK {
		f.redelivered.add(key)
	}
	return reply
}

// answer keeps what a delivery says, and replies. A panic in our code must not cost a
// verdict: the request is queued, so that a fixed version can process it.
func (d *delivery) answer() (reply openruntimes.Response) {
	defer func() {
		if p := recover(); p != nil {
			reply = d.panicked(panicSite())
		}
	}()
	if d.route.wire == forStatus && d.ctx.Req.Query[timedOut] != "" {
		d.notFinal(fmt.Errorf("timed out in Safaricom's queue: %w: %w", parse.ErrNoAnswer, parse.ErrNotFinal))
		return accepted()
	}
	verdict, callback, rest, err := read(d.route, d.body)
	d.body, d.rest = callback, rest
	if d.route.wire == forTimeout && d.signedFor() {
		// What Safaricom posts there was never captured. It says one thing whatever it is.
		if err != nil {
			verdict, err = parse.Verdict{Kind: parse.Disbursement, Status: parse.Timeout, Code: parse.NoCode}, nil
		}
		verdict.Reason = cmp.Or(verdict.Reason, "timed out in Safaricom's queue")
	}
	switch {
	case errors.Is(err, parse.ErrNotFinal):
		d.notFinal(err)
		if d.route.wire == forStatus && d.signedFor() && !errors.Is(err, parse.ErrInitiator) && !errors.Is(err, parse.ErrNoAnswer) {
			d.giveUp("Safaricom has not said what became of it")
		}
		return accepted()
	case err != nil:
		d.ctx.Error(refused(d.route.name, err.Error(), d.body))
		return refuse(d.ctx, http.StatusBadRequest, err.Error())
	}
	return d.record(verdict)
}

// signedFor reports whether a callback is for what was started under its id, and nobody
// but Safaricom can have posted it.
func (d *delivery) signedFor() bool { return d.started != "" && !d.unverified }

// notFinal writes down that a delivery has no verdict.
func (d *delivery) notFinal(err error) {
	said := ""
	if d.route.wire == forStatus {
		said = fmt.Sprintf(" said=%q", err)
	}
	d.ctx.Log(d.name + " outcome=" + string(settle.NotFinal) + said)
	d.warn(parse.Verdict{}, settle.Result{Outcome: settle.NotFinal})
	if errors.Is(err, parse.ErrInitiator) && !d.isCheck() {
		d.initiatorRefused()
	}
}

// isCheck reports whether an answer of Transaction Status is to a question of
// scripts/deploy. It asks about a payout that never was, so there is no document, and with
// credentials that may be others than the function's.
func (d *delivery) isCheck() bool {
	if !d.signedFor() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.function.clock.store)
	defer cancel()
	_, err := d.api.Get(ctx, parse.Disbursement, d.started)
	return errors.Is(err, settle.ErrNotFound)
}

// giveUp ends the questions about a payout that is a day old, since Safaricom has answered
// one, in the initiator's name, and still not said what became of it.
func (d *delivery) giveUp(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), d.function.clock.store)
	defer cancel()
	c := &checking{request: d.request}
	stored, err := d.api.Get(ctx, parse.Disbursement, d.started)
	if err == nil {
		d.function.initiator.taken(stored.Server.CreatedAt)
	}
	switch {
	case errors.Is(err, settle.ErrNotFound): // scripts/deploy asks about what never was
	case err != nil:
		d.logFailure(d.name, appwrite.Classify(err), err) // the next answer, or the third day, ends them
	case stored.Unresolved() && !stored.NextCheckAt.IsZero() && d.function.clock.now().Sub(stored.Server.CreatedAt) >= givenUpFrom:
		c.giveUp(ctx, stored, why)
	}
}

// initiatorRefused notes down what Safaricom does not do because of our own settings, and
// not because of a payee. For an hour nothing is asked or paid in the initiator's name, if
// Safaricom itself has said so.
func (d *delivery) initiatorRefused() {
	if d.signedFor() {
		d.function.initiator.refused(d.function.clock.now())
	}
	d.logFailure(d.name, badCredentials,
		"Safaricom refuses DARAJA_INITIATOR, its password or its role: a wrong password is accepted first, and several in a row lock the initiator")
}

// read parses a body. Of one that is no JSON the callback is taken that it begins with,
// if it is complete, and what follows is returned as rest: whoever sent too much has
// said it all the same.
func read(rt *route, body []byte) (v parse.Verdict, callback, rest []byte, err error) {
	if v, err = rt.parse(body); !errors.Is(err, parse.ErrSyntax) {
		return v, body, nil, err
	}
	callback, rest = parse.Split(body)
	v, errWithoutRest := rt.parse(callback)
	if errWithoutRest == nil || errors.Is(errWithoutRest, parse.ErrNotFinal) {
		return v, callback, rest, errWithoutRest
	}
	return parse.Verdict{}, body, nil, err
}

// record keeps a verdict and replies.
func (d *delivery) record(v parse.Verdict) openruntimes.Response {
	f := d.function
	if v.ID == "" {
		v.ID = d.started // which is the payout's own
	}
	ours := d.signedFor() && v.Kind == parse.Disbursement && v.Status == parse.Failed && parse.InitiatorRefused(v.Code)
	if ours {
		v.Reason = "the business's own initiator, not the payee: " + v.Reason
	}
	d.document = settle.New(v, settle.ReadRole(v.Kind, d.uid, f.config.anonymousRead), f.clock.now())
	if d.started == "" {
		d.name += " id=" + maskedID(&d.document)
	}
	store := d.settle
	if d.unverified {
		store = nil // it is only queued, until the settings are mended
	}
	result, err := d.storeOrEnqueue(store)
	switch {
	case ours && d.attempt == 0 && result.Outcome != settle.Duplicate: // what comes again is no news
		d.initiatorRefused()
	case !ours && d.signedFor() && v.Kind == parse.Disbursement && v.Status != parse.Timeout:
		f.initiator.taken(result.Stored.Server.CreatedAt)
	}
	if result.Outcome == settle.NotKept {
		d.ctx.Error(d.unsettled())
	}
	if d.unverified {
		d.logFailure(d.name, appwrite.Permanent, "the signature cannot be verified: is "+SigningKey+" the one that signed it?")
	}
	if err != nil {
		d.logFailure(d.name, appwrite.Classify(err), err)
	}
	d.warn(v, result)
	d.logDisagreement(result)
	if result.Outcome == settle.NotFinal {
		d.giveUp(fmt.Sprintf("Safaricom says status=%s receipt=%s of %d shillings, which is not what was asked for", v.Status, v.Receipt, v.Amount))
	}
	return d.finish(result.Outcome)
}

// settle settles the document, if the settings allow it: over the started one of its id,
// or without one under its own.
func (d *delivery) settle(ctx context.Context) (settle.Result, error) {
	if err := d.function.config.incomplete(d.document.Kind); err != nil {
		return settle.Result{}, err
	}
	switch {
	case d.started == "":
		return settle.Settle(ctx, d.api, &d.document)
	case d.route.wire == forStatus:
		return settle.SettleStatus(ctx, d.api, d.started, &d.document)
	default:
		return settle.SettleStarted(ctx, d.api, d.started, &d.document)
	}
}

// incomplete says what must be set before a document of that kind can be stored.
func (c *config) incomplete(kind parse.Kind) error {
	if missing := c.missing(kind); len(missing) > 0 {
		return errors.New("configuration: " + strings.Join(missing, "; "))
	}
	return nil
}

// panicked queues what this version cannot handle.
func (d *delivery) panicked(site string) openruntimes.Response {
	result, err := d.storeOrEnqueue(nil)
	if result.Outcome == settle.NotKept && d.document.DocumentID != "" {
		d.ctx.Error(d.unsettled())
	}
	d.ctx.Error("panic " + d.name + " at=" + site + " " + describeBody(d.body))
	if err != nil {
		d.logFailure(d.name, appwrite.Classify(err), err)
	}
	return d.finish(result.Outcome)
}

// unsettled is the line for a document that was neither stored nor queued.
func (d *delivery) unsettled() string {
	if d.unverified {
		return d.document.UnsettledUnverified(d.route.wire, d.started)
	}
	return d.document.Unsettled(d.route.wire, d.uid, d.started)
}

// finish writes the log line of a delivery and replies.
func (d *delivery) finish(outcome settle.Outcome) openruntimes.Response {
	d.ctx.Log(d.done(outcome))
	if outcome == settle.NotKept {
		return refuse(d.ctx, http.StatusServiceUnavailable, "not recorded")
	}
	return accepted()
}

// warnings says what an operator should know about a verdict that is kept all the same.
func (d *delivery) warnings(v parse.Verdict, result settle.Result) (warnings []string) {
	if v.Warning != "" {
		warnings = append(warnings, v.Warning)
	}
	if len(d.rest) > 0 {
		warnings = append(warnings, fmt.Sprintf("after the callback: bytes=%d%s", len(d.rest), recognize(d.rest)))
	}
	doc := &d.document
	stored := result.Outcome != settle.NotKept && result.Outcome != settle.Queued // else it is said when it is stored
	if stored && doc.Status == parse.Success && max(doc.Rank(), result.Stored.Rank()) < settle.Complete {
		warnings = append(warnings, "SUCCESS without receipt or amount: the app shows it to nobody")
	}
	switch {
	case result.Outcome == settle.Ignored:
		warnings = append(warnings, "an unsigned callback for what was started here: it has not touched that, and said "+summary(doc))
	case result.Unsigned:
		warnings = append(warnings, "an unsigned callback for what was started here: it has not touched that")
	case d.started != "" && result.Outcome == settle.Created:
		warnings = append(warnings, "there is no document of this started payment any more: only the server can read this one")
	case doc.ReadRole == "" && result.Outcome == settle.Created:
		warnings = append(warnings, "no valid uid in the callback's URL: only the server can read this document")
	}
	if asked := result.Stored.RequestedAmount; stored && asked != 0 && doc.Status == parse.Success && doc.Amount != 0 && doc.Amount != asked {
		warnings = append(warnings, fmt.Sprintf("paid were %d shillings, and asked for were %d", doc.Amount, asked))
	}
	return warnings
}
