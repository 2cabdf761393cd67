package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// When Safaricom is asked what became of a payment or payout. Ages are counted from the server's
// $createdAt.
const (
	interruptedAfter = 60 * time.Second // a claim that is not marked as sent by then never was
	believedFrom     = 60 * time.Second // of a younger payment only a cancellation is believed
	givenUpFrom      = day              // an answer without a verdict ends the questions
	givenUpAt        = 3 * day          // so does no answer
	throttledFor     = 5 * time.Minute
	askedAgainIn     = 15 * time.Second // by the sweep, after a user's own question
	askedLately      = 10 * time.Second // nobody asks again so soon
)

// nextCheck returns when to ask next about what was started then. It follows from its age
// and not from how often it was asked about, so that nothing has to be counted.
func nextCheck(created, now time.Time) time.Time {
	for _, age := range checkAges() {
		if at := created.Add(age); at.After(now) {
			return at
		}
	}
	return now.Add(checkEvery) // if giving up fails
}

const checkEvery = 8 * time.Hour // from the first day on

// checkAges lists when what was started is asked about, counted from its creation.
func checkAges() []time.Duration {
	const minute, hour = time.Minute, time.Hour
	ages := []time.Duration{90 * time.Second, 5 * minute, 10 * minute, 20 * minute, 50 * minute, 2 * hour, 4 * hour, 8 * hour, 16 * hour}
	for age := day; age <= givenUpAt; age += checkEvery {
		ages = append(ages, age)
	}
	return ages
}

// progress says what came of a look at one document, in the log's words.
type progress string

const (
	stood    progress = "stood"    // nothing was to be asked, or others are at it
	claimed  progress = "claimed"  // it is ours to ask about
	cleared  progress = "cleared"  // it was final already, and is not asked about again
	notSent  progress = "not-sent" // it never went out, and says so now
	unknown  progress = "unknown"  // Safaricom was asked, and has not said what became of it
	found    progress = "found"    // Safaricom has
	gaveUp   progress = "given-up" // nobody asks again
	unstored progress = "failed"   // the database failed
)

// checking asks Safaricom what became of started payments and payouts.
type checking struct {
	*request
	until     time.Time // no question begins later
	asked     time.Time // when the last one did
	questions int       // how many did
	stop      bool      // no more of them: the time is up

	stopped []parse.Kind // about these Safaricom takes no more questions
}

// look claims a document by moving its next check, asks Safaricom what became of it, and
// settles what it says. It returns the document as it was last read or written.
func (c *checking) look(ctx context.Context, d settle.Document, next time.Time) (settle.Document, progress) {
	now := c.function.clock.now()
	age := now.Sub(d.Server.CreatedAt)
	switch {
	case !d.Unresolved():
		return c.amend(ctx, d, settle.CheckAt(time.Time{}), cleared)
	case d.Status == settle.Pending && d.Reason == settle.Interrupted && age >= interruptedAfter:
		return c.amend(ctx, d, settle.Failure(d.Reason, parse.NoCode, now), notSent)
	}
	asks := canAsk(&d) && c.mayAsk(ctx, d.Kind)
	switch {
	case canAsk(&d) && !asks && age < givenUpAt:
		return d, stood
	case asks && !c.waitForTurn():
		c.stop = true
		return d, stood
	}
	d, did := c.amend(ctx, d, settle.CheckAt(next), claimed)
	if did != claimed {
		return d, did
	}
	answered := false
	if asks {
		d, did, answered = c.ask(ctx, d, age)
	}
	switch {
	case did == found || did == unstored:
		return d, did
	case age >= givenUpAt || answered && age >= givenUpFrom:
		return c.giveUp(ctx, d, "Safaricom has not said what became of it")
	case asks:
		return d, unknown
	}
	return d, stood
}

// canAsk reports whether there is a name to ask by. A payout has that of its app; a
// payment has none until Safaricom has named it.
func canAsk(d *settle.Document) bool { return d.Kind == parse.Disbursement || d.ID != "" }

// stopAsking ends the questions about that kind.
func (c *checking) stopAsking(kind parse.Kind) { c.stopped = append(c.stopped, kind) }

// mayAsk reports whether Safaricom takes a question about that kind. Without a token
// nothing can be asked, and nothing is claimed; and a question in the name of an initiator
// whom Safaricom refuses would be one more of the wrong tries after which it locks them.
func (c *checking) mayAsk(ctx context.Context, kind parse.Kind) bool {
	switch {
	case slices.Contains(c.stopped, kind):
		return false
	case kind == parse.Disbursement && c.function.initiator.isRefused(c.function.clock.now()):
		c.logFailure(c.nameOf(""), badCredentials, "Safaricom has refused DARAJA_INITIATOR within the last hour: nothing is asked in their name")
		c.stopAsking(kind)
		return false
	}
	token := c.function.client(kind).Token(ctx)
	if token.Outcome != daraja.Accepted {
		c.noteRefusal("", token.Detail)
		c.stopAsking(kind)
		return false
	}
	return true
}

