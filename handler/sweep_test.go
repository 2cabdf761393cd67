package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// sweep has the function run on its schedule, and returns what it says.
func (s *shop) sweep() (told sweepReply) {
	s.t.Helper()
	answer := s.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
	if err := json.Unmarshal([]byte(answer.Body), &told); answer.Status != http.StatusOK || err != nil {
		s.t.Fatalf("the sweep: %d %s", answer.Status, answer.Body)
	}
	return told
}

// lose starts a payment whose callback never comes.
func (s *shop) lose(id, phone string, answer fakesafaricom.Answer) {
	s.t.Helper()
	s.safaricom.SetPhone(phone, fakesafaricom.Phone{Answer: answer})
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLost())
	if got := s.ask("amina", wish(id, phone)); got.kind() != "PENDING" {
		s.t.Fatalf("the app is told %s", got.body)
	}
}

// nextCheckAt is when a payment is to be asked about, counted from its creation; -1 for
// never.
func (s *shop) nextCheckAt(id string) time.Duration {
	s.t.Helper()
	d, _ := s.Appwrite.Document("daraja", "payments", id)
	text, _ := d.Data["nextCheckAt"].(string)
	if text == "" {
		return -1
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		s.t.Fatal(err)
	}
	return at.Sub(d.CreatedAt).Round(time.Second)
}

// TestSweepFinds has payments whose callback never comes.
func TestSweepFinds(t *testing.T) {
	for _, tt := range []struct {
		answer fakesafaricom.Answer
		want   string
		next   time.Duration
	}{
		{fakesafaricom.Pays, "SUCCESS", -1},
		{fakesafaricom.Cancels, "CANCELLED Request Cancelled by user.", -1},
		{fakesafaricom.NoMoney, "FAILED The balance is insufficient for the transaction.", -1},
		{fakesafaricom.WrongPIN, "FAILED The initiator information is invalid.", -1},
		{fakesafaricom.Silent, "TIMEOUT DS timeout user cannot be reached.", 5 * time.Minute},
		{fakesafaricom.BadDebt, "TIMEOUT E3008: Error, the user has a bad debt contract.", 5 * time.Minute},
	} {
		t.Run(string(tt.answer), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.lose(first, phoneA, tt.answer)
			s.later(89 * time.Second)
			if told := s.sweep(); told != (sweepReply{}) {
				t.Errorf("before it is due, the sweep says %+v", told)
			}
			s.later(3 * time.Second)
			told := s.sweep()
			if told.Due != 1 || told.Asked != 1 || told.Found != map[bool]int{true: 1}[tt.next == -1] {
				t.Errorf("the sweep says %+v", told)
			}
			if got := s.state(first); got != tt.want {
				t.Errorf("the payment is %s, want %s", got, tt.want)
			}
			if got := s.nextCheckAt(first); got != tt.next {
				t.Errorf("asked about again at %v, want %v", got, tt.next)
			}
			if told := s.sweep(); told != (sweepReply{}) {
				t.Errorf("the next sweep says %+v", told)
			}
			s.later(5 * time.Minute)
			if told := s.sweep(); (told.Asked == 1) != (tt.next > 0) {
				t.Errorf("five minutes later the sweep says %+v", told)
			}
		})
	}
}

