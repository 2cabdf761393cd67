package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// pushRequest is what an app posts to start a payment.
type pushRequest struct {
	id          string
	phone       string // as Safaricom takes it
	amount      int64  // whole shillings
	reference   string
	description string
	again       bool
}

// readPush reads and checks a request, and fills in defaults. The problem names every
// field that is wrong, and quotes nothing.
func readPush(body []byte) (p pushRequest, wrong *problem) {
	var given map[string]json.RawMessage
	if json.Unmarshal(body, &given) != nil || given == nil {
		return p, &problem{Type: invalidArgument, Message: "the body is not one JSON object"}
	}
	fields := map[string]string{}
	// check reads a field, and says what it must be if it is of another type, or not
	// right. An absent one, and null, is the zero value.
	check := func(name string, to any, right func() bool, rule string) {
		raw, present := given[name]
		delete(given, name)
		if present && json.Unmarshal(raw, to) != nil || !right() {
			fields[name] = rule
		}
	}
	check("id", &p.id, func() bool { return isRequestID(p.id) }, idRule)
	check("phone", &p.phone, func() bool {
		phone, err := daraja.ParseMSISDN(p.phone)
		p.phone = phone
		return err == nil
	}, "must be a Kenyan mobile number, such as 0712345678")
	check("amount", &p.amount, func() bool { return p.amount >= 1 && p.amount <= 250_000 }, "must be whole shillings, 1 to 250000")
	check("reference", &p.reference, func() bool { return isPlainText(p.reference, 12) }, "must be 1 to 12 letters, digits, spaces and hyphens")
	check("description", &p.description, func() bool { return p.description == "" || isPlainText(p.description, 13) }, "must be 1 to 13 letters, digits, spaces and hyphens")
	check("again", &p.again, func() bool { return true }, "must be true or false")
	for name := range given {
		fields[name] = "is not known"
	}
	if len(fields) > 0 {
		return p, &problem{Type: invalidArgument, Message: "some fields are wrong", Fields: fields}
	}
	p.description = cmp.Or(p.description, p.reference)
	return p, nil
}

const idRule = "must be 16 to 36 of 0-9, a-f and hyphen, the first and last no hyphen"

const hexDigits = "0123456789abcdef"

// isRequestID reports whether s may be the id of a payment that is to be started:
// Appwrite's ID.unique() and UUIDs are. Other letters could spell a word that Safaricom
// refuses in a URL.
func isRequestID(s string) bool {
	return len(s) >= 16 && len(s) <= 36 && strings.Trim(s, hexDigits+"-") == "" &&
		strings.Contains(hexDigits, s[:1]) && strings.Contains(hexDigits, s[len(s)-1:])
}

// isPlainText reports whether Safaricom takes s: others than these characters broke
// requests.
func isPlainText(s string, limit int) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -"
	return s != "" && len(s) <= limit && strings.Trim(s, plain) == "" && strings.TrimSpace(s) == s
}

// pushing is one request to start a payment on its way.
type pushing struct {
	*request
	function *Function
	api      appwrite.Documents
	asked    pushRequest
	account  appwrite.Account

	requestKeys, phoneKeys []string // under each signing key
	claim                  settle.Document
	claimed                bool
}

