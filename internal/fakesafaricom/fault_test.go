package fakesafaricom

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReplyFaults(t *testing.T) {
	const json, html = "application/json", "text/html"
	for _, test := range []struct {
		name        string
		fault       Fault
		status      int // 0 means that the connection breaks
		contentType string
		want        string // within the body
		carriedOut  bool
	}{
		{"torn", Torn(), 0, "", "", false},
		{"lost acknowledgement", LostAck(), 0, "", "", true},
		{"firewall", Incapsula(), 503, html, "Request unsuccessful. Incapsula incident ID", false},
		{"firewall, too late", Incapsula().CarriedOut(), 503, html, "Incapsula", true},
		{"spike arrest", SpikeArrest(), 429, json, "policies.ratelimit.SpikeArrestViolation", false},
		{"token, as pushes", InvalidToken(404), 404, json, `"404.001.03"`, false},
		{"token, as results", InvalidToken(400), 400, json, `"400.003.01"`, false},
		{"token, as the gateway", InvalidToken(401), 401, json, "keymanagement.service.invalid_access_token", false},
		{"no product", NoProduct(), 401, json, "no apiproduct match found", false},
		{"500.001.1001, merchant", Error1001(MerchantMissing), 500, json, `"errorMessage": "Merchant does not exist"`, false},
		{"500.001.1001, credentials", Error1001(WrongCredentials), 500, json, "[MerchantValidate] - Wrong credentials", false},
		{"500.001.1001, locked", Error1001(SubscriberLocked), 500, json, "Unable to lock subscriber, a transaction is already in process", false},
		{"500.001.1001, being processed", Error1001(BeingProcessed).CarriedOut(), 500, json, "The transaction is being processed", true},
		{"500.001.1001, does not exist", Error1001(DoesNotExist), 500, json, "The transaction does not Exist", false},
		{"500.001.1001, no message", Error1001("").CarriedOut(), 500, json, `"errorMessage": ""`, true},
		{"500.001.1001, 200", Empty1001(), 200, json, `{"errorCode":"500.001.1001","errorMessage":""}`, false},
		{"busy", Error(500, "500.003.02", "System is busy. Please try again in few minutes."), 500, json, `"errorCode": "500.003.02"`, false},
		{"empty", Empty(200), 200, "", "", false},
		{"empty 500", Empty(500).CarriedOut(), 500, "", "", true},
		{"page", HTML(200), 200, html, "<html>", false},
		{"page 502", HTML(502).CarriedOut(), 502, html, "<html>", true},
		{"envelope", Envelope(), 500, json, `{"Envelope":{"Body":{"Fault":`, false},
		{"anything", Reply(202, "text/plain", "hm"), 202, "text/plain", "hm", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.Once(Push, test.fault)
			r, err := http.DefaultClient.Do(w.newRequest(Push, string(encode(w.pushBody(ada)))))
			if (err != nil) != (test.status == 0) {
				t.Fatalf("err = %v", err)
			}
			if err == nil {
				r.Body.Close()
				if r.StatusCode != test.status || !strings.HasPrefix(r.Header.Get("Content-Type"), test.contentType) || (test.contentType == "") != (r.Header.Get("Content-Type") == "") {
					t.Errorf("= %d %s; want %d %s", r.StatusCode, r.Header.Get("Content-Type"), test.status, test.contentType)
				}
			}
			if n := len(w.Prompts(ada)); (n == 1) != test.carriedOut {
				t.Errorf("%d prompts; want one: %v", n, test.carriedOut)
			}
			w.Advance(time.Minute)
			if n := w.Collected("174379"); (n == 10) != test.carriedOut || len(w.received()) != int(n/10) {
				t.Errorf("collected %d, %d callbacks; want 10 and 1: %v", n, len(w.received()), test.carriedOut)
			}
			w.push(berta) // once

			w.Once(Push, test.fault)
			if _, body := w.call(Push, w.pushBody("254711111111")); !strings.Contains(body, test.want) {
				t.Errorf("= %s; want %s", body, test.want)
			}
		})
	}
}