// TestSweepThenCallback has a callback that comes when a query has already said what
// became of the payment.
func TestSweepThenCallback(t *testing.T) {
	t.Run("with the receipt", func(t *testing.T) {
		s := newShop(t)
		s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: fakesafaricom.Pays})
		s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLate(time.Hour))
		s.ask("amina", wish(first, phoneA))
		s.later(2 * time.Minute)
		s.sweep()
		if d := s.payment(first); d["status"] != "SUCCESS" || d["receipt"] != nil || d["amount"] != nil || d["resultCode"] != int64(0) {
			t.Errorf("asked about, the payment is %v", d)
		}
		s.later(2 * time.Hour)
		if d := s.payment(first); d["status"] != "SUCCESS" || d["receipt"] != s.receipt(s.prompt()) || d["amount"] != int64(10) {
			t.Errorf("after the callback, the payment is %v", d)
		}
		// If no callback comes, somebody has to look for the receipt.
		if log := s.errorLog(); log != "odd route=sweep id="+first+` reason="paid, says Safaricom when asked; the receipt is still to come with the callback, or is in M-Pesa's statement"` {
			t.Errorf("the error log says %s", log)
		}
	})
	t.Run("that contradicts it", func(t *testing.T) {
		s := newShop(t)
		s.lose(first, phoneA, fakesafaricom.Pays)
		s.later(2 * time.Minute)
		s.sweep()
		s.Post(s.signed(first), stkResult(s.prompt().CheckoutRequestID, 1, "", 0))
		if got := s.state(first); got != "SUCCESS" {
			t.Errorf("the payment is %s", got)
		}
		log := s.errorLog()
		if !strings.Contains(log, "conflict route=callback id="+first) || !strings.Contains(log, "UNRESOLVED route=callback id="+first+" status=SUCCESS") {
			t.Errorf("the error log says %s", log)
		}
	})
}

// TestCallbackWhileAsked has a callback arrive while Safaricom is being asked. What the
// callback said stands.
func TestCallbackWhileAsked(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.later(2 * time.Minute)
	body := stkResult(s.prompt().CheckoutRequestID, 1, "", 0)
	s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "stkpushquery") {
			s.Post(s.signed(first), body)
		}
		return false
	})
	s.sweep()
	if got := s.state(first); !strings.HasPrefix(got, "FAILED") {
		t.Errorf("the payment is %s, want what the callback said", got)
	}
	if log := s.errorLog(); !strings.Contains(log, "UNRESOLVED route=sweep id="+first+" status=FAILED") {
		t.Errorf("the error log says %s", log)
	}
}

// TestUnderAMinute: of a young payment only a cancellation is believed.
func TestUnderAMinute(t *testing.T) {
	for _, tt := range []struct {
		answer fakesafaricom.Answer
		want   string
	}{{fakesafaricom.Pays, "PENDING"}, {fakesafaricom.NoMoney, "PENDING"}, {fakesafaricom.Silent, "PENDING"}, {fakesafaricom.Cancels, "CANCELLED"}} {
		s := newShop(t)
		s.lose(first, phoneA, tt.answer)
		s.later(50 * time.Second)
		if got := s.checkAs("amina", first); got.kind() != tt.want {
			t.Errorf("%s: after 50 s the app is told %s, want %s", tt.answer, got.body, tt.want)
		}
		s.later(16 * time.Second)
		if got := s.checkAs("amina", first); got.kind() == "PENDING" {
			t.Errorf("%s: after 66 s the app is told %s", tt.answer, got.body)
		}
	}
}

// TestNextCheck has the times at which a payment is asked about.
func TestNextCheck(t *testing.T) {
	created := time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	var ages []string
	for now := created; len(ages) < 18; {
		next := nextCheck(created, now)
		ages = append(ages, next.Sub(created).String())
		now = next
	}
	want := "1m30s 5m0s 10m0s 20m0s 50m0s 2h0m0s 4h0m0s 8h0m0s 16h0m0s 24h0m0s 32h0m0s 40h0m0s 48h0m0s 56h0m0s 64h0m0s 72h0m0s 80h0m0s 88h0m0s"
	if got := strings.Join(ages, " "); got != want {
		t.Errorf("asked at %s, want %s", got, want)
	}
}