// push starts a payment: it asks the payer's phone for it, once, whatever breaks and
// however often it is asked.
func (f *Function) push(r *request) openruntimes.Response {
	if len(r.body) > maxBody {
		r.ctx.Error(refused(r.route.name, "body too large", nil))
		return r.reply(http.StatusRequestEntityTooLarge, map[string]*problem{"error": {Type: invalidArgument, Message: "the body is too large"}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.pushLasts)
	defer cancel()
	p := &pushing{request: r, function: f, api: f.documents(r.ctx.Req.Headers["x-appwrite-key"])}
	return p.answer(ctx)
}

// answer asks and replies. A panic in our code leaves what was claimed, of which money
// may have moved: the reply is what was last known of it.
func (p *pushing) answer(ctx context.Context) (reply openruntimes.Response) {
	defer func() {
		if recover() == nil {
			return
		}
		p.ctx.Error("panic " + p.name() + " at=" + panicSite())
		if p.claim.DocumentID == "" {
			reply = p.fail(&problem{Type: unavailable, Message: "something is wrong here, and nothing was sent"})
			return
		}
		reply = p.reply(http.StatusOK, p.stands(""))
	}()
	told, failed := p.run(ctx)
	switch {
	case failed != nil:
		p.logProblem(failed)
		return p.fail(failed)
	case p.claimed:
		p.ctx.Log(p.line(string(p.claim.Status), "started"))
	default:
		p.ctx.Log(p.line(string(p.claim.Status), "repeated"))
	}
	return p.reply(http.StatusOK, told)
}

// pushReply tells an app what stands. It then waits for the document.
type pushReply struct {
	ID                string       `json:"id"`
	Status            parse.Status `json:"status"`
	CheckoutRequestID string       `json:"checkoutRequestId"`
	CustomerMessage   string       `json:"customerMessage"`
}

// run goes through the steps. A failure leaves nothing behind that is not true.
func (p *pushing) run(ctx context.Context) (*pushReply, *problem) {
	var failed *problem
	if p.asked, failed = readPush(p.body); failed != nil {
		return nil, failed
	}
	if failed = p.function.ready(ctx, p.api); failed != nil {
		return nil, failed
	}
	if p.account, failed = p.function.caller(ctx, p.request, p.api); failed != nil {
		return nil, failed
	}
	if failed = p.function.mayPush(p.account); failed != nil {
		return nil, failed
	}
	a, c := p.asked, &p.function.config
	p.requestKeys = c.keyedHashes(forRequest, a.phone, strconv.FormatInt(a.amount, 10), a.reference, a.description)
	p.phoneKeys = c.keyedHashes(forPhone, a.phone)
	if repeated, failed := p.makeClaim(ctx); repeated != nil || failed != nil {
		return repeated, failed
	}
	if failed = p.checkLimits(ctx); failed == nil {
		failed = p.goAhead(ctx)
	}
	if failed != nil {
		return p.giveUp(failed, -1)
	}
	return p.send(ctx)
}

// makeClaim creates the document. If there is one of that id, this is a repeat, and is
// answered with what stands. A claim whose creation had no clear answer sends nothing:
// asked again, the id is a repeat.
func (p *pushing) makeClaim(ctx context.Context) (*pushReply, *problem) {
	now := p.function.clock.now()
	claim := settle.Claim(p.asked.id, settle.Started{
		UserID: p.account.ID, Reference: p.asked.reference, RequestedAmount: p.asked.amount,
		RequestKey: p.requestKeys[0], PhoneKey: p.phoneKeys[0], NextCheckAt: nextCheck(now, now),
	}, now)
	var err error
	p.claim, err = p.api.Claim(ctx, &claim)
	switch {
	case err == nil:
		p.claimed = true
		return nil, nil
	case appwrite.Status(err) == http.StatusBadRequest:
		return nil, &problem{Type: notConfigured, Message: notReady, log: "the collection of payments lacks an attribute: run scripts/deploy: " + err.Error()}
	case !errors.Is(err, settle.ErrExists):
		return nil, p.storeProblem("the payment could not be noted down, and nothing was sent", err)
	}
	stored, err := p.api.Get(ctx, parse.Payment, p.asked.id)
	switch {
	case errors.Is(err, settle.ErrNotFound):
		return nil, &problem{Type: conflicting, Message: "this id was used before"}
	case err != nil:
		return nil, p.storeProblem("whether this id was used before could not be seen, and nothing was sent", err)
	case stored.UserID != p.account.ID || !slices.Contains(p.requestKeys, stored.RequestKey):
		return nil, &problem{Type: conflicting, Message: "this id belongs to another request"}
	}
	p.claim = stored
	return p.stands(""), nil
}

// stands replies with the document as it was last read or written.
func (p *pushing) stands(message string) *pushReply {
	return &pushReply{p.asked.id, p.claim.Status, p.claim.ID, message}
}

// goAhead fetches a token and then marks the claim as one that may have been sent.
// Without a clear answer to that nothing is sent.
func (p *pushing) goAhead(ctx context.Context) *problem {
	safaricom, cancel := p.function.clock.forSafaricom(ctx, p.start)
	defer cancel()
	if answer := p.function.pushes.Token(safaricom); answer.Outcome != daraja.Accepted {
		return p.safaricomProblem(answer)
	}
	marked, err := p.api.Amend(ctx, &p.claim, settle.GoAhead())
	if err != nil {
		return p.storeProblem("the payment could not be noted down, and nothing was sent", err)
	}
	p.claim = marked
	return nil
}

// send asks Safaricom, and notes down what came of it.
func (p *pushing) send(ctx context.Context) (*pushReply, *problem) {
	f := p.function
	safaricom, cancel := f.clock.forSafaricom(ctx, p.start)
	defer cancel()
	answer := f.pushes.Push(safaricom, daraja.PushRequest{
		Phone: p.asked.phone, Amount: p.asked.amount, Reference: p.asked.reference, Description: p.asked.description,
		CallbackURL: f.config.callbackURL(forCallback, p.asked.id),
	})
	switch answer.Outcome {
	case daraja.Refused, daraja.NotSent:
		code, err := strconv.Atoi(answer.Code)
		if err != nil {
			code = -1
		}
		return p.giveUp(p.safaricomProblem(answer), code)
	case daraja.Unknown:
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), "unknown whether it was sent", answer.Reason))
	}
	if answer.CheckoutRequestID != "" {
		p.nameTransaction(answer.CheckoutRequestID)
	}
	return p.stands(answer.CustomerMessage), nil
}