func TestFaultOrder(t *testing.T) {
	w := newWorld(t)
	query := func() int {
		status, _ := w.call(Query, map[string]any{})
		return status
	}
	check := func(want int) {
		t.Helper()
		if got := query(); got != want {
			t.Errorf("= %d; want %d", got, want)
		}
	}
	w.Times(2, Query, Empty(501))
	w.Once(Any, Empty(502))
	w.Always(Query, Empty(503))
	w.Once(Push, Empty(504))
	for _, want := range []int{501, 501, 502, 503, 503} {
		check(want)
	}
	w.Heal()
	check(400)
	if status, _ := w.call(Push, map[string]any{}); status != 400 {
		t.Errorf("push after Heal = %d; want 400", status)
	}
}

func TestFaultRefused(t *testing.T) {
	s := New()
	for name, f := range map[string]func(){
		"no times":              func() { s.Times(0, Push, Torn()) },
		"callback of a query":   func() { s.Once(Query, CallbackLost()) },
		"callback of a token":   func() { s.Once(OAuth, CallbackTwice()) },
		"callback of anything":  func() { s.Always(Any, CallbackLate(1)) },
		"queue of a push":       func() { s.Once(Push, QueueTimeout(true)) },
		"carried out, callback": func() { CallbackLost().CarriedOut() },
		"carried out, slow":     func() { Slow(1).CarriedOut() },
		"face of a token":       func() { InvalidToken(500) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("taken")
				}
			}()
			f()
		})
	}
}

func TestSlow(t *testing.T) {
	w := newWorld(t)
	appeared := make(chan struct{}, 1)
	w.OnPrompt(func(p Prompt) {
		if p.Open {
			appeared <- struct{}{}
		}
	})
	w.Once(Push, Slow(20*time.Second))
	done := make(chan int)
	go func() {
		status, _ := w.call(Push, w.pushBody(ada))
		done <- status
	}()
	<-appeared
	for waiting := true; waiting; { // the handler sets its clock after the prompt has appeared
		w.clock.mu.Lock()
		waiting = len(w.clock.due) < 2
		w.clock.mu.Unlock()
	}
	w.Advance(20*time.Second - 1)
	if n := len(w.received()); n != 1 {
		t.Errorf("%d callbacks; want 1 before the acknowledgement", n)
	}
	select {
	case status := <-done:
		t.Errorf("= %d before its time", status)
	default:
	}
	w.Advance(1)
	if status := <-done; status != 200 {
		t.Errorf("= %d; want 200", status)
	}

	w.Once(Push, Slow(time.Hour))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-appeared; cancel() }()
	_, err := http.DefaultClient.Do(w.newRequest(Push, string(encode(w.pushBody(berta)))).WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v; want the caller gone", err)
	}
	if n := len(w.Prompts(berta)); n != 1 {
		t.Errorf("%d prompts; want 1", n)
	}
}