// amend changes a document, if it is still as it was read: the progress is done then. If it
// is not, that is stood, and if the database failed, unstored; the document is as it was
// given then.
func (c *checking) amend(ctx context.Context, d settle.Document, changes any, done progress) (settle.Document, progress) {
	changed, err := c.api.Amend(ctx, &d, changes)
	switch {
	case errors.Is(err, settle.ErrChanged):
		return d, stood
	case err != nil:
		c.logFailure(c.nameOf(d.DocumentID), appwrite.Classify(err), err)
		return d, unstored
	}
	return changed, done
}

// waitForTurn keeps questions apart. It reports whether one may begin in time.
func (c *checking) waitForTurn() bool {
	clock := &c.function.clock
	if c.asked.IsZero() {
		return true
	}
	turn := c.asked.Add(c.function.config.betweenQuestions())
	if !turn.Before(c.until) {
		return false
	}
	if wait := turn.Sub(clock.now()); wait > 0 {
		clock.pause(wait)
	}
	return true
}

// betweenQuestions is the time from one question to the next. The sandbox takes five a
// minute (its own words in a refusal); what production takes is not known.
func (c *config) betweenQuestions() time.Duration {
	if c.environment == "production" {
		return time.Second
	}
	return 12 * time.Second
}

// ask asks about a claimed document, settles a verdict, and returns the document as it is
// now. answered says that Safaricom has said in what state the payment is, be it that it
// does not know: for payouts it never does, since the answer comes later.
func (c *checking) ask(ctx context.Context, d settle.Document, age time.Duration) (_ settle.Document, did progress, answered bool) {
	c.asked = c.function.clock.now()
	c.questions++
	if d.Kind == parse.Disbursement {
		d, did = c.askAboutPayout(ctx, d, age)
		return d, did, false
	}
	answer := c.function.pushes.Query(ctx, d.ID)
	if !answer.Answered {
		d, did = c.unanswered(ctx, d, answer.Detail)
		return d, did, false
	}
	v, err := parse.Query(answer.Body)
	if err != nil || age < believedFrom && v.Status != parse.Cancelled {
		return d, unknown, true
	}
	d, did = c.settle(d, v)
	return d, did, true
}

// timedOut is in the query of the URL to which Safaricom posts that a question has waited
// too long in its queue. That body may look like an answer, and says nothing. The
// parameter is not signed: whoever adds it takes only from what they say themselves.
const timedOut = "timeout"

// statusURLs are where Safaricom posts the answer to a question about the payout of that
// id, and that it has none.
func (c *config) statusURLs(id string) (answer, timeout string) {
	answer = c.callbackURL(forStatus, id)
	return answer, answer + "&" + timedOut + "=1"
}

// askAboutPayout asks by Transaction Status. The answer comes to /b2c/status, signed.
func (c *checking) askAboutPayout(ctx context.Context, d settle.Document, age time.Duration) (settle.Document, progress) {
	answerTo, timeoutTo := c.function.config.statusURLs(d.DocumentID)
	answer := c.function.payouts.TransactionStatus(ctx, daraja.StatusRequest{
		OriginalConversationID: nameOfPayout(&d, age), Remarks: "What became of it", ResultURL: answerTo, TimeoutURL: timeoutTo,
	})
	if answer.Outcome != daraja.Accepted {
		return c.unanswered(ctx, d, answer.Detail)
	}
	return d, unknown
}

// nameOfPayout returns by which of its two names a payout is asked about: by its app's
// and by Safaricom's in turn, since nothing tells which of them Transaction Status knows.
// The turn follows from the age, as the time of the next question does.
func nameOfPayout(d *settle.Document, age time.Duration) string {
	turn := 0
	for _, due := range checkAges() {
		if age >= due {
			turn++
		}
	}
	if d.Conversation != "" && turn > 0 && turn%2 == 0 {
		return d.Conversation
	}
	return d.DocumentID
}

// underWay is Safaricom's error for a payment that is under way, among others, and nothing
// for an operator to know of.
const underWay = "500.001.1001"

// unanswered notes down that Safaricom has not taken a question.
func (c *checking) unanswered(ctx context.Context, d settle.Document, why daraja.Detail) (settle.Document, progress) {
	if d.Kind == parse.Disbursement || !strings.HasPrefix(why.Code, underWay) {
		c.noteRefusal(d.DocumentID, why)
	}
	if why.Credentials || why.Throttled {
		c.stopAsking(d.Kind)
	}
	if !why.Throttled {
		return d, unknown
	}
	return c.amend(ctx, d, settle.CheckAt(c.function.clock.now().Add(throttledFor)), unknown)
}

// settle settles what Safaricom said. If a callback has said otherwise meanwhile, that is
// kept, and a person has to look. It returns the document as it is now.
func (c *checking) settle(d settle.Document, v parse.Verdict) (settle.Document, progress) {
	now, written := c.function.clock.now(), false
	err := c.function.clock.twice(func(ctx context.Context) (err error) {
		d, written, err = settle.SettleAnswer(ctx, c.api, d, v, now)
		return err
	})
	switch {
	case err != nil:
		c.logFailure(c.nameOf(d.DocumentID), appwrite.Classify(err), err)
		return d, unstored
	case d.Unresolved():
		return d, unknown
	case written && v.Status == parse.Success:
		c.ctx.Error(fmt.Sprintf("odd %s reason=%q", c.nameOf(d.DocumentID),
			"paid, says Safaricom when asked; the receipt is still to come with the callback, or is in M-Pesa's statement"))
	case !written && v.Status != parse.Timeout && v.Status != d.Status:
		c.logUnresolved(&d, fmt.Sprintf("asked, Safaricom says status=%s code=%d", v.Status, v.Code))
	}
	return d, found
}

