package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// What Safaricom calls the payments of these tests.
const (
	transaction = "ws_CO_25112026140731772700000011"
	anotherOne  = "ws_CO_25112026140900001700000012"
)

const (
	paidReceipt  = "UKP4T8W2QD"
	otherReceipt = "UKP9Z1C7HB"
)

// newKey takes the place of the signing key of a shop.
var newKey = strings.Repeat("a7", 32)

// claim makes the document of a payment of 10 shillings that was sent to Safaricom,
// under the name that Safaricom has given it, if it has.
func (s *shop) claim(id, checkoutRequestID string) {
	s.t.Helper()
	now := s.Clock.Now()
	d := settle.Claim(parse.Payment, id, settle.Started{UserID: "amina", Reference: "Order 7", RequestedAmount: 10,
		RequestKey: strings.Repeat("c", 64), PhoneKey: strings.Repeat("d", 64), NextCheckAt: nextCheck(now, now)}, now)
	if _, err := s.store().Claim(context.Background(), &d); err != nil {
		s.t.Fatal(err)
	}
	s.change(id, settle.GoAhead())
	if checkoutRequestID != "" {
		s.change(id, settle.Name(parse.Payment, checkoutRequestID))
	}
	s.forget()
}

// store is the database without anything in between.
func (s *shop) store() appwrite.Documents {
	store := s.function.documents(testbed.FunctionKey)
	store.Endpoint = s.AppwriteURL
	return store
}

// change amends a started payment, as somebody else does.
func (s *shop) change(id string, changes any) {
	s.t.Helper()
	d, err := s.store().Get(context.Background(), parse.Payment, id)
	if err == nil {
		_, err = s.store().Amend(context.Background(), &d, changes)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// forget drops the calls and lines up to now.
func (s *shop) forget() {
	s.Operations()
	s.Logged()
}

// signed is the path of the signed callback for a started payment, behind the secret.
func (s *shop) signed(id string) string {
	return strings.TrimPrefix(s.function.CallbackURL(id), s.FunctionURL)
}

// withoutSecret is a path behind no secret, whatever it was behind.
func withoutSecret(path string) string { return path[strings.Index(path, "/callback"):] }

// stkResult is the body of a callback, with what was paid for a SUCCESS.
func stkResult(id string, code int, receipt string, amount int) string {
	metadata := ""
	if receipt != "" {
		metadata = fmt.Sprintf(`,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":%d},{"Name":"MpesaReceiptNumber","Value":%q},{"Name":"TransactionDate","Value":20261125140800}]}`, amount, receipt)
	}
	return fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":%q,"ResultCode":%d,"ResultDesc":"what was said of %d"%s}}}`, id, code, code, metadata)
}

// paid is the callback of a payment that was made in full.
func paid() string { return stkResult(transaction, 0, paidReceipt, 10) }

// others are the documents but that one.
func (s *shop) others(id string) []fakeappwrite.Document {
	return slices.DeleteFunc(s.Stored(), func(d fakeappwrite.Document) bool { return d.ID == id })
}

// other is the only document but that one. Nobody but the server may read it.
func (s *shop) other(id string) fakeappwrite.Document {
	s.t.Helper()
	others := s.others(id)
	if len(others) != 1 {
		s.t.Fatalf("%d other documents are stored, want 1: %v", len(others), others)
	}
	if got := testbed.Readers(others[0]); got != "" {
		s.t.Errorf("the document beside is read by %q, want nobody", got)
	}
	return others[0]
}

// whole is all that there is of a payment.
func (s *shop) whole(id string) fakeappwrite.Document {
	s.t.Helper()
	d, found := s.Appwrite.Document("daraja", "payments", id)
	if !found {
		s.t.Fatalf("there is no payment %s", id)
	}
	return d
}

// unchanged holds a payment to what it was.
func (s *shop) unchanged(was fakeappwrite.Document) {
	s.t.Helper()
	if is := s.whole(was.ID); !reflect.DeepEqual(is, was) {
		s.t.Errorf("the started payment has become\n%v, want it left\n%v", is, was)
	}
}

// wantLine holds the error log since the last time to have one line with all of these.
func (s *shop) wantLine(parts ...string) {
	s.t.Helper()
	_, lines := s.Logged()
	has := func(line string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
	}
	if !slices.ContainsFunc(lines, has) {
		s.t.Errorf("error log = %q, want a line with %q", lines, parts)
	}
}

// wantNoLine holds the error log since the last time to be empty.
func (s *shop) wantNoLine() {
	s.t.Helper()
	if got := s.errorLog(); got != "" {
		s.t.Errorf("error log = %q, want nothing", got)
	}
}

// post posts a callback that must be accepted.
func (s *shop) post(target, body string) {
	s.t.Helper()
	if got := s.Post(target, body); got != 200 {
		s.t.Errorf("reply %d, want 200", got)
	}
}

// wantCalls holds the calls since the last time.
func (s *shop) wantCalls(want string) {
	s.t.Helper()
	if got := s.Operations(); got != want {
		s.t.Errorf("calls = %q, want %q", got, want)
	}
}

// wantState holds a started payment to a status and reason.
func (s *shop) wantState(id, want string) {
	s.t.Helper()
	if got := s.state(id); got != want {
		s.t.Errorf("the payment says %q, want %q", got, want)
	}
}

// TestSignedCost counts the calls of the API: settling what is signed begins with a read.
func TestSignedCost(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	unsigned := "/" + doorSecret + "/callback?uid=amina"
	for _, tt := range []struct{ name, target, body, calls string }{
		{"a first signed one", s.signed(first), paid(), "get replace"},
		{"the same", s.signed(first), paid(), "get"},
		{"less", s.signed(first), stkResult(transaction, 1037, "", 0), "get"},
		{"a first unsigned one", unsigned, stkResult(anotherOne, 1037, "", 0), "create"},
		{"the same unsigned", unsigned, stkResult(anotherOne, 1037, "", 0), "create get"},
		{"more, unsigned", unsigned, stkResult(anotherOne, 0, otherReceipt, 10), "create get replace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.post(tt.target, tt.body)
			s.wantCalls(tt.calls)
			s.wantNoLine()
		})
	}
}

// TestSignedByThePush: what the function gives to Safaricom is what it accepts.
func TestSignedByThePush(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakesafaricom.Fault{
		"once":           {},
		"twice":          fakesafaricom.CallbackTwice(),
		"before the ack": fakesafaricom.CallbackBeforeAck(),
		"the ack lost":   fakesafaricom.LostAck(),
		"late":           fakesafaricom.CallbackLate(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if name == "before the ack" {
				s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: fakesafaricom.Pays})
			}
			if name != "once" {
				s.safaricom.Once(fakesafaricom.Push, fault)
			}
			s.ask("amina", wish(first, phoneA))
			p := s.prompt()
			if name != "before the ack" {
				s.pay(p)
			}
			s.later(2 * time.Hour)
			s.wantState(first, "SUCCESS")
			d := s.whole(first)
			for attribute, want := range map[string]any{"receipt": s.receipt(p), "amount": int64(10), "checkoutRequestId": p.CheckoutRequestID, "nextCheckAt": nil} {
				if got := d.Data[attribute]; got != want {
					t.Errorf("%s = %v, want %v", attribute, got, want)
				}
			}
			if got := testbed.Readers(d); got != "user:amina" {
				t.Errorf("it is read by %q, want amina", got)
			}
			if others := s.others(first); len(others) != 0 {
				t.Errorf("other documents are stored: %v", others)
			}
		})
	}
}