// TestGiveUp has payments that nobody can tell of: one that Safaricom has named, and one
// whose acknowledgement was lost.
func TestGiveUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start func(*shop)
		query string // what every question is answered with; empty for the truth
		after time.Duration
		was   string
		want  string
	}{
		{"answered, and not known", func(s *shop) { s.lose(first, phoneA, fakesafaricom.Silent) }, "", day, "TIMEOUT", "TIMEOUT DS timeout user cannot be reached."},
		{"under way for ever", func(s *shop) { s.lose(first, phoneA, fakesafaricom.Pays) },
			`{"ResponseCode":"0","CheckoutRequestID":"ID","ResultCode":"4999","ResultDesc":"The transaction is still under processing"}`,
			day, "PENDING", "TIMEOUT Safaricom has not said what became of it"},
		{"never answered", func(s *shop) { s.lose(first, phoneA, fakesafaricom.Pays) }, "<html>", 3 * day, "PENDING", "TIMEOUT Safaricom has not said what became of it"},
		{"answered about another", func(s *shop) { s.lose(first, phoneA, fakesafaricom.Pays) },
			`{"ResponseCode":"0","CheckoutRequestID":"ws_CO_another","ResultCode":"0","ResultDesc":"paid"}`,
			3 * day, "PENDING", "TIMEOUT Safaricom has not said what became of it"},
		{"never named", func(s *shop) {
			s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: fakesafaricom.Pays})
			s.safaricom.Once(fakesafaricom.Push, fakesafaricom.LostAck())
			s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLost())
			s.ask("amina", wish(first, phoneA))
		}, "<html>", 3 * day, "PENDING", "TIMEOUT Safaricom has not said what became of it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			tt.start(s)
			if tt.query != "" {
				answer := strings.Replace(tt.query, `"ID"`, strconv.Quote(s.prompt().CheckoutRequestID), 1)
				s.safaricom.Always(fakesafaricom.Query, fakesafaricom.Reply(200, "application/json", answer))
			}
			s.later(tt.after - time.Minute)
			s.sweep()
			if got := s.state(first); !strings.HasPrefix(got, tt.was) || s.nextCheckAt(first) != tt.after {
				t.Errorf("a minute before the end the payment is %s, asked about at %v", got, s.nextCheckAt(first))
			}
			if log := s.errorLog(); strings.Contains(log, "UNRESOLVED") {
				t.Errorf("a minute before the end the error log says %s", log)
			}
			s.later(2 * time.Minute)
			if told := s.sweep(); told.GivenUp != 1 {
				t.Errorf("the sweep says %+v", told)
			}
			if got := s.state(first); got != tt.want || s.nextCheckAt(first) != -1 {
				t.Errorf("the payment is %s, asked about at %v, want %s", got, s.nextCheckAt(first), tt.want)
			}
			if log := s.errorLog(); strings.Count(log, "UNRESOLVED route=sweep id="+first+" status=TIMEOUT") != 1 {
				t.Errorf("the error log says %s", log)
			}
			s.later(9 * time.Hour)
			if told := s.sweep(); told != (sweepReply{}) {
				t.Errorf("after that the sweep says %+v", told)
			}
			if got := s.checkAs("amina", first); got.kind() != "TIMEOUT" {
				t.Errorf("after that the app is told %s", got.body)
			}
		})
	}
}

// TestInterrupted has a process die between the claim and the push: nothing was sent, and
// that is said within minutes.
func TestInterrupted(t *testing.T) {
	for _, way := range []string{"sweep", "check"} {
		s := newShop(t)
		s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
			if n < 4 { // version, account, claim
				return false
			}
			fakeappwrite.Hangup()(w, r)
			return true
		})
		s.ask("amina", wish(first, phoneA))
		s.setSpoil(nil)
		if got := s.state(first); got != "PENDING NOT_SENT: interrupted" {
			t.Fatalf("the payment is %s", got)
		}
		s.later(50 * time.Second)
		if got := s.checkAs("amina", first); got.kind() != "PENDING" {
			t.Errorf("%s: after 50 s the app is told %s", way, got.body)
		}
		s.later(45 * time.Second)
		s.Operations()
		if way == "sweep" {
			if told := s.sweep(); told.NotSent != 1 || told.Asked != 0 {
				t.Errorf("the sweep says %+v", told)
			}
		} else if got := s.checkAs("amina", first); got.kind() != "FAILED" {
			t.Errorf("the app is told %s", got.body)
		}
		if got := s.state(first); got != "FAILED NOT_SENT: interrupted" || s.nextCheckAt(first) != -1 {
			t.Errorf("%s: the payment is %s", way, got)
		}
		if s.prompts("") != 0 {
			t.Errorf("%s: a phone was asked", way)
		}
	}
}

