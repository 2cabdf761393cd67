package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// When Safaricom is asked what became of a payment. Ages are counted from the server's
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

// nextCheck returns when to ask next about a payment of that creation. It follows from
// the payment's age and not from how often it was asked about, so that nothing has to be
// counted.
func nextCheck(created, now time.Time) time.Time {
	const minute, hour, every = time.Minute, time.Hour, 8 * time.Hour
	for _, age := range [...]time.Duration{90 * time.Second, 5 * minute, 10 * minute, 20 * minute, 50 * minute,
		2 * hour, 4 * hour, 8 * hour, 16 * hour} {
		if at := created.Add(age); at.After(now) {
			return at
		}
	}
	for age := day; age <= givenUpAt; age += every {
		if at := created.Add(age); at.After(now) {
			return at
		}
	}
	return now.Add(every) // if giving up fails
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

// checking asks Safaricom what became of started payments.
type checking struct {
	*request
	function *Function
	api      appwrite.Documents

	until     time.Time // no question begins later
	asked     time.Time // when the last one did
	questions int       // how many did
	stop      bool      // no more of them: Safaricom takes none, or the time is up
}

// look claims a document by moving its next check, asks Safaricom what became of it, and
// settles what it says. It returns the document as it then stands.
func (c *checking) look(ctx context.Context, d settle.Document, next time.Time) (settle.Document, progress) {
	now := c.function.clock.now()
	age := now.Sub(d.Server.CreatedAt)
	switch {
	case !d.Unresolved():
		return c.amend(ctx, d, settle.CheckAt(time.Time{}), cleared)
	case d.Status == settle.Pending && d.Reason == settle.Interrupted && age >= interruptedAfter:
		return c.amend(ctx, d, settle.Failure(d.Reason, parse.NoCode, now), notSent)
	}
	asks := d.ID != "" // else Safaricom has named it to nobody
	if asks && !(c.waitForTurn() && (age >= givenUpAt || c.ready(ctx))) {
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
		return c.giveUp(ctx, d)
	case asks:
		return d, unknown
	}
	return d, stood
}

// amend changes a document, if it is still as it was read.
func (c *checking) amend(ctx context.Context, d settle.Document, changes any, done progress) (settle.Document, progress) {
	changed, err := c.api.Amend(ctx, &d, changes)
	switch {
	case errors.Is(err, settle.ErrChanged):
		return d, stood
	case err != nil:
		c.logFailure(d.DocumentID, string(appwrite.Classify(err)), err.Error())
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
// minute (its own words in a refusal); what production takes is told by nobody.
func (c *config) betweenQuestions() time.Duration {
	if c.environment == "production" {
		return time.Second
	}
	return 12 * time.Second
}

// ready fetches a token: without one nothing can be asked, and nothing is claimed.
func (c *checking) ready(ctx context.Context) bool {
	token := c.function.pushes.Token(ctx)
	if token.Outcome != daraja.Accepted {
		c.refused("-", token.Detail)
		return false
	}
	return true
}

// ask asks about a claimed document and settles a verdict. answered says that Safaricom
// told how the payment stands, be it that nobody knows.
func (c *checking) ask(ctx context.Context, d settle.Document, age time.Duration) (stands settle.Document, did progress, answered bool) {
	c.asked = c.function.clock.now()
	c.questions++
	answer := c.function.pushes.Query(ctx, d.ID)
	if !answer.Answered {
		c.refused(d.DocumentID, answer.Detail)
		if answer.Throttled {
			c.stop = true
			d, did = c.amend(ctx, d, settle.CheckAt(c.function.clock.now().Add(throttledFor)), unknown)
		}
		return d, did, false
	}
	v, err := parse.Query(answer.Body)
	if err != nil || age < believedFrom && v.Status != parse.Cancelled {
		return d, unknown, true
	}
	d, did = c.settle(d, v)
	return d, did, true
}

// settle settles what Safaricom said, and tries once more if what failed passes by itself.
// If a callback said otherwise meanwhile, that stands, and a person has to look.
func (c *checking) settle(d settle.Document, v parse.Verdict) (settle.Document, progress) {
	ctx, cancel := context.WithTimeout(context.Background(), c.function.clock.store)
	defer cancel()
	now := c.function.clock.now()
	stands, written, err := settle.SettleAnswer(ctx, c.api, d, v, now)
	if err != nil && appwrite.Classify(err) == appwrite.Transient && ctx.Err() == nil {
		stands, written, err = settle.SettleAnswer(ctx, c.api, stands, v, now)
	}
	switch {
	case err != nil:
		c.logFailure(d.DocumentID, string(appwrite.Classify(err)), err.Error())
		return stands, unstored
	case stands.Unresolved():
		return stands, unknown
	case !written && v.Status != parse.Timeout && v.Status != stands.Status:
		c.logUnresolved(&stands, fmt.Sprintf("asked, Safaricom says status=%s code=%d", v.Status, v.Code))
	}
	return stands, found
}

// giveUp ends the questions about a document, and says so to an operator. The line is
// written too where it is not known whether the document was: twice is better than never.
func (c *checking) giveUp(ctx context.Context, d settle.Document) (settle.Document, progress) {
	d, did := c.amend(ctx, d, settle.GiveUp(&d, c.function.clock.now()), gaveUp)
	if did != stood {
		c.logUnresolved(&d, "Safaricom has not said what became of it, and is not asked again")
	}
	return d, did
}

// refused logs what an operator should know of an answer that says nothing of the
// payment. While it is under way, such answers are nothing to know of.
func (c *checking) refused(id string, d daraja.Detail) {
	switch {
	case d.Credentials:
		c.stop = true
		c.logFailure(id, string(badCredentials), describeDetail(d))
	case d.Throttled:
		c.logFailure(id, "throttled", describeDetail(d))
	case d.HTTPStatus == 0:
		c.logFailure(id, string(unavailable), describeDetail(d))
	}
}

func (c *checking) logFailure(id, reason, text string) {
	c.ctx.Error(fmt.Sprintf("failed route=%s id=%s reason=%q error=%q", c.route.name, safeID(id), reason, text))
}

// logUnresolved writes the line for a payment that a person has to look into.
func (c *checking) logUnresolved(d *settle.Document, why string) {
	c.ctx.Error(unresolved(c.route.name, d, why))
}

// unresolved is the line for a started payment of which the function cannot find out more.
func unresolved(route string, d *settle.Document, why string) string {
	return fmt.Sprintf("UNRESOLVED route=%s id=%s status=%s asked=%d reason=%q", route, safeID(d.DocumentID), d.Status, d.RequestedAmount, why)
}

// check answers an app that asks what became of its user's payment: at once if that is
// known, or if it was looked at within some seconds, else after asking Safaricom.
func (f *Function) check(r *request) (reply openruntimes.Response) {
	c := &checking{request: r, function: f, api: f.documents(r.ctx.Req.Headers["x-appwrite-key"])}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.pushLasts)
	defer cancel()
	id, failed := readCheck(r.body)
	defer func() {
		if recover() != nil {
			r.ctx.Error("panic route=" + r.route.name + " id=" + safeID(id) + " at=" + panicSite())
			reply = r.fail(&problem{Type: unavailable, Message: "something is wrong here; ask again"})
		}
	}()
	var d settle.Document
	did := progress("")
	if failed == nil {
		d, did, failed = c.checkOne(ctx, id)
	}
	if failed != nil {
		did = progress(failed.Type)
		if failed.log != "" {
			c.logFailure(id, string(failed.Type), failed.log)
		}
		reply = r.fail(failed)
	} else {
		reply = r.reply(http.StatusOK, &pushReply{ID: id, Status: d.Status, CheckoutRequestID: d.ID})
	}
	r.ctx.Log("route=" + r.route.name + " id=" + safeID(id) + " status=" + cmp.Or(string(d.Status), "-") + " outcome=" + string(did) +
		" calls=" + strconv.Itoa(c.api.Calls()) + " ms=" + strconv.FormatInt(time.Since(r.start).Milliseconds(), 10))
	return reply
}

// readCheck reads the id of a payment.
func readCheck(body []byte) (string, *problem) {
	var given struct{ ID string }
	if json.Unmarshal(body, &given) != nil || !isRequestID(given.ID) {
		return "", &problem{Type: invalidArgument, Message: "some fields are wrong", Fields: map[string]string{"id": idRule}}
	}
	return given.ID, nil
}

// checkOne looks at the payment of an id, if it is the caller's.
func (c *checking) checkOne(ctx context.Context, id string) (settle.Document, progress, *problem) {
	none := settle.Document{}
	if failed := c.function.ready(ctx, c.api); failed != nil {
		return none, "", failed
	}
	account, failed := c.function.caller(ctx, c.request, c.api)
	if failed != nil {
		return none, "", failed
	}
	d, err := c.api.Get(ctx, parse.Payment, id)
	switch {
	case err == nil && d.RequestKey != "" && d.UserID == account.ID:
	case err == nil || errors.Is(err, settle.ErrNotFound):
		return none, "", &problem{Type: notFoundHere, Message: "you have no payment with this id"}
	default:
		return none, "", &problem{Type: unavailable, Message: "the payment could not be read; ask again", log: fmt.Sprintf("%s: %v", appwrite.Classify(err), err)}
	}
	if !c.worthALook(&d) {
		return d, stood, nil
	}
	safaricom, cancel := c.function.clock.forSafaricom(ctx, c.start)
	defer cancel()
	d, did := c.look(safaricom, d, c.function.clock.now().Add(askedAgainIn))
	if did == stood { // others are at it
		if later, err := c.api.Get(ctx, parse.Payment, id); err == nil {
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
	return d.ID != "" || d.Reason == settle.Interrupted && now.Sub(d.Server.CreatedAt) >= interruptedAfter
}