// TestRollback: an older version knows the callback secret in the path alone, and nothing
// of id and signature. It keeps the verdict of a payment that a newer one has started,
// under the transaction's name. When the newer one is back, that says nothing false, and
// the payment still takes its callback.
func TestRollback(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer fakesafaricom.Answer
		status string
		down   bool // the database of the older version, whose queue keeps the verdict
	}{
		{name: "paid", answer: fakesafaricom.Pays, status: "SUCCESS"},
		{name: "cancelled", answer: fakesafaricom.Cancels, status: "CANCELLED"},
		{name: "unknown", answer: fakesafaricom.Silent, status: "TIMEOUT"},
		{name: "paid, database down", answer: fakesafaricom.Pays, status: "SUCCESS", down: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: tt.answer, After: time.Second})
			s.ask("amina", wish(first, phoneA))
			was := s.whole(first)
			s.forget()

			rollForward := s.rollBack()
			if tt.down {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)})
			}
			s.later(2 * time.Minute)
			posted := s.safaricom.Deliveries()
			if len(posted) != 1 || posted[0].Status != 200 {
				t.Fatalf("the older version was posted %d callbacks, want one that it takes", len(posted))
			}
			s.Appwrite.Heal()
			rollForward()
			s.Later(10 * time.Minute) // what the older version has queued
			s.unchanged(was)
			kept := s.other(first)
			receipt := any(nil)
			if tt.answer == fakesafaricom.Pays {
				receipt = s.receipt(s.prompt())
			}
			if kept.ID != posted[0].ID || kept.Data["status"] != tt.status || kept.Data["receipt"] != receipt {
				t.Errorf("kept is %v, want %s of %s", kept, tt.status, posted[0].ID)
			}
			_, lines := s.Logged()
			for _, line := range lines {
				if strings.HasPrefix(line, settle.Mark) || strings.Contains(line, "CHARGED-TWICE") {
					t.Errorf("the error log says %s of a verdict that is kept", line)
				}
			}

			for range 2 {
				s.post(strings.TrimPrefix(posted[0].URL, s.FunctionURL), string(posted[0].Body))
				s.wantNoLine()
			}
			if d := s.payment(first); d["status"] != tt.status || d["receipt"] != receipt || d["checkoutRequestId"] != posted[0].ID {
				t.Errorf("after its callback the payment says %v, want %s", d, tt.status)
			}
			if again := s.other(first); !reflect.DeepEqual(again, kept) {
				t.Errorf("what was kept has become\n%v, want it left\n%v", again, kept)
			}
		})
	}
}

// rollBack has an older version answer: without the variables for starting payments, and
// blind to what it never knew in a query.
func (s *shop) rollBack() (rollForward func()) {
	older := New(func(name string) string {
		switch {
		case strings.HasPrefix(name, "APPWRITE_"), name == CallbackSecret, strings.HasSuffix(name, "_ID"):
			return s.Getenv(name)
		}
		return ""
	})
	older.clock = patient(s.Clock.Now)
	newer := s.Runtime.Main
	s.Runtime.Main = func(ctx openruntimes.Context) openruntimes.Response {
		delete(ctx.Req.Query, "id")
		delete(ctx.Req.Query, "sig")
		return older.Serve(ctx)
	}
	return func() { s.Runtime.Main = newer }
}

// TestWrongSignature: whoever has none of ours is told what a stranger is told, and
// reaches nothing.
func TestWrongSignature(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	was := s.whole(first)
	path := withoutSecret(s.signed(first))
	sig := path[len(path)-signatureLength:]
	c := &s.function.config
	for name, target := range map[string]string{
		"another":          strings.TrimSuffix(path, sig) + strings.Repeat("0", 32),
		"a digit less":     path[:len(path)-1],
		"a digit more":     path + "0",
		"the whole hash":   strings.TrimSuffix(path, sig) + c.keyedHashes(forCallback, first)[0],
		"other letters":    strings.TrimSuffix(path, sig) + strings.ToUpper(sig),
		"none":             strings.TrimSuffix(path, sig),
		"of another id":    strings.Replace(path, first, second, 1),
		"without its id":   "/callback?sig=" + sig,
		"of a request":     strings.TrimSuffix(path, sig) + c.keyedHashes(forRequest, first)[0][:signatureLength],
		"of another route": strings.TrimSuffix(path, sig) + c.keyedHashes("b2c/result", first)[0][:signatureLength],
		"on another route": strings.Replace(path, "/callback", "/b2c/result", 1),
		"of another key":   strings.TrimSuffix(path, sig) + keyedHash([]byte(newKey), forCallback, first)[:signatureLength],
		"as a secret":      "/" + sig + "/callback?id=" + first,
		"behind a wrong secret": "/" + strings.Repeat("0", 16) +
			strings.TrimSuffix(path, sig) + strings.Repeat("0", 32),
	} {
		t.Run(name, func(t *testing.T) {
			r := s.Send("POST", target, paid())
			if r.Status != 404 || r.Body != `{"ResultCode":1,"ResultDesc":"unknown path"}` {
				t.Errorf("reply %d %s, want that of an unknown path", r.Status, r.Body)
			}
			s.wantCalls("")
			_, lines := s.Logged()
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "refused route=- reason=\"unknown path, or ") {
				t.Fatalf("error log = %q, want one line", lines)
			}
			for _, part := range []string{sig, sig[:16], first, second, "700000011", paidReceipt} {
				if strings.Contains(lines[0], part) {
					t.Errorf("error log = %q, which quotes %s", lines[0], part)
				}
			}
		})
	}
	s.unchanged(was)
	if others := s.others(first); len(others) != 0 {
		t.Errorf("other documents are stored: %v", others)
	}
	if waiting := s.Appwrite.Waiting(); len(waiting) != 0 {
		t.Errorf("%d executions wait, want none", len(waiting))
	}
}