// TestSweepCost counts calls: one of Appwrite when nothing is due, none without
// credentials; for each payment two of Appwrite and one of Safaricom.
func TestSweepCost(t *testing.T) {
	s := newShop(t)
	s.sweep()
	if got, want := s.Operations(), "list"; got != want {
		t.Errorf("with nothing due: %s, want %s", got, want)
	}
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.lose(second, phoneB, fakesafaricom.NoMoney)
	s.later(2 * time.Minute)
	s.Operations()
	before := len(s.safaricom.Calls(fakesafaricom.Any))
	s.sweep()
	if got, want := s.Operations(), "list replace replace replace replace"; got != want {
		t.Errorf("with two due: %s, want %s", got, want)
	}
	if got := len(s.safaricom.Calls(fakesafaricom.Any)) - before; got != 2 {
		t.Errorf("with two due: %d calls of Safaricom, want 2", got)
	}
	logs, _ := s.Logged()
	if last := logs[len(logs)-1]; !strings.HasPrefix(last, "route=sweep due=2 asked=2 found=2 not-sent=0 given-up=0 failed=0 calls=5 ms=") {
		t.Errorf("logged is %q", logs)
	}

	bare := newWorld(t)
	answer := bare.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
	logs, errors := bare.Logged()
	if answer.Status != 200 || bare.Operations() != "" || len(logs)+len(errors) != 0 {
		t.Errorf("without credentials: %d %s, logged %q and %q", answer.Status, answer.Body, logs, errors)
	}
}

