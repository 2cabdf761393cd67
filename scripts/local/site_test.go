package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// get returns what the site has at a path.
func get(t *testing.T, s *stage, path string) (status int, contentType, body string) {
	t.Helper()
	resp, err := http.Get(s.pageURL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// TestSiteFiles: a browser gets all that the page loads, as what it is.
func TestSiteFiles(t *testing.T) {
	s := newTestStage(t, io.Discard)
	for path, want := range map[string]string{
		"/": "text/html", "/stage.css": "text/css", "/stage.js": "text/javascript",
		"/chama/": "text/html", "/chama/chama.css": "text/css", "/chama/chama.js": "text/javascript", "/chama/bill.js": "text/javascript",
		"/chama/words.js": "text/javascript", "/chama/form.js": "text/javascript", "/chama/page.js": "text/javascript", "/chama/config.js": "text/javascript", "/daraja.js": "text/javascript", "/messages.js": "text/javascript",
	} {
		if status, contentType, _ := get(t, s, path); status != http.StatusOK || !strings.HasPrefix(contentType, want) {
			t.Errorf("%s: %d %s, want %s", path, status, contentType, want)
		}
	}
	for _, path := range []string{"/web.go", "/chama/config", "/test/scenarios.mjs", "/package.json"} {
		if status, _, _ := get(t, s, path); status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, status)
		}
	}
}

// TestSiteConfig: the page is told where this machine is, and keeps the rest of what is
// shipped.
func TestSiteConfig(t *testing.T) {
	s := newTestStage(t, io.Discard)
	_, _, config := get(t, s, "/chama/config.js")
	for _, want := range []string{`"endpoint":"` + s.AppwriteURL + `"`, `"project":"fake"`, `"email":"amina@example.com"`, "integrity: 'sha384-", "\nexport default {"} {
		if strings.Count(config, want) != 1 {
			t.Errorf("config.js has %d times %s:\n%s", strings.Count(config, want), want, config)
		}
	}
	// Both the shipped file and this one name the function's database and collection.
	for _, want := range []string{"databaseId: 'daraja'", "collectionId: 'payments'"} {
		if !strings.Contains(config, want) {
			t.Errorf("config.js has no %s", want)
		}
	}
}

// views reads what the stage is told, until the test ends.
func views(t *testing.T, s *stage) <-chan view {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return viewsUntil(ctx, t, s)
}

func viewsUntil(ctx context.Context, t *testing.T, s *stage) <-chan view {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.pageURL+"/machine", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan view)
	go func() {
		defer close(told)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			data, found := strings.CutPrefix(lines.Text(), "data: ")
			var v view
			if !found || json.Unmarshal([]byte(data), &v) != nil {
				continue
			}
			select {
			case told <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	return told
}

// await returns the first view that is as wanted.
func await(t *testing.T, told <-chan view, what string, wanted func(view) bool) view {
	t.Helper()
	for end := time.After(time.Minute); ; {
		select {
		case v, more := <-told:
			if !more {
				t.Fatalf("no view with %s", what)
			}
			if wanted(v) {
				return v
			}
		case <-end:
			t.Fatalf("no view with %s", what)
		}
	}
}

// pressOn sends what a page of this site does, and returns the status.
func pressOn(t *testing.T, s *stage, path, contentType string, fields map[string]string) int {
	t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.pageURL+path, contentType, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// askFor has amina ask a friend's phone, and returns the payment's id.
func askFor(t *testing.T, s *stage, phone string) string {
	t.Helper()
	id := fakeappwrite.NewID()
	if status, reply, err := ask(s.Machine, "amina", pushBody(id, phone, 500, "AB12CD-1")); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s %v", status, reply, err)
	}
	return id
}

// TestPhones: a prompt appears beside the page, and what is pressed there is done.
func TestPhones(t *testing.T) {
	for _, tt := range []struct {
		key, pin, code, status string
	}{
		{"pay", "1234", "0", "SUCCESS"},
		{"pay", "9999", "2001", "FAILED"},
		{"cancel", "", "1032", "CANCELLED"},
		{"ignore", "", "1037", "TIMEOUT"},
	} {
		t.Run(tt.key+tt.pin, func(t *testing.T) {
			s := newTestStage(t, io.Discard)
			told := views(t, s)
			none := await(t, told, "three phones", func(v view) bool { return len(v.Phones) == 3 })
			if len(none.Phones[1].Prompts) != 0 {
				t.Errorf("before anything was asked for: %+v", none)
			}
			id := askFor(t, s, "0722000111")
			asked := await(t, told, "a prompt", func(v view) bool { return len(v.Phones[1].Prompts) == 1 }).Phones[1].Prompts[0]
			if !asked.Open || asked.Amount != 500 || asked.Reference != "AB12CD-1" || asked.Business != "Duka la Amina" {
				t.Errorf("the prompt is %+v", asked)
			}
			if status := pressOn(t, s, "/machine/answer", "application/json", map[string]string{"id": asked.ID, "key": tt.key, "pin": tt.pin}); status != http.StatusNoContent {
				t.Fatalf("%s: %d", tt.key, status)
			}
			s.safaricom.Advance(outcomeKnown)
			over := await(t, told, "the outcome", func(v view) bool { return v.Phones[1].Prompts[0].Code == tt.code }).Phones[1].Prompts[0]
			if over.Open || (over.Receipt != "") != (tt.code == "0") {
				t.Errorf("in the end the prompt is %+v", over)
			}
			if status := s.started(id).Data["status"]; status != tt.status {
				t.Errorf("the document says %v, want %s", status, tt.status)
			}
		})
	}
}

// TestPressedWrong: what is no key, and what comes from a form of another site, does
// nothing.
func TestPressedWrong(t *testing.T) {
	s := newTestStage(t, io.Discard)
	askFor(t, s, "0722000111")
	id := s.safaricom.Prompts("254722000111")[0].CheckoutRequestID
	for _, tt := range []struct {
		name, path, contentType string
		fields                  map[string]string
		want                    int
	}{
		{"an unknown key", "/machine/answer", "application/json", map[string]string{"id": id, "key": "pay twice"}, 409},
		{"an unknown prompt", "/machine/answer", "application/json", map[string]string{"id": "ws_CO_1", "key": "pay", "pin": "1234"}, 409},
		{"an unknown fault", "/machine/spoil", "application/json", map[string]string{"what": "everything"}, 409},
		{"a form's text", "/machine/answer", "text/plain", map[string]string{"id": id, "key": "pay", "pin": "1234"}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status := pressOn(t, s, tt.path, tt.contentType, tt.fields); status != tt.want {
				t.Errorf("%d, want %d", status, tt.want)
			}
		})
	}
	if p := s.safaricom.Prompts("254722000111")[0]; !p.Open {
		t.Errorf("the prompt was answered: %+v", p)
	}
}