// TestSigningKeys: the first key of the list signs, and every one verifies.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	third := strings.Repeat("0f", 32)
	for name, tt := range map[string]struct {
		keys   string
		signer string // the first usable one
		status int    // of a callback that the shop's first key has signed
	}{
		"the only one":           {signing, signing, 200},
		"the second":             {newKey + "," + signing, newKey, 200},
		"the last":               {newKey + ", " + third + " ," + signing, newKey, 200},
		"behind an unusable one": {"0123," + signing, signing, 200},
		"gone":                   {newKey, newKey, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			path := withoutSecret(s.signed(first))
			s.Set(SigningKey, tt.keys)
			if got := s.Post(path, paid()); got != tt.status {
				t.Errorf("reply %d, want %d", got, tt.status)
			}
			s.claim(second, anotherOne)
			s.post(withoutSecret(s.signed(second)), stkResult(anotherOne, 1032, "", 0))
			one := &config{signingKeys: readSigningKeys(tt.signer)}
			if want := one.keyedHashes(forCallback, second)[0][:signatureLength]; !strings.HasSuffix(s.signed(second), "="+want) {
				t.Error("a new URL is not signed by the first key")
			}
		})
	}
}

// TestDoor: a signature needs no secret, and what is not signed needs it.
func TestDoor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		secret, key string
		prefix      string
		unsigned    int
		signed      int
	}{
		"the secret":                    {doorSecret, signing, "/" + doorSecret, 200, 200},
		"none":                          {doorSecret, signing, "", 404, 200},
		"an old one":                    {doorSecret, signing, "/" + oldSecret, 404, 200},
		"a wrong path":                  {doorSecret, signing, "/x/y", 404, 200},
		"where there is none":           {"", signing, "", 404, 200},
		"one where there is none":       {"", signing, "/" + doorSecret, 404, 200},
		"none, and an unusable key":     {"", "0123", "", 404, 200},
		"without a key":                 {doorSecret, "", "/" + doorSecret, 200, 200},
		"without a key, none":           {doorSecret, "", "", 404, 200},
		"neither secret nor key":        {"", "", "", 200, 200},
		"neither, behind a wrong path":  {"", "", "/x/y", 404, 200},
		"slashes":                       {doorSecret, signing, "///" + doorSecret + "//", 200, 200},
		"slashes around a wrong secret": {doorSecret, signing, "//" + oldSecret + "///", 404, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			path := withoutSecret(s.signed(first))
			s.Set(CallbackSecret, tt.secret)
			s.Set(SigningKey, tt.key)
			if got := s.Post(tt.prefix+"/callback?uid=amina", stkResult(anotherOne, 1032, "", 0)); got != tt.unsigned {
				t.Errorf("an unsigned callback: %d, want %d", got, tt.unsigned)
			}
			if got := len(s.others(first)); got != map[int]int{200: 1, 404: 0}[tt.unsigned] {
				t.Errorf("%d documents of unsigned callbacks", got)
			}
			if got := s.Post(tt.prefix+path, paid()); got != tt.signed {
				t.Errorf("a signed callback: %d, want %d", got, tt.signed)
			}
			if tt.key == signing {
				s.wantState(first, "SUCCESS")
				return
			}
			s.wantState(first, "PENDING")
			if n := len(s.Appwrite.Waiting()); n != 3 {
				t.Errorf("%d executions wait, want 3", n)
			}
		})
	}
}

// TestDoorWithoutPayments: where nothing is set for starting payments, a signature opens
// no door.
func TestDoorWithoutPayments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Set(CallbackSecret, secret)
	for _, path := range []string{"/callback", "/", "/" + oldSecret + "/callback"} {
		if got := w.Post(path+"?id="+first+"&sig="+strings.Repeat("0", 32), paid()); got != 404 {
			t.Errorf("%s: %d, want 404", path, got)
		}
	}
	if calls := w.Operations(); calls != "" {
		t.Errorf("calls = %q, want none", calls)
	}
}