// TestSweepSettings has settings that are half there.
func TestSweepSettings(t *testing.T) {
	s := newShop(t)
	s.Set("DARAJA_PASSKEY", "")
	answer := s.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
	if answer.Status != http.StatusNotImplemented || !strings.Contains(s.errorLog(), "DARAJA_PASSKEY is missing") || s.Operations() != "" {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
}

// TestForgedSweep has anybody run the sweep: it does what is due and nothing else, and
// with a body, or by another way, it is no sweep.
func TestForgedSweep(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.Operations()
	for _, tt := range []struct {
		name   string
		params map[string]any
		status int
		calls  string
	}{
		{"headers that say schedule", map[string]any{"headers": map[string]string{"X-Appwrite-Trigger": "schedule"}, "path": "/", "method": "POST"}, 200, "execute list"},
		{"with a body", map[string]any{"headers": map[string]string{"X-Appwrite-Trigger": "schedule"}, "path": "/", "method": "POST", "body": "{}"}, 404, "execute"},
		{"without the trigger", map[string]any{"path": "/", "method": "POST"}, 404, "execute"},
		{"another path", map[string]any{"headers": map[string]string{"X-Appwrite-Trigger": "schedule"}, "path": "/sweep", "method": "POST"}, 404, "execute"},
		{"another method", map[string]any{"headers": map[string]string{"X-Appwrite-Trigger": "schedule"}, "path": "/", "method": "GET"}, 404, "execute"},
	} {
		tt.params["async"] = false
		got := s.executeWith(tt.params)
		if calls := s.Operations(); got.status != tt.status || calls != tt.calls {
			t.Errorf("%s: %d %s with the calls %s, want %d with %s", tt.name, got.status, got.body, calls, tt.status, tt.calls)
		}
	}
	if reply := s.Send("POST", "/", ""); reply.Status != 404 {
		t.Errorf("through the domain: %d", reply.Status)
	}
	s.later(2 * time.Minute)
	s.executeWith(map[string]any{"async": false, "headers": map[string]string{"X-Appwrite-Trigger": "schedule"}, "path": "/", "method": "POST"})
	if got := s.state(first); got != "SUCCESS" {
		t.Errorf("the payment is %s", got)
	}
}

// TestSweepThrottled ends a run that Safaricom takes no more questions from. What was
// claimed is asked about in five minutes, and the rest by the next run.
func TestSweepThrottled(t *testing.T) {
	s := newShop(t)
	for i := range 3 {
		s.lose(fmt.Sprintf("00000000000000000b%02d", i), fmt.Sprintf("2547000001%02d", i), fakesafaricom.Pays)
	}
	s.later(2 * time.Minute)
	s.safaricom.Once(fakesafaricom.Query, fakesafaricom.SpikeArrest())
	if told := s.sweep(); told.Due != 3 || told.Asked != 1 || told.Found != 0 {
		t.Errorf("throttled, the sweep says %+v", told)
	}
	if log := s.errorLog(); !strings.Contains(log, `failed route=sweep id=00000000000000000b`) || !strings.Contains(log, `reason="throttled"`) {
		t.Errorf("the error log says %s", log)
	}
	if told := s.sweep(); told.Due != 2 || told.Found != 2 {
		t.Errorf("the next sweep says %+v", told)
	}
	s.later(5*time.Minute + time.Second)
	if told := s.sweep(); told.Due != 1 || told.Found != 1 {
		t.Errorf("after five minutes the sweep says %+v", told)
	}
}

// TestSweepWithoutToken claims nothing: what is due stays due.
func TestSweepWithoutToken(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.later(2 * time.Minute)
	s.Set("DARAJA_CONSUMER_SECRET", "wrong")
	before := s.nextCheckAt(first)
	if told := s.sweep(); told.Due != 1 || told.Asked != 0 || s.nextCheckAt(first) != before {
		t.Errorf("the sweep says %+v, and the next check is at %v", told, s.nextCheckAt(first))
	}
	if log := s.errorLog(); !strings.Contains(log, `failed route=sweep id=? reason="credentials"`) {
		t.Errorf("the error log says %s", log)
	}
	s.Set("DARAJA_CONSUMER_SECRET", consumerSecret)
	if told := s.sweep(); told.Found != 1 {
		t.Errorf("with the right secret the sweep says %+v", told)
	}
}

// TestSweepTime has more payments due than one run can ask about. No run begins a question
// after 20 s, and all are found.
func TestSweepTime(t *testing.T) {
	t.Parallel()
	const payments = 60
	s := newShop(t)
	s.Set("DARAJA_ENVIRONMENT", "production")
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	for i := range payments {
		s.lose(fmt.Sprintf("%020x", i), fmt.Sprintf("25470%07d", i), fakesafaricom.Pays)
	}
	s.Logged()
	s.function.clock.pause = func(d time.Duration) { s.later(d) }
	s.later(2 * time.Minute)
	for runs := 0; ; runs++ {
		began := s.Clock.Now()
		told := s.sweep()
		if took := s.Clock.Now().Sub(began); took >= sweepBegins+time.Second {
			t.Errorf("a run took %v", took)
		}
		if told.Due == 0 {
			if runs < payments/21 {
				t.Errorf("%d runs have asked about all", runs)
			}
			break
		}
		if told.Asked == 0 { // how many there are depends on how fast the machine is
			t.Fatalf("run %d: %+v", runs+1, told)
		}
		s.later(5 * time.Minute)
	}
	for _, d := range s.Stored() {
		if d.Data["status"] != "SUCCESS" {
			t.Errorf("%s is %v", d.ID, d.Data)
		}
	}
}

// TestSpacing keeps questions twelve seconds apart in the sandbox, and one in production.
func TestSpacing(t *testing.T) {
	for environment, want := range map[string]time.Duration{"sandbox": 12 * time.Second, "production": time.Second} {
		s := newShop(t)
		s.Set("DARAJA_ENVIRONMENT", environment)
		s.lose(first, phoneA, fakesafaricom.Pays)
		s.lose(second, phoneB, fakesafaricom.Pays)
		s.later(2 * time.Minute)
		var paused []time.Duration
		s.function.clock.pause = func(d time.Duration) { paused = append(paused, d.Round(time.Second)); s.later(d) }
		s.sweep()
		if !slices.Equal(paused, []time.Duration{want}) {
			t.Errorf("%s: paused %v, want %v", environment, paused, want)
		}
	}
}

// TestBlocked has 25 payments that cannot be claimed first in the list: the others are
// found all the same.
func TestBlocked(t *testing.T) {
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	id := func(i int) string { return fmt.Sprintf("%020x", i) }
	for i := range 27 {
		s.lose(id(i), fmt.Sprintf("25470%07d", i), fakesafaricom.Pays)
	}
	s.later(2 * time.Minute)
	s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		for i := range 25 {
			if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, id(i)) {
				fakeappwrite.Status(500, "general_unknown", "Server Error")(w, r)
				return true
			}
		}
		return false
	})
	if told := s.sweep(); told.Due != 27 || told.Found != 2 || told.Failed != 25 {
		t.Errorf("the sweep says %+v", told)
	}
	if log := s.errorLog(); strings.Count(log, "failed route=sweep id=") != 25 {
		t.Errorf("the error log says %s", log)
	}
}

