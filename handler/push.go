package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
)

// pushRequest is what an app posts to start a payment.
type pushRequest struct {
	asked
	account     string // the reference that the payer sees
	description string
}

// push starts a payment: it asks the payer's phone for it.
func (f *Function) push(r *request) openruntimes.Response {
	return f.begin(r, parse.Payment, readPush)
}

// readPush reads and checks a request, and fills in defaults.
func readPush(body []byte) (startRequest, *problem) {
	w := &pushRequest{}
	fields, failed := readFields(body)
	if failed != nil {
		return nil, failed
	}
	fields.check("id", &w.id, func() bool { return isRequestID(w.id) }, idRule)
	fields.checkPhone(&w.phone)
	fields.check("amount", &w.amount, func() bool { return w.amount >= 1 && w.amount <= 250_000 }, "must be whole shillings, 1 to 250000")
	fields.check("reference", &w.account, func() bool { return isPlainText(w.account, 1, 12) }, "must be 1 to 12 letters, digits, spaces and hyphens")
	fields.check("description", &w.description, func() bool { return w.description == "" || isPlainText(w.description, 1, 13) }, "must be 1 to 13 letters, digits, spaces and hyphens")
	fields.check("again", &w.again, func() bool { return true }, "must be true or false")
	w.description = cmp.Or(w.description, w.account)
	return w, fields.problem()
}

func (w *pushRequest) reference() string { return w.account }

// allows refuses users who have proven no address: anyone can make a thousand accounts,
// and ring a thousand phones.
func (w *pushRequest) allows(c *config, account *appwrite.Account) *problem {
	if !account.EmailVerification && !account.PhoneVerification && c.unverifiedPush != "any" {
		return verifyFirst()
	}
	return nil
}

func (w *pushRequest) fields() []string {
	return []string{w.phone, strconv.FormatInt(w.amount, 10), w.account, w.description}
}

func (w *pushRequest) send(ctx context.Context, p *starting) daraja.Answer {
	return p.function.pushes.Push(ctx, daraja.PushRequest{
		Phone: w.phone, Amount: w.amount, Reference: w.account, Description: w.description,
		CallbackURL: p.function.config.callbackURL(forCallback, w.id),
	})
}

// fields are the members of a request that were not looked at yet, and what is wrong
// with those that were.
type fields struct {
	given map[string]json.RawMessage
	wrong map[string]string
}

func readFields(body []byte) (*fields, *problem) {
	f := &fields{wrong: map[string]string{}}
	if json.Unmarshal(body, &f.given) != nil || f.given == nil {
		return nil, &problem{Type: invalidArgument, Message: "the body is not one JSON object"}
	}
	return f, nil
}

// check reads a field, and says what it must be if it is of another type, or not right.
// An absent one, and null, is the zero value.
func (f *fields) check(name string, to any, right func() bool, rule string) {
	raw, present := f.given[name]
	delete(f.given, name)
	if present && json.Unmarshal(raw, to) != nil || !right() {
		f.wrong[name] = rule
	}
}

// checkPhone reads the phone into the form that Safaricom takes.
func (f *fields) checkPhone(phone *string) {
	f.check("phone", phone, func() (valid bool) {
		msisdn, err := daraja.ParseMSISDN(*phone)
		*phone = msisdn
		return err == nil
	}, "must be a Kenyan mobile number, such as 0712345678")
}

// problem names every field that is wrong or not known, and quotes nothing.
func (f *fields) problem() *problem {
	for name := range f.given {
		f.wrong[name] = "is not known"
	}
	if len(f.wrong) == 0 {
		return nil
	}
	return &problem{Type: invalidArgument, Message: "some fields are wrong", Fields: f.wrong}
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
func isPlainText(s string, least, most int) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -"
	return len(s) >= least && len(s) <= most && strings.Trim(s, plain) == "" && strings.TrimSpace(s) == s
}