// nameTransaction notes down how Safaricom calls the payment. The callback may have done
// so already. If it cannot be stored, it goes to the error log, and is replayed.
func (p *pushing) nameTransaction(checkoutRequestID string) {
	unnamed := func(d *settle.Document) bool { return d.ID == "" }
	if err := p.change(settle.Name(checkoutRequestID), unnamed); err != nil {
		p.claim.ID = checkoutRequestID
		p.ctx.Error(p.claim.UnsettledName(p.route.wire))
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), appwrite.Classify(err), err))
	}
}

// giveUp ends a claim of which nothing was sent, or that Safaricom refused, as FAILED,
// and returns the problem for the app. If that cannot be written, the document says on
// that it waits. If a callback has told otherwise meanwhile, that stands.
func (p *pushing) giveUp(failed *problem, code int) (*pushReply, *problem) {
	reason := cmp.Or(failed.refusal, settle.NotSent+failed.Message)
	pending := func(d *settle.Document) bool { return d.Status == settle.Pending }
	err := p.change(settle.Failure(reason, code, p.function.clock.now()), pending)
	switch {
	case err != nil:
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), appwrite.Classify(err), err))
	case p.claim.Status != parse.Failed:
		p.logProblem(failed)
		return p.stands(""), nil
	default:
		failed.Claimed = true
	}
	return nil, failed
}

// change amends the claim for as long as wanted says so of it.
func (p *pushing) change(changes any, wanted func(*settle.Document) bool) (err error) {
	p.claim, err = p.function.change(p.api, p.claim, changes, wanted)
	return err
}

// change amends a document for as long as wanted says so of it, and tries once more if
// what failed passes by itself. It has a time of its own: what is noted down here has
// happened, whether or not time is left to ask.
func (f *Function) change(api appwrite.Documents, d settle.Document, changes any, wanted func(*settle.Document) bool) (stands settle.Document, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.clock.store)
	defer cancel()
	stands = d
	for range 2 {
		stands, err = settle.Change(ctx, api, stands, changes, wanted)
		if err == nil || appwrite.Classify(err) != appwrite.Transient || ctx.Err() != nil {
			break
		}
	}
	return stands, err
}

// safaricomProblem says what a refusal, or an outcome that sent nothing, is to the app.
func (p *pushing) safaricomProblem(a daraja.Answer) *problem {
	detail := describeDetail(a.Detail)
	refusal := ""
	if a.Outcome == daraja.Refused {
		refusal = a.Reason
	}
	switch {
	case a.Credentials:
		return &problem{Type: badCredentials, Message: "Safaricom refuses the settings of this function", ResponseCode: a.Code, refusal: refusal, log: detail}
	case a.Outcome == daraja.Refused:
		return &problem{Type: rejected, Message: a.Reason, ResponseCode: a.Code, refusal: refusal, log: detail}
	default:
		return &problem{Type: unavailable, Message: "Safaricom could not be asked, and nothing was sent", log: detail}
	}
}

// describeDetail says why Safaricom does not do what it was asked, for the error log.
func describeDetail(d daraja.Detail) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s %s %s %s", d.HTTPStatus, d.Code, d.Reason, d.Field, d.Hint))
}

// storeProblem is what an app is told when the database fails before anything was sent.
func (p *pushing) storeProblem(message string, err error) *problem {
	return &problem{Type: unavailable, Message: message, log: fmt.Sprintf("%s: %v", appwrite.Classify(err), err)}
}

// name is route and document, for the log.
func (p *pushing) name() string { return "route=" + p.route.name + " id=" + safeID(p.asked.id) }

func (p *pushing) line(status, outcome string) string {
	return p.name() + " status=" + status + " outcome=" + outcome + " calls=" + strconv.Itoa(p.api.Calls()) +
		" ms=" + strconv.FormatInt(time.Since(p.start).Milliseconds(), 10)
}

// logProblem writes what an operator should know of a push that was not done.
func (p *pushing) logProblem(failed *problem) {
	status := string(p.claim.Status)
	if status == "" {
		status = "-"
	}
	p.ctx.Log(p.line(status, string(failed.Type)))
	if failed.log != "" {
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), failed.Type, failed.log))
	}
}
