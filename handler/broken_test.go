package handler

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
)

// breakage is a way in which a call goes wrong.
type breakage struct {
	name  string
	done  bool // what the call asks for is done all the same
	reply http.HandlerFunc
	store bool // not of Safaricom: from it, this would be proof that nothing was done
	hangs bool
}

func breakages() (all []breakage) {
	for _, b := range []breakage{
		{name: "500", reply: fakeappwrite.Status(500, "general_unknown", "Server Error")},
		{name: "connection broken", reply: fakeappwrite.Hangup()},
		{name: "a page", reply: fakeappwrite.HTML(200)},
		{name: "503 page", reply: fakeappwrite.HTML(503)},
		{name: "an empty object", reply: fakeappwrite.Empty(200)},
		{name: "hangs", reply: testbed.Hang, hangs: true},
	} {
		done := b
		done.name, done.done = "done, then "+b.name, true
		all = append(all, b, done)
	}
	return append(all,
		breakage{name: "401", store: true, reply: fakeappwrite.Status(401, "general_unauthorized_scope", "missing scopes")},
		breakage{name: "429", store: true, reply: fakeappwrite.Status(429, "general_rate_limit_exceeded", "Rate limit")},
		breakage{name: "404", store: true, reply: fakeappwrite.Status(404, "collection_not_found", "Collection")},
	)
}

// TestEveryCallBreaks breaks every call that a payment needs, in every way, once or with
// all that come after it, with one request under the id or two at once. Whatever happens:
// the payer is asked once at most, a payment that may be made is never called failed, the
// id can be asked for again, and what was paid is found in the document.
func TestEveryCallBreaks(t *testing.T) {
	const calls = 9 // version, account, create, list, list, token, go-ahead, push, name
	for _, asks := range []int{1, 2} {
		for n := 1; n <= calls*asks; n++ {
			for _, b := range breakages() {
				for _, outage := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d asks, call %d, %s, outage %t", asks, n, b.name, outage), func(t *testing.T) {
						t.Parallel()
						breakCall(t, asks, n, b, outage)
					})
				}
			}
		}
	}
}

func breakCall(t *testing.T, asks, n int, b breakage, outage bool) {
	s := newShop(t)
	goesOn := true // nothing broke before the push
	s.setSpoil(func(call int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		if call < n || call > n && !outage || safaricom && (b.store || b.hangs) {
			return false
		}
		// net/http itself repeats a GET whose connection broke.
		repeated := r.Method == http.MethodGet && strings.HasSuffix(b.name, "connection broken")
		if asks == 1 && call < 8 && !repeated {
			goesOn = false
		}
		if b.done {
			carryOut()
		}
		b.reply(w, r)
		return true
	})
	told := make([]reply, asks)
	var wait sync.WaitGroup
	for i := range told {
		wait.Add(1)
		go func() { defer wait.Done(); told[i] = s.ask("amina", wish(first, phoneA)) }()
	}
	wait.Wait()
	shown := s.prompts("")
	if shown > 1 {
		t.Errorf("the payer was asked %d times", shown)
	}
	if shown > 0 && !goesOn {
		t.Error("the payer was asked, though something broke before")
	}
	if failed := told[0].kind(); asks == 1 && shown > 0 && failed != "PENDING" {
		t.Errorf("the payer was asked, and the app is told %s", failed)
	}
	for _, r := range told {
		if r.field("claimed") == true && (shown > 0 || !strings.HasPrefix(s.state(first), "FAILED NOT_SENT: ")) {
			t.Errorf("the app is told %s, the payer was asked %d times, and the payment is %s", r.body, shown, s.state(first))
		}
	}

	s.setSpoil(nil)
	again := s.ask("amina", wish(first, phoneA))
	if again.status != 200 {
		t.Errorf("asked again, the app is told %d %s", again.status, again.body)
	}
	if now := s.prompts(""); now > 1 {
		t.Errorf("asked again, the payer was asked %d times", now)
	}
	if s.prompts("") == 0 {
		return
	}
	if state := s.state(first); state != "PENDING" {
		t.Errorf("while the payer is asked, the payment is %s", state)
	}
	p := s.prompt()
	s.pay(p)
	d := s.payment(first)
	if d["status"] != "SUCCESS" || d["receipt"] != s.receipt(p) || d["checkoutRequestId"] != p.CheckoutRequestID || len(s.Stored()) != 1 {
		t.Errorf("after it was paid, stored is %v", s.Stored())
	}
}