// TestUnverified: where our own settings may be why a signature does not hold, the
// callback waits until they are mended, and for that payment alone.
func TestUnverified(t *testing.T) {
	t.Parallel()
	bad := "?id=" + first + "&sig=" + strings.Repeat("0", 32)
	for name, tt := range map[string]struct {
		keys   string // now
		target string // "" is the right one without the secret
		mended bool   // by the right key
	}{
		"an unusable key":               {"not hex", "", true},
		"no key any more":               {"", "", true},
		"another key, and the secret":   {newKey, "/" + doorSecret, true},
		"a bad signature, and secret":   {signing, "/" + doorSecret + "/callback" + bad, false},
		"garbage and the secret":        {signing, "/" + doorSecret + "/callback?id=" + strings.Repeat("x", 3000) + "&sig=" + strings.Repeat("y", 3000), false},
		"no id and the secret":          {signing, "/" + doorSecret + "/callback?sig=0", false},
		"a signature cut short, secret": {signing, "cut", false},
		"one with more behind, secret":  {signing, "more", false},
	} {
		for _, mend := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/mended=%t", name, mend), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.claim(first, transaction)
				was := s.whole(first)
				right := s.signed(first)
				target := tt.target
				switch target {
				case "":
					target = withoutSecret(right)
				case "/" + doorSecret:
					target = right
				case "cut":
					target = right[:len(right)-1]
				case "more":
					target = right + "0"
				}
				s.Set(SigningKey, tt.keys)
				s.post(target, paid())
				s.wantCalls("execute execute execute")
				if n := len(s.Appwrite.Waiting()); n != 3 {
					t.Errorf("%d executions wait, want 3", n)
				}
				s.wantLine("failed route=callback id=", `reason="needs an operator" error="the signature cannot be verified: is DARAJA_SIGNING_KEY the one that signed it?"`)
				if mend {
					s.Set(SigningKey, newKey+","+signing)
				}
				s.Later(10 * time.Minute)
				if tt.mended && mend {
					s.wantState(first, "SUCCESS")
				} else {
					s.unchanged(was)
				}
				_, early := s.Logged()
				s.Later(30 * day)
				_, late := s.Logged()
				var unsettled []string
				for _, line := range append(early, late...) {
					if strings.HasPrefix(line, "UNSETTLED ") {
						unsettled = append(unsettled, line)
					}
				}
				if tt.mended && mend {
					if len(unsettled) != 0 {
						t.Errorf("UNSETTLED lines of what is settled: %q", unsettled)
					}
					if others := s.others(first); len(others) != 0 {
						t.Errorf("other documents are stored: %v", others)
					}
					return
				}
				s.unchanged(was)
				if others := s.others(first); len(others) != 0 {
					t.Errorf("other documents are stored: %v", others)
				}
				if len(unsettled) != 3 {
					t.Fatalf("UNSETTLED lines %q, want three", unsettled)
				}
				known := strings.Contains(target, "id="+first)
				if known && !strings.HasPrefix(unsettled[0], `UNSETTLED {"route":"callback","uid":"","id":"`+first+`","data":{"checkoutRequestId":"`+transaction+`","status":"SUCCESS",`) {
					t.Errorf("%q is not the line of the started payment", unsettled[0])
				}
				if strings.Contains(unsettled[0], `"started":true`) != known {
					t.Errorf("%q: started, want %t", unsettled[0], known)
				}
				s.replayUnverified(unsettled, was)
			})
		}
	}
}

// replayUnverified replays lines of a paid callback whose signature could be anybody's.
func (s *shop) replayUnverified(lines []string, was fakeappwrite.Document) {
	s.t.Helper()
	for i, line := range lines {
		want := map[bool]settle.Outcome{true: settle.Created, false: settle.Duplicate}[i == 0]
		if got, err := s.function.Replay(testbed.FunctionKey, line); err != nil || got.Outcome != want {
			s.t.Errorf("replay %d: %s, %v, want %s", i, got.Outcome, err, want)
		}
	}
	s.unchanged(was)
	if got := s.other(first).Data["receipt"]; got != paidReceipt {
		s.t.Errorf("the document beside has the receipt %v, want %s", got, paidReceipt)
	}
}

// TestUnverifiedKnown: what a started payment says already is not stored beside it, by
// replaying it from a line whose signature could be anybody's.
func TestUnverifiedKnown(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	path := s.signed(first)
	s.Set(SigningKey, newKey)
	if got := s.Post(path+"&attempt=8", paid()); got != 503 {
		t.Fatalf("reply %d, want 503 of the last attempt", got)
	}
	_, lines := s.Logged()
	s.Set(SigningKey, signing)
	s.post(path, paid())
	s.forget()
	if got, err := s.function.Replay(testbed.FunctionKey, lines[0]); err != nil || got.Outcome != settle.Duplicate {
		t.Errorf("replay: %s, %v, want duplicate", got.Outcome, err)
	}
	s.wantCalls("get")
	if others := s.others(first); len(others) != 0 {
		t.Errorf("other documents are stored: %v", others)
	}
}

// TestUnverifiedMalformed: what is no callback is refused, and does not wait.
func TestUnverifiedMalformed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	path := s.signed(first)
	s.Set(SigningKey, "not hex")
	for _, body := range []string{"", "x", "{}", `{"Body":{}}`} {
		if got := s.Post(path, body); got != 400 {
			t.Errorf("%s: %d, want 400", body, got)
		}
	}
	s.wantCalls("")
}

// TestUnverifiedNotQueued: where the queue fails, the sender hears so, and the log has it.
func TestUnverifiedNotQueued(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	was := s.whole(first)
	path := s.signed(first)
	s.Set(SigningKey, newKey)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Reply: fakeappwrite.HTML(503)})
	if got := s.Post(path, paid()); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	s.wantLine("UNSETTLED ", `"id":"`+first+`"`, `"started":true`)
	s.unchanged(was)
}

// TestSignedQueue: id and signature go through the queue, behind whatever prefix.
func TestSignedQueue(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/" + doorSecret, "/" + oldSecret, "//x//"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			path := withoutSecret(s.signed(first))
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Reply: fakeappwrite.HTML(503)})
			s.post(prefix+path, paid())
			waiting := s.Appwrite.Waiting()
			if len(waiting) != 3 {
				t.Fatalf("%d executions wait, want 3", len(waiting))
			}
			_, query, _ := strings.Cut(path, "?")
			for i, number := range []string{"1", "9", "14"} {
				if want := clean(prefix) + "/callback?attempt=" + number + "&" + query; waiting[i].Path != want {
					t.Errorf("%s waits, want %s", waiting[i].Path, want)
				}
			}
			s.Appwrite.Heal()
			s.forget()
			s.Later(30 * day)
			s.wantCalls("get replace get get")
			s.wantState(first, "SUCCESS")
			if others := s.others(first); len(others) != 0 {
				t.Errorf("other documents are stored: %v", others)
			}
		})
	}
}

// TestSignedPanic: a bug of ours costs no verdict of a started payment.
func TestSignedPanic(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	timeout := s.function.clock.timeout
	s.function.clock.timeout = func(context.Context, time.Duration) (context.Context, context.CancelFunc) { panic("data") }
	if got := s.Post(s.signed(first)+"&attempt=25", paid()); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	_, lines := s.Logged()
	if want := `UNSETTLED {"route":"callback","uid":"","id":"` + first + `",`; !strings.HasPrefix(lines[0], want) {
		t.Errorf("error log = %q, want %s", lines, want)
	}
	s.function.clock.timeout = timeout
	if got, err := s.function.Replay(testbed.FunctionKey, lines[0]); err != nil || got.Outcome != settle.Replaced {
		t.Errorf("replay: %s, %v, want replaced", got.Outcome, err)
	}
	s.wantState(first, "SUCCESS")
}

