package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	ID          string `json:"id"`
	Phone       string `json:"phone"`
	Amount      int64  `json:"amount"` // whole shillings
	Reference   string `json:"reference"`
	Description string `json:"description"`
	Again       bool   `json:"again"`
}

// readPush reads and checks a request, and fills in defaults. The problem names every
// field that is wrong.
func readPush(body []byte) (p pushRequest, wrong *problem) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&p)
	if err == nil {
		if _, err = decoder.Token(); err == io.EOF {
			err = nil
		}
	}
	if err != nil {
		return p, &problem{Type: invalidArgument, Message: "the body is not the JSON object of a push", Fields: map[string]string{"body": jsonProblem(err)}}
	}
	p.Description = strings.TrimSpace(p.Description)
	if p.Description == "" {
		p.Description = p.Reference
	}
	fields := map[string]string{}
	if !isRequestID(p.ID) {
		fields["id"] = "must be 16 to 36 of 0-9, a-f and hyphen, the first and last no hyphen"
	}
	if phone, err := daraja.ParseMSISDN(p.Phone); err != nil {
		fields["phone"] = "must be a Kenyan mobile number, such as 0712345678"
	} else {
		p.Phone = phone
	}
	if p.Amount < 1 || p.Amount > 250_000 {
		fields["amount"] = "must be whole shillings, 1 to 250000"
	}
	if !isPlainText(p.Reference, 12) {
		fields["reference"] = "must be 1 to 12 letters, digits, spaces and hyphens"
	}
	if !isPlainText(p.Description, 13) {
		fields["description"] = "must be 1 to 13 letters, digits, spaces and hyphens"
	}
	if len(fields) > 0 {
		return p, &problem{Type: invalidArgument, Message: "some fields are wrong", Fields: fields}
	}
	return p, nil
}

// jsonProblem says what is wrong with a body, without quoting it.
func jsonProblem(err error) string {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return wrongType.Field + " must be a " + map[bool]string{true: "whole number", false: wrongType.Type.String()}[wrongType.Type.Kind().String() == "int64"]
	case strings.Contains(err.Error(), "unknown field"):
		return "has a field that is not known"
	}
	return "is not one JSON object"
}

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
	reply, failed := p.run(ctx)
	if failed != nil {
		p.logProblem(failed)
		return r.fail(failed)
	}
	p.ctx.Log(p.line(string(p.claim.Status), "started"))
	return r.reply(http.StatusOK, reply)
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
	a, c := p.asked, &p.function.config
	p.requestKeys = c.keyedHashes(forRequest, a.Phone, strconv.FormatInt(a.Amount, 10), a.Reference, a.Description)
	p.phoneKeys = c.keyedHashes(forPhone, a.Phone)
	if repeated, failed := p.makeClaim(ctx); repeated != nil || failed != nil {
		return repeated, failed
	}
	if failed = p.checkLimits(ctx); failed == nil {
		failed = p.goAhead(ctx)
	}
	if failed != nil {
		return nil, p.giveUp(ctx, failed, -1)
	}
	return p.send(ctx)
}

// makeClaim creates the document. If there is one of that id, this is a repeat, and is
// answered with what stands. A claim whose creation had no clear answer sends nothing:
// asked again, the id is a repeat.
func (p *pushing) makeClaim(ctx context.Context) (*pushReply, *problem) {
	now := p.function.clock.now()
	claim := settle.Claim(p.asked.ID, settle.Started{
		UserID: p.account.ID, Reference: p.asked.Reference, RequestedAmount: p.asked.Amount,
		RequestKey: p.requestKeys[0], PhoneKey: p.phoneKeys[0], NextCheckAt: now.Add(firstCheck),
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
	stored, err := p.api.Get(ctx, parse.Payment, p.asked.ID)
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
	return &pushReply{p.asked.ID, p.claim.Status, p.claim.ID, message}
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
	if safaricom.Err() != nil {
		return nil, p.giveUp(ctx, &problem{Type: unavailable, Message: "there was no time left to ask Safaricom, and nothing was sent"}, -1)
	}
	answer := f.pushes.Push(safaricom, daraja.PushRequest{
		Phone: p.asked.Phone, Amount: p.asked.Amount, Reference: p.asked.Reference, Description: p.asked.Description,
		CallbackURL: f.config.callbackURL(forCallback, p.asked.ID),
	})
	switch answer.Outcome {
	case daraja.Refused, daraja.NotSent:
		code, err := strconv.Atoi(answer.Code)
		if err != nil {
			code = -1
		}
		return nil, p.giveUp(ctx, p.safaricomProblem(answer), code)
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
	ctx, cancel := context.WithTimeout(context.Background(), p.function.clock.store)
	defer cancel()
	unnamed := func(d *settle.Document) bool { return d.ID == "" }
	named, err := settle.Change(ctx, p.api, p.claim, settle.Name(checkoutRequestID), unnamed)
	if err != nil && appwrite.Classify(err) == appwrite.Transient && ctx.Err() == nil {
		named, err = settle.Change(ctx, p.api, p.claim, settle.Name(checkoutRequestID), unnamed)
	}
	if err != nil {
		p.claim.ID = checkoutRequestID
		p.ctx.Error(p.claim.UnsettledName(p.route.wire))
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), appwrite.Classify(err), err))
		return
	}
	p.claim = named
}

// giveUp ends a claim of which nothing was sent, or that Safaricom refused, as FAILED,
// and returns the problem for the app. If that cannot be written, the document says on
// that it waits, and a later check sees that nothing was sent.
func (p *pushing) giveUp(ctx context.Context, failed *problem, code int) *problem {
	reason := failed.Message
	if failed.Type != rejected {
		reason = settle.NotSent + reason
	}
	pending := func(d *settle.Document) bool { return d.Status == settle.Pending }
	d, err := settle.Change(context.WithoutCancel(ctx), p.api, p.claim, settle.Failure(reason, code, p.function.clock.now()), pending)
	if err != nil {
		p.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", p.name(), appwrite.Classify(err), err))
		return failed
	}
	p.claim, failed.Claimed = d, d.Status == parse.Failed
	return failed
}

// safaricomProblem says what a refusal, or an outcome that sent nothing, is to the app.
func (p *pushing) safaricomProblem(a daraja.Answer) *problem {
	detail := strings.TrimSpace(fmt.Sprintf("HTTP %d %s %s %s %s", a.HTTPStatus, a.Code, a.Reason, a.Field, a.Hint))
	switch {
	case a.Credentials:
		return &problem{Type: badCredentials, Message: "Safaricom refuses the settings of this function", ResponseCode: a.Code, log: detail}
	case a.Outcome == daraja.Refused:
		return &problem{Type: rejected, Message: a.Reason, ResponseCode: a.Code, log: detail}
	default:
		return &problem{Type: unavailable, Message: "Safaricom could not be asked, and nothing was sent", log: detail}
	}
}

// storeProblem is what an app is told when the database fails before anything was sent.
func (p *pushing) storeProblem(message string, err error) *problem {
	return &problem{Type: unavailable, Message: message, log: fmt.Sprintf("%s: %v", appwrite.Classify(err), err)}
}

// name is route and document, for the log.
func (p *pushing) name() string { return "route=" + p.route.name + " id=" + p.asked.ID }

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