// TestOneID has many ask for one payment at once.
func TestOneID(t *testing.T) {
	s := newShop(t)
	s.pushConcurrently(20, func(int) string { return wish(first, phoneA) }, func(i int, r reply) {
		if r.kind() != "PENDING" {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	if n := s.prompts(""); n != 1 {
		t.Errorf("the payer was asked %d times", n)
	}
	if len(s.Stored()) != 1 || s.state(first) != "PENDING" {
		t.Errorf("stored is %v", s.Stored())
	}
	s.pay(s.prompt())
	if s.state(first) != "SUCCESS" {
		t.Errorf("after it was paid: %s", s.state(first))
	}
}

// TestOnePhone has many payments of one phone started at once: one is asked for at most,
// and each other app is told to wait.
func TestOnePhone(t *testing.T) {
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			s := newShop(t)
			for i := range 25 {
				s.signIn(fakeappwrite.User{ID: fmt.Sprintf("user%d", i), EmailVerification: true})
			}
			var mu sync.Mutex
			started := 0
			s.pushConcurrently(50, func(i int) string {
				return strings.Replace(wish(fmt.Sprintf("%020x", i), phoneA), ":10", fmt.Sprintf(":%d", 10+i%2), 1)
			}, func(i int, r reply) {
				mu.Lock()
				defer mu.Unlock()
				switch r.kind() {
				case "PENDING":
					started++
				case "busy":
					if state := s.state(fmt.Sprintf("%020x", i)); r.field("claimed") != true || !strings.HasPrefix(state, "FAILED NOT_SENT: ") {
						t.Errorf("told %s, and the payment is %s", r.body, state)
					}
				default:
					t.Errorf("%d %s", r.status, r.body)
				}
			})
			if n := s.prompts(""); n > 1 || n != started {
				t.Errorf("the payer was asked %d times, and %d apps were told so", n, started)
			}
		})
	}
}

// pushConcurrently has so many apps ask at once. Of user I there are two.
func (s *shop) pushConcurrently(n int, body func(i int) string, told func(i int, r reply)) {
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wait.Add(1)
		go func() {
			defer wait.Done()
			<-start
			user := "amina"
			if n == 50 {
				user = fmt.Sprintf("user%d", i/2)
			}
			told(i, s.ask(user, body(i)))
		}()
	}
	close(start)
	wait.Wait()
}

// TestTwoMeet: of two claims that see each other, the first waits until the other has
// yielded, and is then asked for; if the other has not, it yields too.
func TestTwoMeet(t *testing.T) {
	for _, tt := range []struct {
		name            string
		at              int // before which of the first one's calls the other claim is made
		yields          bool
		want            string
		prompts, pauses int
	}{
		{name: "the other yields", at: 4, yields: true, want: "PENDING", prompts: 1, pauses: 1},
		{name: "the other stays", at: 4, want: "busy", pauses: 1},
		{name: "the other was first", at: 1, want: "busy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			pauses := 0
			s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
				if n == tt.at {
					s.claimOf(second, phoneA)
				}
				return false
			})
			s.function.clock.pause = func(d time.Duration) {
				pauses++
				if d != 500*time.Millisecond {
					t.Errorf("it waits for %v", d)
				}
				if tt.yields {
					s.patch(second, `{"status":"FAILED"}`)
				}
			}
			if got := s.ask("amina", wish(first, phoneA)); got.kind() != tt.want {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			if n := s.prompts(""); n != tt.prompts || pauses != tt.pauses {
				t.Errorf("%d prompts and %d pauses, want %d and %d", n, pauses, tt.prompts, tt.pauses)
			}
		})
	}
}

// claimOf stores a claim as another process of the function would.
func (s *shop) claimOf(id, phone string) {
	c := &s.function.config
	s.write(http.MethodPost, "", fmt.Sprintf(`{"documentId":%q,"data":{"checkoutRequestId":"","status":"PENDING","settledAt":"2026-01-01T00:00:00.000Z",`+
		`"failureReason":"NOT_SENT: interrupted","userId":"berta","requestKey":%q,"phoneKey":%q,"nextCheckAt":"2030-01-01T00:00:00.000Z"}}`,
		id, c.keyedHashes(forRequest, "of another")[0], c.keyedHashes(forPhone, phone)[0]))
}

// patch changes a payment as another process of the function, or the console, does.
func (s *shop) patch(id, data string) { s.write(http.MethodPatch, "/"+id, `{"data":`+data+`}`) }

func (s *shop) write(method, path, body string) { s.writeTo("payments", method, path, body) }