// TestSignedReplay: the replay of a started line begins with a read.
func TestSignedReplay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	s.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
	if got := s.Post(s.signed(first)+"&uid=mallory", paid()); got != 503 {
		t.Fatalf("reply %d, want 503", got)
	}
	_, lines := s.Logged()
	for _, part := range []string{`,"id":"` + first + `",`, `,"started":true}`} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("%q, want %s in it", lines[0], part)
		}
	}
	if strings.Contains(lines[0], "unverified") {
		t.Errorf("%q: its signature was verified", lines[0])
	}
	s.Appwrite.Heal()
	s.forget()
	for _, tt := range []struct {
		want  settle.Outcome
		calls string
	}{{settle.Replaced, "get replace"}, {settle.Duplicate, "get"}} {
		got, err := s.function.Replay(testbed.FunctionKey, lines[0])
		if err != nil || got.Outcome != tt.want {
			t.Errorf("replay: %s, %v, want %s", got.Outcome, err, tt.want)
		}
		s.wantCalls(tt.calls)
	}
	s.wantState(first, "SUCCESS")
	if got := testbed.Readers(s.whole(first)); got != "user:amina" {
		t.Errorf("it is read by %q, want amina", got)
	}
	if others := s.others(first); len(others) != 0 {
		t.Errorf("other documents are stored: %v", others)
	}
}

// TestReplayOfAName: a line without a verdict names a payment that has no name, and does
// nothing else.
func TestReplayOfAName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stored string
		want   settle.Outcome
		calls  string
		after  string
	}{
		"none yet":     {"", settle.Replaced, "get replace", transaction},
		"the same":     {transaction, settle.Duplicate, "get", transaction},
		"another name": {anotherOne, settle.Mismatch, "get", anotherOne},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, tt.stored)
			was := s.whole(first)
			d := settle.Document{DocumentID: first, Verdict: parse.Verdict{Kind: parse.Payment, ID: transaction}}
			line := d.UnsettledName("stk/push")
			s.Set("DARAJA_COLLECTION_ID", "")
			if got, err := s.function.Replay(testbed.FunctionKey, line); err == nil || err.Error() != "configuration: DARAJA_COLLECTION_ID is missing" || got.Outcome != "" {
				t.Errorf("replay without a collection: %s, %v", got.Outcome, err)
			}
			s.wantCalls("")
			s.Set("DARAJA_COLLECTION_ID", "payments")
			got, err := s.function.Replay(testbed.FunctionKey, line)
			if err != nil || got.Outcome != tt.want {
				t.Errorf("replay: %s, %v, want %s", got.Outcome, err, tt.want)
			}
			s.wantCalls(tt.calls)
			want := maps.Clone(was.Data)
			want["checkoutRequestId"] = tt.after
			if is := s.whole(first).Data; !reflect.DeepEqual(is, want) {
				t.Errorf("the payment has become\n%v, want\n%v", is, want)
			}
		})
	}
}

// TestUnsigned: a callback, redelivery or replay without a signature touches no started
// payment, even if it gives its id for the transaction's.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 1032, 1037} {
		for name, deliver := range map[string]func(*shop, string){
			"callback":   func(s *shop, body string) { s.post("/"+doorSecret+"/callback?uid=mallory", body) },
			"with an id": func(s *shop, body string) { s.post("/"+doorSecret+"/callback?uid=mallory&id="+first, body) },
			"redelivery": func(s *shop, body string) { s.post("/"+doorSecret+"/callback?attempt=8&uid=mallory", body) },
			"replay": func(s *shop, body string) {
				s.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
				s.Post("/"+doorSecret+"/callback?uid=mallory", body)
				s.Appwrite.Heal()
				_, lines := s.Logged()
				if got, err := s.function.Replay(testbed.FunctionKey, lines[0]); err != nil || got.Outcome != settle.Created {
					s.t.Errorf("replay: %s, %v, want created", got.Outcome, err)
				}
			},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, code), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.claim(first, "")
				was := s.whole(first)
				receipt := map[bool]string{true: paidReceipt}[code == 0]
				for range 2 {
					deliver(s, stkResult(first, code, receipt, 10))
					if name == "replay" {
						break
					}
					s.wantLine("odd route=callback ", "an unsigned callback for what was started here: it has not touched that")
				}
				s.unchanged(was)
				if got, want := s.other(first).ID, hash(first); got != want {
					t.Errorf("it is stored under %s, want %s", got, want)
				}
			})
		}
	}
}

// TestUnsignedTwice: two unsigned payments under the id of a started one are each said to
// have no signature, whenever they come.
func TestUnsignedTwice(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, "")
	for _, receipt := range []string{paidReceipt, "UKN7X1Q9ZZ", "UKN7X1Q9ZZ"} {
		s.post("/"+doorSecret+"/callback?uid=mallory", stkResult(first, 0, receipt, 10))
		s.wantLine("odd route=callback ", "an unsigned callback for what was started here: it has not touched that")
	}
}

// TestUnsignedOfItsTransaction: a callback without a signature for the transaction of a
// started payment has a document of its own, as ever, and names nothing.
func TestUnsignedOfItsTransaction(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{"", transaction} {
		t.Run(stored, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, stored)
			was := s.whole(first)
			s.post("/"+doorSecret+"/callback?uid=amina", paid())
			s.unchanged(was)
			others := s.others(first)
			if len(others) != 1 || others[0].ID != transaction {
				t.Errorf("other documents: %v, want that of the transaction", others)
			}
		})
	}
}