func TestCallbackFaults(t *testing.T) {
	second := time.Second
	for _, test := range []struct {
		name  string
		op    Operation
		fault Fault
		want  []time.Duration // when the first transaction's callback is posted
	}{
		{"none", Push, Fault{}, []time.Duration{13 * second}},
		{"lost", Push, CallbackLost(), nil},
		{"late", Push, CallbackLate(time.Hour), []time.Duration{time.Hour + 13*second}},
		{"twice", Push, CallbackTwice(), []time.Duration{13 * second, 13 * second}},
		{"before the acknowledgement", Push, CallbackBeforeAck(), []time.Duration{0}},
		{"out of order", Push, CallbackOutOfOrder(), []time.Duration{72 * second}},
		{"result lost", B2C, CallbackLost(), nil},
		{"result late", B2C, CallbackLate(time.Hour), []time.Duration{time.Hour + 5*second}},
		{"result twice", B2C, CallbackTwice(), []time.Duration{5 * second, 5 * second}},
		{"result before the acknowledgement", B2C, CallbackBeforeAck(), []time.Duration{0}},
		{"status lost", Status, CallbackLost(), nil},
		{"status twice", Status, CallbackTwice(), []time.Duration{5 * second, 5 * second}},
		{"status before the acknowledgement", Status, CallbackBeforeAck(), []time.Duration{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.fault.post != postOnce {
				w.Once(test.op, test.fault)
			}
			w.call(test.op, map[string]any{}) // refused: the fault waits
			var body map[string]any
			switch test.op {
			case Push:
				body = w.pushBody(ada)
			case B2C:
				body = w.payoutBody("mine")
			case Status:
				body = w.statusBody("mine")
			}
			if status, answer := w.call(test.op, body); status != 200 {
				t.Fatalf("= %d %s", status, answer)
			}
			if test.fault.post == postBeforeAck && len(w.received()) != 1 {
				t.Error("acknowledged before the callback")
			}
			w.Advance(24 * time.Hour)
			deliveries := w.Deliveries()
			if len(deliveries) != len(test.want) {
				t.Fatalf("%d callbacks; want %d", len(deliveries), len(test.want))
			}
			for i, d := range deliveries {
				if at := d.At.Sub(noon); at != test.want[i] {
					t.Errorf("posted at %v; want %v", at, test.want[i])
				}
				if string(d.Body) != string(deliveries[0].Body) {
					t.Error("the second differs from the first")
				}
			}
		})
	}
	t.Run("out of order", func(t *testing.T) {
		w := newWorld(t)
		w.Once(Push, CallbackOutOfOrder())
		first := w.push(ada)
		w.Advance(second)
		second := w.push(berta)
		w.Advance(time.Hour)
		d := w.Deliveries()
		if len(d) != 2 || d[0].ID != second || d[1].ID != first || d[1].At != d[0].At {
			t.Errorf("Deliveries = %+v; want the second payment's first", d)
		}
	})
	t.Run("lost acknowledgement and callback before it", func(t *testing.T) {
		w := newWorld(t)
		w.Once(Push, LostAck())
		w.Once(Push, CallbackBeforeAck())
		if status, _ := w.call(Push, w.pushBody(ada)); status != 0 || len(w.received()) != 1 {
			t.Errorf("= %d with %d callbacks; want a broken connection and 1", status, len(w.received()))
		}
	})
	t.Run("before the acknowledgement, by hand", func(t *testing.T) {
		w := newWorld(t)
		w.SetPhone(ada, Phone{Answer: Asks})
		appeared := make(chan string, 2)
		w.OnPrompt(func(p Prompt) { appeared <- p.CheckoutRequestID })
		w.Once(Push, CallbackBeforeAck())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.push(ada)
		}()
		id := <-appeared
		w.Advance(promptLife - 1)
		if err := w.Pay(id, "1234"); err != nil {
			t.Error(err)
		}
		for open := true; open; {
			select {
			case <-done:
				open = false
			default:
				w.Advance(0)
			}
		}
		if n := len(w.received()); n != 1 {
			t.Errorf("%d callbacks; want 1", n)
		}
	})
	t.Run("before the acknowledgement, without a callback", func(t *testing.T) {
		w := newWorld(t)
		w.SetPhone(ada, Phone{Answer: BadDebt})
		w.Once(Push, CallbackBeforeAck())
		w.push(ada)
	})
}

func TestRealTime(t *testing.T) {
	w := newWorld(t)
	s := New()
	s.AllowLoopback = true
	s.AddMerchant(Merchant{ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "174379", Passkey: "pass"})
	w.Safaricom, w.host.Config.Handler = s, s
	w.token = w.fetchToken()
	s.Once(Push, CallbackBeforeAck())
	id := w.push(ada)
	if d := w.Deliveries(); len(d) != 1 || d[0].ID != id || d[0].Status != 200 {
		t.Errorf("Deliveries = %+v; want one", d)
	}
	w.push(berta)
	s.Close() // does not wait for what is due later
	if _, paid := w.Paid(id); !paid || len(w.received()) != 1 {
		t.Errorf("Paid = %v, %d callbacks; want the first alone", paid, len(w.received()))
	}
}