// TestSpoil: each button does what it says.
func TestSpoil(t *testing.T) {
	for what, deliveries := range map[string]int{"lost": 0, "twice": 2, "late": 0, "unack": 1} {
		t.Run(what, func(t *testing.T) {
			s := newTestStage(t, io.Discard)
			if status := pressOn(t, s, "/machine/spoil", "application/json", map[string]string{"what": what}); status != http.StatusNoContent {
				t.Fatal(status)
			}
			askFor(t, s, "0722000111")
			if err := s.safaricom.Pay(s.safaricom.Prompts("254722000111")[0].CheckoutRequestID, "1234"); err != nil {
				t.Fatal(err)
			}
			s.safaricom.Advance(5 * time.Second)
			if n := len(s.safaricom.Deliveries()); n != deliveries {
				t.Errorf("%d callbacks came, want %d", n, deliveries)
			}
			if what == "late" {
				if s.safaricom.Advance(late); len(s.safaricom.Deliveries()) != 1 {
					t.Error("the late callback has not come")
				}
			}
		})
	}
	t.Run("database", func(t *testing.T) {
		s := newTestStage(t, io.Discard)
		told := views(t, s)
		for _, down := range []bool{true, false} {
			pressOn(t, s, "/machine/spoil", "application/json", map[string]string{"what": "database"})
			await(t, told, fmt.Sprint("the database down: ", down), func(v view) bool { return v.Database == down && !v.Realtime })
			if _, _, err := ask(s.Machine, "amina", "{}"); (err != nil) != down {
				t.Errorf("down is %v, and the API says %v", down, err)
			}
		}
	})
	t.Run("realtime", func(t *testing.T) {
		s := newTestStage(t, io.Discard)
		told := views(t, s)
		for _, down := range []bool{true, false} {
			pressOn(t, s, "/machine/spoil", "application/json", map[string]string{"what": "realtime"})
			await(t, told, fmt.Sprint("Realtime down: ", down), func(v view) bool { return v.Realtime == down && !v.Database })
		}
	})
}

// TestWatched: the terminal does not answer the phones while somebody has them on a
// screen.
func TestWatched(t *testing.T) {
	s := newTestStage(t, &page{})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go s.stayUp(ctx)
	// answers asks a phone, and reports whether it answers by itself. Prompts are dealt
	// with in their order.
	answers := func(phone string, patience time.Duration) bool {
		t.Helper()
		askFor(t, s, "0"+phone[3:])
		for began := time.Now(); time.Since(began) < patience; time.Sleep(5 * time.Millisecond) {
			if !s.safaricom.Prompts(phone)[0].Open {
				return true
			}
		}
		return false
	}
	// When stayUp has begun to listen, it answers.
	for n := 10; !answers(fmt.Sprintf("2547000001%d", n), 100*time.Millisecond); n++ {
	}
	watching, leave := context.WithCancel(context.Background())
	await(t, viewsUntil(watching, t, s), "phones", func(view) bool { return true })
	askFor(t, s, "0722000111")
	leave()
	for s.site.watched() {
		time.Sleep(5 * time.Millisecond)
	}
	if !answers("254700000200", time.Minute) {
		t.Fatal("nobody answers any more")
	}
	if p := s.safaricom.Prompts("254722000111")[0]; !p.Open {
		t.Errorf("what was on a screen was answered elsewhere: %+v", p)
	}
}

// TestTooLate: whoever thinks for too long at the terminal finds the prompt gone.
func TestTooLate(t *testing.T) {
	var out page
	s := newTestStage(t, &out)
	typed := make(chan string)
	s.typed = typed
	ended := make(chan error, 1)
	go func() { ended <- s.showPayment(context.Background(), payments[0]) }()
	out.await(t, "Enter ignores: ")
	s.safaricom.Advance(2 * time.Minute)
	typed <- "p"
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	out.await(t, `too late: the prompt has gone\)\n  the phone is silent +\S* +TIMEOUT`)
	for _, e := range s.safaricom.Ledger() {
		if e.Kind == fakesafaricom.Paid {
			t.Errorf("%s was paid", e.Reference)
		}
	}
}