// TestUnsignedPayout: an unsigned result of a payout that was started here writes nothing.
func TestUnsignedPayout(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const id = "5f0c2a7e-1b3d-4c6f-8a9b-0123456789ab"
	_, err := s.store().Call(context.Background(), "create", "POST", "/databases/daraja/collections/disbursements/documents", map[string]any{
		"documentId": id, "permissions": []string{`read("user:amina")`},
		"data": map[string]any{"originatorConversationId": id, "status": "PENDING", "settledAt": "2026-11-25T12:00:00.000Z", "requestKey": strings.Repeat("c", 64)},
	})
	if err != nil {
		t.Fatal(err)
	}
	was := s.Document()
	for _, route := range []string{"result", "timeout"} {
		s.forget()
		s.post("/"+doorSecret+"/b2c/"+route+"?uid=mallory", fmt.Sprintf(`{"Result":{"ResultCode":0,"OriginatorConversationID":%q,"ConversationID":"AG_1"}}`, id))
		s.wantCalls("create get")
		logs, errors := s.Logged()
		if !strings.Contains(logs[0], " outcome=ignored ") {
			t.Errorf("log = %q, want it ignored", logs)
		}
		if want := `it has not touched that, and said status=`; !strings.Contains(strings.Join(errors, "\n"), want) {
			t.Errorf("error log = %q, want %q", errors, want)
		}
	}
	if is := s.Document(); !reflect.DeepEqual(is, was) {
		t.Errorf("the payout has become %v, want it left %v", is, was)
	}
}

// TestSignedVerdicts goes from a PENDING payment through what callbacks say of it, and
// has every attribute of the document after each.
func TestSignedVerdicts(t *testing.T) {
	t.Parallel()
	type said struct {
		code    int
		receipt string
	}
	const kept = "kept" // nextCheckAt, where it stays as it was
	for name, tt := range map[string]struct {
		callbacks []said
		want      map[string]any // of section 3, and nextCheckAt
	}{
		"paid": {[]said{{0, paidReceipt}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"cancelled": {[]said{{1032, ""}},
			map[string]any{"status": "CANCELLED", "resultCode": int64(1032), "receipt": nil, "amount": nil, "failureReason": "what was said of 1032", "mpesaTimestamp": nil, "nextCheckAt": nil}},
		"failed": {[]said{{1, ""}},
			map[string]any{"status": "FAILED", "resultCode": int64(1), "receipt": nil, "amount": nil, "failureReason": "what was said of 1", "mpesaTimestamp": nil, "nextCheckAt": nil}},
		"unknown": {[]said{{1037, ""}},
			map[string]any{"status": "TIMEOUT", "resultCode": int64(1037), "receipt": nil, "amount": nil, "failureReason": "what was said of 1037", "mpesaTimestamp": nil, "nextCheckAt": kept}},
		"unknown, then paid": {[]said{{1037, ""}, {0, paidReceipt}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"paid, then unknown": {[]said{{0, paidReceipt}, {1037, ""}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"without a receipt, then with": {[]said{{0, ""}, {0, paidReceipt}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"cancelled, then paid": {[]said{{1032, ""}, {0, paidReceipt}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"paid, then failed": {[]said{{0, paidReceipt}, {1, ""}},
			map[string]any{"status": "SUCCESS", "resultCode": int64(0), "receipt": paidReceipt, "amount": int64(10), "failureReason": nil, "mpesaTimestamp": "2026-11-25T11:08:00Z", "nextCheckAt": nil}},
		"cancelled, then unknown": {[]said{{1032, ""}, {1037, ""}},
			map[string]any{"status": "CANCELLED", "resultCode": int64(1032), "receipt": nil, "amount": nil, "failureReason": "what was said of 1032", "mpesaTimestamp": nil, "nextCheckAt": nil}},
	} {
		for _, stored := range []string{"", transaction} {
			t.Run(name+"/"+stored, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.claim(first, stored)
				was := s.whole(first)
				for _, c := range tt.callbacks {
					s.post(s.signed(first)+"&uid=mallory", stkResult(transaction, c.code, c.receipt, 10))
				}
				is := s.whole(first)
				want := maps.Clone(was.Data)
				maps.Copy(want, tt.want)
				want["checkoutRequestId"] = transaction
				if want["nextCheckAt"] == kept {
					want["nextCheckAt"] = was.Data["nextCheckAt"]
				}
				if is.Data["settledAt"] == was.Data["settledAt"] {
					t.Errorf("settledAt is still that of the claim, %v", is.Data["settledAt"])
				}
				want["settledAt"] = is.Data["settledAt"]
				if !reflect.DeepEqual(is.Data, want) {
					t.Errorf("the payment has become\n%v, want\n%v", is.Data, want)
				}
				if got := testbed.Readers(is); got != "user:amina" {
					t.Errorf("it is read by %q, want amina", got)
				}
				if others := s.others(first); len(others) != 0 {
					t.Errorf("other documents are stored: %v", others)
				}
			})
		}
	}
}

// TestSignedAfterARefusal: a claim that says that nothing was sent is overruled by a
// callback that says otherwise.
func TestSignedAfterARefusal(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, "")
	s.change(first, settle.Failure(settle.NotSent+"x", -1, s.Clock.Now()))
	s.post(s.signed(first), paid())
	s.wantState(first, "SUCCESS")
}

// TestSignedConflict: two verdicts of one payment of which only one can be right.
func TestSignedConflict(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	s.post(s.signed(first), stkResult(transaction, 1032, "", 0))
	was := s.whole(first)
	s.Logged()
	s.post(s.signed(first), stkResult(transaction, 1, "", 0))
	s.unchanged(was)
	s.wantLine("conflict route=callback id="+first, `stored="status=CANCELLED code=1032 `, `new="status=FAILED code=1 `)
}

// TestMismatch: a signed callback that names another transaction than the payment says
// nothing about the payment.
func TestMismatch(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"paid": 0, "failed": 1, "cancelled": 1032, "unknown": 1037} {
		for _, settled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/settled=%t", name, settled), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.Set("DARAJA_ANONYMOUS_READ", "any")
				s.claim(first, transaction)
				if settled {
					s.post(s.signed(first), paid())
				}
				was := s.whole(first)
				receipt := map[bool]string{true: otherReceipt}[code == 0]
				for range 2 {
					s.forget()
					s.post(s.signed(first)+"&uid=mallory", stkResult(anotherOne, code, receipt, 10))
					_, lines := s.Logged()
					if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "mismatch route=callback id="+first+" stored=") }) {
						t.Errorf("error log = %q, want a mismatch", lines)
					}
					twice := slices.ContainsFunc(lines, func(line string) bool {
						return strings.HasPrefix(line, "CHARGED-TWICE ") && strings.Contains(line, paidReceipt+" "+otherReceipt)
					})
					if want := settled && code == 0; twice != want {
						t.Errorf("error log = %q, CHARGED-TWICE: %t, want %t", lines, twice, want)
					}
				}
				s.unchanged(was)
				if got := s.other(first).Data["checkoutRequestId"]; got != anotherOne {
					t.Errorf("the document beside is that of %v, want %s", got, anotherOne)
				}
			})
		}
	}
}

// TestChargedTwice: a second receipt for one payment has a document of its own, and an
// operator hears of both.
func TestChargedTwice(t *testing.T) {
	t.Parallel()
	for _, deleted := range []bool{false, true} { // and made again by the first callback
		t.Run(fmt.Sprintf("deleted=%t", deleted), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			if deleted {
				s.Remove(first)
			}
			s.post(s.signed(first), paid())
			was := s.whole(first)
			s.forget()
			s.post(s.signed(first), stkResult(transaction, 0, otherReceipt, 10))
			s.wantLine("CHARGED-TWICE route=callback id="+first, `receipts="`+paidReceipt+" "+otherReceipt+`"`)
			s.unchanged(was)
			if got := s.other(first).Data["receipt"]; got != otherReceipt {
				t.Errorf("the document beside has the receipt %v, want %s", got, otherReceipt)
			}
		})
	}
}