// TestSweepBegins begins at any of the oldest 25.
func TestSweepBegins(t *testing.T) {
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	firsts := map[string]bool{}
	for i := range 4 {
		s.lose(fmt.Sprintf("%020x", i), fmt.Sprintf("25470%07d", i), fakesafaricom.Silent)
	}
	for range 200 {
		s.later(3 * day / 100)
		var asked string
		s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			if asked == "" {
				asked = r.URL.Path
			}
			fakeappwrite.Status(500, "general_unknown", "Server Error")(w, r)
			return true
		})
		s.sweep()
		firsts[asked] = true
	}
	if len(firsts) != 4 {
		t.Errorf("of four that are due, the run always begins at %d", len(firsts))
	}
}

// TestTwoSweeps has two containers sweep at once, whose clocks are 30 s apart: each
// payment is asked about once.
func TestTwoSweeps(t *testing.T) {
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	for i := range 40 {
		s.lose(fmt.Sprintf("%020x", i), fmt.Sprintf("25470%07d", i), fakesafaricom.Silent)
	}
	s.later(3 * time.Minute)
	ahead := New(s.Getenv)
	ahead.clock = patient(func() time.Time { return s.Clock.Now().Add(30 * time.Second) })
	other := *s.Runtime
	other.Main = ahead.Serve
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		s.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
	}()
	go func() { defer both.Done(); other.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"}) }()
	both.Wait()
	asked := map[string]int{}
	for _, call := range s.safaricom.Calls(fakesafaricom.Query) {
		var body struct{ CheckoutRequestID string }
		if err := json.Unmarshal(call.Body, &body); err != nil {
			t.Fatal(err)
		}
		if call.Status == http.StatusOK { // else the other container's token has voided this one's
			asked[body.CheckoutRequestID]++
		}
	}
	if len(asked) != 40 {
		t.Errorf("%d payments were asked about, want 40", len(asked))
	}
	for id, times := range asked {
		if times != 1 {
			t.Errorf("%s was asked about %d times", id, times)
		}
	}
}

// TestSweepBreaks breaks each call of a sweep, before and after it is carried out, or has
// the process die there: a later sweep finds the payment all the same.
func TestSweepBreaks(t *testing.T) {
	const calls = 4 // list, claim, query, verdict
	for n := 1; n <= calls; n++ {
		for _, b := range breakages() {
			for _, dies := range []bool{false, true} {
				t.Run(fmt.Sprintf("call %d, %s, dies %t", n, b.name, dies), func(t *testing.T) {
					t.Parallel()
					s := newShop(t)
					s.lose(first, phoneA, fakesafaricom.Pays)
					s.later(2 * time.Minute)
					s.setSpoil(func(call int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
						if call < n || call > n && !dies || safaricom && (b.store || b.hangs) {
							return false
						}
						if b.done && call == n {
							carryOut()
						}
						b.reply(w, r)
						return true
					})
					s.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
					if got := s.state(first); got != "PENDING" && got != "SUCCESS" {
						t.Errorf("the payment is %s", got)
					}
					s.setSpoil(nil)
					s.later(6 * time.Minute)
					s.sweep()
					if got := s.state(first); got != "SUCCESS" || s.nextCheckAt(first) != -1 {
						t.Errorf("after another sweep the payment is %s", got)
					}
				})
			}
		}
	}
}