func (s *shop) writeTo(collection, method, path, body string) {
	req, err := http.NewRequest(method, s.AppwriteURL+"/databases/daraja/collections/"+collection+"/documents"+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Key", testbed.FunctionKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := testbed.Client.Do(req)
	if err != nil {
		s.t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		s.t.Errorf("%s %s: %d", method, path, resp.StatusCode)
	}
}

// TestCallbackFirst: the callback may come before the acknowledgement.
func TestCallbackFirst(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer fakesafaricom.Answer
		want   string
	}{
		{"paid", fakesafaricom.Pays, "SUCCESS"},
		{"cancelled", fakesafaricom.Cancels, "CANCELLED"},
		{"unknown", fakesafaricom.Silent, "TIMEOUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: tt.answer})
			s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackBeforeAck())
			got := s.ask("amina", wish(first, phoneA))
			p := s.prompt()
			if operations := s.Operations(); operations != "execute version account create list list replace get replace replace get" {
				t.Errorf("calls: %s, want no write over the callback's", operations)
			}
			if got.kind() != tt.want || got.field("checkoutRequestId") != p.CheckoutRequestID {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			if d := s.payment(first); d["status"] != tt.want || d["checkoutRequestId"] != p.CheckoutRequestID {
				t.Errorf("stored is %v", d)
			}
		})
	}
}

// TestPushPanic: a fault in our own code ends no other request, and the app is told what
// was last known. Of what was claimed it is never told that it failed.
func TestPushPanic(t *testing.T) {
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprint("clock ", n), func(t *testing.T) {
			s := newShop(t)
			now, calls, panicked := s.function.clock.now, 0, false
			s.function.clock.now = func() time.Time {
				if calls++; calls == n {
					panicked = true
					panic("at " + phoneA)
				}
				return now()
			}
			got := s.ask("amina", wish(first, phoneA))
			if !panicked {
				t.Fatalf("a payment looks at the clock %d times", calls)
			}
			want, shown := "PENDING", s.prompts("")
			if len(s.Stored()) == 0 {
				want = "unavailable"
			}
			if got.kind() != want || shown > 1 {
				t.Errorf("%d %s, want %s; %d prompts", got.status, got.body, want, shown)
			}
			if errors := s.errorLog(); !strings.HasPrefix(errors, "panic route=stk/push id="+first+" at=openruntimes/handler/handler.") {
				t.Errorf("the error log is %q", errors)
			}
			if again := s.ask("amina", wish(first, phoneA)); again.kind() != "PENDING" || s.prompts("") > 1 {
				t.Errorf("asked again: %d %s", again.status, again.body)
			}
		})
	}
}

// TestRefusalIsNotStored: the payer cannot be asked, and then a call breaks that is to
// say so. Once is made good; for good, the app is not told that its claim has ended.
func TestRefusalIsNotStored(t *testing.T) {
	for _, b := range breakages() {
		for _, outage := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, outage %t", b.name, outage), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Locked: true})
				s.setSpoil(func(n int, _ bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
					if n < 9 || n > 9 && !outage {
						return false
					}
					if b.done {
						carryOut()
					}
					b.reply(w, r)
					return true
				})
				got := s.ask("amina", wish(first, phoneA))
				if got.status != 422 || got.kind() != "rejected" {
					t.Errorf("%d %s", got.status, got.body)
				}
				// What an operator must see to, is not tried again.
				want := !outage && !b.store
				if got.field("claimed") != want {
					t.Errorf("claimed = %v, want %t", got.field("claimed"), want)
				}
				state := "PENDING"
				if want || b.done {
					state = "FAILED " + fakesafaricom.SubscriberLocked
				}
				if s.state(first) != state {
					t.Errorf("the payment is %s, want %s", s.state(first), state)
				}
			})
		}
	}
}

// TestVerdictBeforeRefusal: Safaricom refuses, and has told otherwise already. What it has
// told stands, and the app is told that.
func TestVerdictBeforeRefusal(t *testing.T) {
	s := newShop(t)
	s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: fakesafaricom.Pays})
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackBeforeAck())
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.Error1001(fakesafaricom.SubscriberLocked).CarriedOut())
	got := s.ask("amina", wish(first, phoneA))
	if got.status != 200 || got.kind() != "SUCCESS" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if d := s.payment(first); d["status"] != "SUCCESS" || d["receipt"] != s.receipt(s.prompt()) {
		t.Errorf("stored is %v", d)
	}
}

// TestNoTimeToSend: the go-ahead took so long that nothing may be sent any more.
func TestNoTimeToSend(t *testing.T) {
	s := newShop(t)
	s.setSpoil(func(n int, _ bool, _ func(), _ http.ResponseWriter, _ *http.Request) bool {
		if n == 7 {
			s.function.clock.pushBegins = -time.Hour
		}
		return false
	})
	got := s.ask("amina", wish(first, phoneA))
	if got.kind() != "unavailable" || got.field("claimed") != true || len(s.safaricom.Calls(fakesafaricom.Push)) != 0 {
		t.Errorf("%d %s, after %d pushes", got.status, got.body, len(s.safaricom.Calls(fakesafaricom.Push)))
	}
	if state := s.state(first); state != "FAILED NOT_SENT: Safaricom could not be asked, and nothing was sent" {
		t.Errorf("the payment is %s", state)
	}
}