// TestAnotherAmount: what was paid stands, whatever was asked for.
func TestAnotherAmount(t *testing.T) {
	t.Parallel()
	for amount, odd := range map[int]bool{9: true, 10: false, 11: true} {
		t.Run(fmt.Sprint(amount), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			s.post(s.signed(first), stkResult(transaction, 0, paidReceipt, amount))
			s.wantState(first, "SUCCESS")
			if d := s.payment(first); d["amount"] != int64(amount) || d["requestedAmount"] != int64(10) {
				t.Errorf("amount %v of %v, want %d of 10", d["amount"], d["requestedAmount"], amount)
			}
			if odd {
				s.wantLine("odd route=callback id="+first, fmt.Sprintf("paid were %d shillings, and asked for were 10", amount))
			} else {
				s.wantNoLine()
			}
		})
	}
}

// TestDeletedPayment: the verdict of a payment that somebody has deleted is kept, and
// nobody reads it.
func TestDeletedPayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Set("DARAJA_ANONYMOUS_READ", "any")
	s.claim(first, transaction)
	s.Remove(first)
	s.forget()
	s.post(s.signed(first)+"&uid=mallory", stkResult(transaction, 1037, "", 0))
	s.wantCalls("get create")
	s.wantLine("odd route=callback id="+first, "there is no document of this started payment any more")
	for _, want := range []string{"get replace", "get"} {
		s.post(s.signed(first)+"&uid=mallory", paid())
		s.wantCalls(want)
	}
	d := s.Document()
	if d.ID != first || d.Data["status"] != "SUCCESS" || testbed.Readers(d) != "" {
		t.Errorf("stored is %v, want the SUCCESS under %s, read by nobody", d, first)
	}
}

// TestOddBodies: what is tolerated of a callback is tolerated of a signed one.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prefix, before, after, slashes string
		line                           string
	}{
		"a byte order mark": {before: "\uFEFF"},
		"trailing bytes":    {after: "\n--boundary", line: "after the callback: bytes=10"},
		"doubled slashes":   {prefix: "//" + doorSecret + "//"},
		"a slash at the end": {
			slashes: "/",
		},
		"many":    {prefix: "///", slashes: "///"},
		"all":     {prefix: "//" + oldSecret + "//", before: "\uFEFF", after: "x", slashes: "//", line: "after the callback: bytes=1"},
		"garbage": {prefix: "/%20/..", line: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, transaction)
			path := strings.Replace(withoutSecret(s.signed(first)), "/callback", "/callback"+tt.slashes, 1)
			path, query, _ := strings.Cut(tt.prefix+path, "?")
			if r := s.Handle("POST", path, query, http.Header{}, tt.before+paid()+tt.after); r.Status != 200 {
				t.Errorf("reply %d, want 200", r.Status)
			}
			s.wantState(first, "SUCCESS")
			if tt.line == "" {
				s.wantNoLine()
			} else {
				s.wantLine(tt.line)
			}
		})
	}
}

// between runs f once, on the way of the first PATCH after this, and every time if it
// says so.
func (s *shop) between(f func() (again bool)) {
	var again atomic.Bool
	again.Store(true)
	api := s.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && again.Load() {
			again.Store(f())
		}
		s.Appwrite.ServeHTTP(w, r)
	}))
	s.Set("APPWRITE_FUNCTION_API_ENDPOINT", api+"/v1")
}

// TestOvertaken: somebody changes the payment between our read and our write.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*shop)
		state  string
		calls  string
	}{
		"named":    {func(s *shop) { s.change(first, settle.Name(parse.Payment, transaction)) }, "SUCCESS", "get get replace replace get replace"},
		"checked":  {func(s *shop) { s.change(first, map[string]any{"nextCheckAt": "2026-11-26T00:00:00.000Z"}) }, "SUCCESS", "get get replace replace get replace"},
		"given up": {func(s *shop) { s.change(first, map[string]any{"status": "TIMEOUT", "nextCheckAt": nil}) }, "SUCCESS", "get get replace replace get replace"},
		"settled":  {func(s *shop) { s.change(first, map[string]any{"status": "CANCELLED"}) }, "SUCCESS", "get get replace replace get replace"},
		"deleted":  {func(s *shop) { s.Remove(first) }, "SUCCESS", "get delete replace get create"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, "")
			s.between(func() bool { tt.change(s); return false })
			s.forget()
			s.post(s.signed(first), paid())
			s.wantState(first, tt.state)
			s.wantCalls(tt.calls)
			if got := s.payment(first)["checkoutRequestId"]; got != transaction {
				t.Errorf("checkoutRequestId = %v, want %s", got, transaction)
			}
			if got := s.payment(first)["nextCheckAt"]; got != nil {
				t.Errorf("nextCheckAt = %v, want null", got)
			}
			if n := len(s.Appwrite.Waiting()); n != 0 {
				t.Errorf("%d executions wait, want none", n)
			}
		})
	}
}