// TestSweepLeavesOthers: only what this function started is ever asked about or changed.
func TestSweepLeavesOthers(t *testing.T) {
	s := newShop(t)
	body := payload(t, "stk/unknown-1037-ds")
	s.Post("/"+doorSecret+"/callback?uid=amina", body)
	s.change(s.Document().ID, settle.CheckAt(s.Clock.Now().Add(-time.Hour)))
	s.Operations()
	if told := s.sweep(); told != (sweepReply{}) || s.Operations() != "list" {
		t.Errorf("the sweep says %+v", told)
	}
}

// TestFinalButDue has a final payment that is still due, as an older version of the
// function leaves one: it is not asked about, and loses its next check.
func TestFinalButDue(t *testing.T) {
	s := newShop(t)
	s.ask("amina", wish(first, phoneA))
	s.pay(s.prompt())
	s.change(first, settle.CheckAt(s.Clock.Now().Add(-time.Hour)))
	before := s.payment(first)
	if told := s.sweep(); told.Due != 1 || told.Asked != 0 {
		t.Errorf("the sweep says %+v", told)
	}
	if after := s.payment(first); s.nextCheckAt(first) != -1 || after["status"] != "SUCCESS" || after["receipt"] != before["receipt"] || after["settledAt"] != before["settledAt"] {
		t.Errorf("the payment is %v", after)
	}
}

// BenchmarkSweep is what a run costs beside the time that Safaricom takes, and the pauses
// between questions, as the number of payments that are due grows.
func BenchmarkSweep(b *testing.B) {
	for _, due := range []int{0, 1, 10, 100, 500} {
		b.Run(fmt.Sprintf("due=%d", due), func(b *testing.B) {
			s := newShop(b)
			past := settle.CheckAt(s.Clock.Now().Add(-time.Hour))
			ids := make([]string, due)
			for i := range ids {
				ids[i] = fmt.Sprintf("%020x", i)
				d := settle.Claim(parse.Payment, ids[i], settle.Started{UserID: "amina", RequestedAmount: 10, RequestKey: "key"}, s.Clock.Now())
				if _, err := s.store().Claim(context.Background(), &d); err != nil {
					b.Fatal(err)
				}
				s.change(ids[i], settle.GoAhead())
				s.change(ids[i], settle.Name(parse.Payment, "ws_CO_"+ids[i]))
			}
			s.Operations()
			calls := 0
			for range b.N {
				b.StopTimer()
				for _, id := range ids {
					s.change(id, past)
				}
				s.forget()
				b.StartTimer()
				if told := s.sweep(); told.Asked != due {
					b.Fatalf("the sweep says %+v", told)
				}
				b.StopTimer()
				calls = len(s.Appwrite.Calls())
				b.StartTimer()
			}
			b.ReportMetric(float64(calls), "calls/op")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*max(1, due)), "µs/payment")
		})
	}
}

// TestSweepOneKindDown: the list of payouts fails, and payments are found all the same.
// Where no list can be had the run says that it failed.
func TestSweepOneKindDown(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.lose(first, phoneB, fakesafaricom.Pays)
	s.later(2 * time.Minute)
	down := func(what string) {
		s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, what) {
				return false
			}
			fakeappwrite.Status(400, "general_query_invalid", "Attribute not found in schema: nextCheckAt")(w, r)
			return true
		})
	}
	down("/documents")
	if answer := s.Runtime.Answer(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"}); answer.Status != http.StatusServiceUnavailable {
		t.Errorf("with both down: %d %s", answer.Status, answer.Body)
	}
	s.Logged()
	down("disbursements/documents")
	if told := s.sweep(); told.Found != 1 {
		t.Errorf("the sweep says %+v", told)
	}
	s.wantState(first, "SUCCESS")
	if log := s.errorLog(); !strings.Contains(log, `failed route=sweep id=? reason="unavailable" error="disbursements: needs an operator: list: 400 general_query_invalid"`) {
		t.Errorf("the error log says %s", log)
	}
}