// giveUp ends the questions about a document, and says so to an operator. The line is
// written too where it is not known whether the document was: twice is better than never.
func (c *checking) giveUp(ctx context.Context, d settle.Document, why string) (settle.Document, progress) {
	d, did := c.amend(ctx, d, settle.GiveUp(&d, c.function.clock.now()), gaveUp)
	if did != stood {
		c.logUnresolved(&d, why+", and is not asked again")
	}
	return d, did
}

// noteRefusal logs an answer of Safaricom's that says nothing of what was asked about:
// the document of that id, or "" for none.
func (c *checking) noteRefusal(id string, d daraja.Detail) {
	reason := string(unavailable)
	switch {
	case d.Credentials:
		reason = string(badCredentials)
	case d.Throttled:
		reason = "throttled"
	}
	c.logFailure(c.nameOf(id), reason, describeDetail(d))
}

// logUnresolved writes the line for a payment that a person has to look into.
func (c *checking) logUnresolved(d *settle.Document, why string) {
	c.ctx.Error(unresolved(c.route.name, d, why))
}

func (f *Function) checkPayment(r *request) openruntimes.Response { return f.check(r, parse.Payment) }
func (f *Function) checkPayout(r *request) openruntimes.Response {
	return f.check(r, parse.Disbursement)
}

// check answers an app that asks what became of its user's payment or payout: at once if
// that is known, or if it was looked at within some seconds, else after asking Safaricom.
func (f *Function) check(r *request, kind parse.Kind) (reply openruntimes.Response) {
	if len(r.body) > maxBody {
		return r.tooLarge()
	}
	c := &checking{request: r}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.pushLasts)
	defer cancel()
	id, failed := readCheck(r.body)
	defer func() {
		if recover() != nil {
			r.ctx.Error("panic " + r.nameOf(id) + " at=" + panicSite())
			reply = r.fail(&problem{Type: unavailable, Message: "something is wrong here; ask again"})
		}
	}()
	var d settle.Document
	var did progress
	if failed == nil {
		d, did, failed = c.checkOne(ctx, kind, id)
	}
	if failed != nil {
		if failed.log != "" {
			r.logFailure(r.nameOf(id), failed.Type, failed.log)
		}
		r.ctx.Log(r.line(r.nameOf(id), "", string(failed.Type)))
		return r.fail(failed)
	}
	r.ctx.Log(r.line(r.nameOf(id), d.Status, string(did)))
	return r.reply(http.StatusOK, newStartReply(&d, ""))
}

// readCheck reads the id of what was started.
func readCheck(body []byte) (string, *problem) {
	var given struct{ ID string }
	if json.Unmarshal(body, &given) != nil || !isRequestID(given.ID) {
		return "", &problem{Type: invalidArgument, Message: "some fields are wrong", Fields: map[string]string{"id": idRule}}
	}
	return given.ID, nil
}

// checkOne looks at the document of an id, if it is the caller's.
func (c *checking) checkOne(ctx context.Context, kind parse.Kind, id string) (settle.Document, progress, *problem) {
	none := settle.Document{}
	if failed := c.ready(ctx, kind, c.function.config.askProblems[kind]); failed != nil {
		return none, "", failed
	}
	account, failed := c.caller(ctx)
	if failed != nil {
		return none, "", failed
	}
	d, err := c.api.Get(ctx, kind, id)
	switch {
	case err == nil && d.RequestKey != "" && d.UserID == account.ID:
	case err == nil || errors.Is(err, settle.ErrNotFound):
		return none, "", &problem{Type: notFoundHere, Message: "you have no " + noun(kind) + " with this id"}
	default:
		return none, "", storeProblem("the "+noun(kind)+" could not be read; ask again", err)
	}
	if !c.worthALook(&d) {
		return d, stood, nil
	}
	safaricom, cancel := c.function.clock.forSafaricom(ctx, c.start)
	defer cancel()
	d, did := c.look(safaricom, d, c.function.clock.now().Add(askedAgainIn))
	if did == stood { // others are at it
		if later, err := c.api.Get(ctx, kind, id); err == nil {
			d = later
		}
	}
	return d, did, nil
}

// worthALook reports whether looking at a payment now may tell more of it. One that was
// given up stays so.
func (c *checking) worthALook(d *settle.Document) bool {
	now := c.function.clock.now()
	if !d.Unresolved() || d.NextCheckAt.IsZero() || now.Sub(d.Server.ChangedAt()) < askedLately {
		return false
	}
	if d.Reason == settle.Interrupted {
		return now.Sub(d.Server.CreatedAt) >= interruptedAfter
	}
	return canAsk(d)
}