// TestOvertakenByMore: what is known better meanwhile stands.
func TestOvertakenByMore(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	s.between(func() bool {
		s.change(first, map[string]any{"status": "SUCCESS", "receipt": paidReceipt, "amount": 10, "failureReason": nil, "resultCode": 0})
		return false
	})
	s.post(s.signed(first), stkResult(transaction, 1, "", 0))
	s.wantState(first, "SUCCESS")
	s.wantLine("conflict ")
}

// TestContended: a payment that is changed without end does not keep us, and its verdict
// waits.
func TestContended(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	changes := 0
	s.between(func() bool {
		changes++
		s.change(first, map[string]any{"nextCheckAt": s.Clock.Now().UTC().Add(time.Duration(changes) * time.Minute).Format(time.RFC3339)})
		return changes < 1000
	})
	s.post(s.signed(first), paid())
	if changes > 4*5*2 { // rounds, steps, tries
		t.Errorf("%d writes were tried", changes)
	}
	if n := len(s.Appwrite.Waiting()); n != 3 {
		t.Errorf("%d executions wait, want 3", n)
	}
	changes = 1000
	s.Later(5 * time.Minute)
	s.wantState(first, "SUCCESS")
}

// TestSignedFaults breaks each call of settling in each way, before and after it is
// carried out, once and for ever: nothing is lost, and the success is written once.
func TestSignedFaults(t *testing.T) {
	for _, f := range faults {
		for _, operation := range []string{"get", "replace", "create"} {
			for _, after := range []bool{false, true} {
				for _, times := range []int{0, 1} {
					t.Run(fmt.Sprintf("%s/%s/after=%t/times=%d", f.name, operation, after, times), func(t *testing.T) {
						t.Parallel()
						testSignedFault(t, f, operation, after, times)
					})
				}
			}
		}
	}
}

func testSignedFault(t *testing.T, f fault, operation string, after bool, times int) {
	s := newShop(t)
	s.claim(first, "")
	if operation == "create" { // which only a deleted payment needs
		s.Remove(first)
		s.forget()
	}
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, After: after, Times: times, Reply: f.reply})
	s.post(s.signed(first), paid())
	written := after && operation != "get"
	queued := 3
	if f.class == appwrite.Transient && (times == 1 || written) {
		queued = 0 // the second try did it, or has found it done
	}
	if n := len(s.Appwrite.Waiting()); n != queued {
		t.Errorf("%d executions wait, want %d", n, queued)
	}
	if queued > 0 {
		s.wantLine("failed route=callback id="+first, fmt.Sprintf(" reason=%q ", f.class), ` error="`, f.log)
	}
	s.Appwrite.Heal()
	s.Later(3 * time.Minute)
	s.wantState(first, "SUCCESS")
	s.Later(30 * day)
	s.wantState(first, "SUCCESS")
	if d := s.Document(); d.Data["receipt"] != paidReceipt || d.Data["checkoutRequestId"] != transaction {
		t.Errorf("stored is %v", d)
	}
	if events := s.Appwrite.Events(); len(events) != 1 {
		t.Errorf("%d events, want the one of the success", len(events))
	}
}

// TestSignedFaultsEverywhere: what can be neither stored nor queued is in the log, and
// settled from it.
func TestSignedFaultsEverywhere(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.claim(first, "")
			s.Appwrite.Inject(fakeappwrite.Fault{Reply: f.reply})
			if got := s.Post(s.signed(first), paid()); got != 503 {
				t.Fatalf("reply %d, want 503", got)
			}
			s.Appwrite.Heal()
			_, lines := s.Logged()
			if got, err := s.function.Replay(testbed.FunctionKey, lines[0]); err != nil || got.Outcome != settle.Replaced {
				t.Errorf("replay of %q: %s, %v, want replaced", lines[0], got.Outcome, err)
			}
			s.wantState(first, "SUCCESS")
		})
	}
}

// TestSignedAtOnce posts an unknown outcome and its success many times at the same
// moment, while the transaction is named and calls break.
func TestSignedAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, "")
	path, query, _ := strings.Cut(s.signed(first), "?")
	for range 6 {
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "replace", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Times: 1, Reply: fakeappwrite.HTML(503)})
	}
	var wg sync.WaitGroup
	for range 6 {
		for _, body := range []string{stkResult(transaction, 1037, "", 0), paid()} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if got := s.Handle("POST", path, query, http.Header{}, body); got.Status != 200 {
					t.Errorf("reply %d, want 200", got.Status)
				}
			}()
		}
	}
	wg.Wait()
	s.Later(30 * day)
	s.wantState(first, "SUCCESS")
	if events := s.Appwrite.Events(); len(events) > 2 {
		t.Errorf("Realtime would have sent %d events, want at most two updates", len(events))
	}
}

// TestSignedLineIsJSON: an UNSETTLED line of the longest verdict fits into the log.
func TestSignedLineIsJSON(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.claim(first, transaction)
	s.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
	long := strings.Repeat(`\u0001`, 1000)
	s.Post(s.signed(first), fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":"%s","ResultCode":1,"ResultDesc":"%s"}}}`, long, long))
	_, lines := s.Logged()
	rest, _ := strings.CutPrefix(lines[0], settle.Mark)
	if len(lines[0]) > 8000 || !json.Valid([]byte(rest)) {
		t.Errorf("the line has %d bytes: %q", len(lines[0]), lines[0])
	}
}

// TestComparedInConstantTime: no timing that a test could take would show it, so this
// reads the source: signatures are compared by hmac.Equal, under every key.
func TestComparedInConstantTime(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "sign.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	compared := false
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "verifies" {
			return !ok
		}
		returns := 0
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				t.Errorf("a comparison by %s", n.Op)
			case *ast.BranchStmt:
				t.Errorf("a %s ends the loop early", n.Tok)
			case *ast.ReturnStmt:
				returns++
			case *ast.SelectorExpr:
				compared = compared || n.Sel.Name == "Equal" && fmt.Sprint(n.X) == "hmac"
			}
			return true
		})
		if returns != 1 {
			t.Errorf("%d returns, want one, behind the loop", returns)
		}
		return false
	})
	if !compared {
		t.Error("hmac.Equal is not called")
	}
}