// TestSweepWithoutAnAnswer: a token that cannot be had, for whatever reason, is in the
// error log, and what says only that the payment is under way is not.
func TestSweepWithoutAnAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		operation fakesafaricom.Operation
		fault     fakesafaricom.Fault
		line      string
	}{
		"a firewall before the token": {fakesafaricom.OAuth, fakesafaricom.Incapsula(), "Incapsula"},
		"no token":                    {fakesafaricom.OAuth, fakesafaricom.Empty(503), "HTTP 503"},
		"a firewall":                  {fakesafaricom.Query, fakesafaricom.Incapsula(), "Incapsula"},
		"a page":                      {fakesafaricom.Query, fakesafaricom.HTML(502), "HTTP 502"},
		"under way":                   {fakesafaricom.Query, fakesafaricom.Error1001(fakesafaricom.BeingProcessed), ""},
		"under way, without words":    {fakesafaricom.Query, fakesafaricom.Empty1001(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.lose(first, phoneA, fakesafaricom.Pays)
			s.later(2 * time.Minute)
			if tt.operation == fakesafaricom.OAuth {
				s.Restart() // without the token
			}
			s.safaricom.Once(tt.operation, tt.fault)
			s.sweep()
			if log := s.errorLog(); !strings.Contains(log, tt.line) || (tt.line == "") != (log == "") {
				t.Errorf("the error log says %q, want %q in it", log, tt.line)
			}
		})
	}
}

// TestOneSweepAtATime: a second run in the same process does nothing.
func TestOneSweepAtATime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.later(2 * time.Minute)
	s.Logged()
	var second sweepReply
	s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		if n == 1 { // the first one's list
			second = s.sweep()
		}
		return false
	})
	if told := s.sweep(); told.Found != 1 || second != (sweepReply{}) {
		t.Errorf("the first says %+v, and the second %+v", told, second)
	}
	if logs, _ := s.Logged(); logs[0] != "route=sweep outcome=under-way" {
		t.Errorf("logged is %q", logs)
	}
}

// TestQuietFirst: what needs no question does not wait for what does, and is ended though
// Safaricom takes none.
func TestQuietFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	for i := range 30 {
		s.lose(fmt.Sprintf("%020x", i), fmt.Sprintf("25470%07d", i), fakesafaricom.Silent)
	}
	s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		if n < 3 { // account, claim
			return false
		}
		fakeappwrite.Hangup()(w, r)
		return true
	})
	s.ask("amina", wish(second, phoneB))
	s.setSpoil(nil)
	if got := s.state(second); got != "PENDING NOT_SENT: interrupted" {
		t.Fatalf("the payment is %s", got)
	}
	s.later(2 * time.Minute)
	s.safaricom.Always(fakesafaricom.Query, fakesafaricom.SpikeArrest())
	if told := s.sweep(); told.NotSent != 1 || told.Asked != 1 {
		t.Errorf("the sweep says %+v", told)
	}
	s.later(73 * time.Hour)
	s.Set("DARAJA_CONSUMER_SECRET", "wrong")
	if told := s.sweep(); told.GivenUp != 30 || told.Asked != 0 {
		t.Errorf("after three days without credentials the sweep says %+v", told)
	}
}

// TestSweepOtherKind: any number of payouts about which Safaricom takes no questions, since
// it refuses their keys, keep no payment from being asked about.
func TestSweepOtherKind(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.lose(first, phoneB, fakesafaricom.Pays)
	for i := range sweepMost {
		s.writeTo("disbursements", "POST", "", fmt.Sprintf(`{"documentId":"p%d","data":{"originatorConversationId":"p%d","status":"PENDING","settledAt":"x","requestedAmount":10,"requestKey":"k","phoneKey":"p","nextCheckAt":%q}}`,
			i, i, settle.FormatTime(s.Clock.Now().Add(time.Minute))))
	}
	s.setSpoil(func(_ int, safaricom bool, _ func(), w http.ResponseWriter, r *http.Request) bool {
		key, _, _ := r.BasicAuth()
		if !safaricom || key != payoutKey {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		return true
	})
	s.later(5 * time.Minute)
	if told := s.sweep(); told.Found != 1 || s.state(first) != "SUCCESS" {
		t.Errorf("%+v, and the payment is %s", told, s.state(first))
	}
}
