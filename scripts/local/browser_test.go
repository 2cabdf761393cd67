//go:build browser

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakesafaricom"
)

var (
	scenario    = flag.String("browser.scenario", "", "play this one alone")
	screenshots = flag.String("browser.screenshots", "", "leave the screenshots in this folder")
)

// A ledger notes by the machine's own time what was truly paid, and when each callback
// was on its way.
type ledger struct {
	mu      sync.Mutex
	changes []change
	posted  map[string]int64 // by reference, in milliseconds
	next    http.RoundTripper
	of      *fakesafaricom.Safaricom
}

// change is what the ledger held from a moment on.
type change struct{ at, collected int64 }

func (l *ledger) note(p fakesafaricom.Prompt) {
	if p.Code != string(fakesafaricom.Pays) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(l.changes, change{time.Now().UnixMilli(), l.held() + p.Amount})
}

// held is what was paid so far. It needs the lock.
func (l *ledger) held() int64 {
	if len(l.changes) == 0 {
		return 0
	}
	return l.changes[len(l.changes)-1].collected
}

// at is what was paid at that time.
func (l *ledger) at(ms int64) (collected int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.changes {
		if c.at <= ms {
			collected = c.collected
		}
	}
	return collected
}

// RoundTrip notes when a callback goes out.
func (l *ledger) RoundTrip(r *http.Request) (*http.Response, error) {
	now := time.Now().UnixMilli()
	for _, e := range l.of.Ledger() {
		if e.Kind == fakesafaricom.Paid && e.URL == r.URL.String() {
			l.mu.Lock()
			l.posted[e.Reference] = now
			l.mu.Unlock()
		}
	}
	return l.next.RoundTrip(r)
}

// seen is what a browser reports of one scenario. Times are in milliseconds.
type seen struct {
	Name  string
	Error string
	Pot   []reading  // each sum that the pot has shown, in any of its pages
	Paid  []painting // when each payment was painted as paid
}

type reading struct{ At, Sum int64 }

func (r *reading) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&r.At, &r.Sum})
}

type painting struct {
	At        float64
	Reference string
}

func (p *painting) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&p.At, &p.Reference})
}

// TestBrowser plays what people do with the page in a real browser, each scenario on a
// machine of its own. It needs node, Chromium, and what npm installs in web, and so a build
// tag. Whatever goes wrong, the pot never shows a shilling that the ledger does not have.
func TestBrowser(t *testing.T) {
	setenv(t, nil)
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	folder := cmp.Or(*screenshots, t.TempDir())
	names, err := exec.Command("node", "web/test/scenarios.mjs", "list").Output()
	if err != nil {
		t.Fatalf("%v: npm ci --prefix web", err)
	}
	machines, ledgers := map[string]any{}, map[string]*ledger{}
	for _, name := range strings.Split(strings.TrimSpace(string(names)), "\n") {
		if *scenario != "" && name != *scenario {
			continue
		}
		m, err := startMachine(schema, options{}, os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		l := &ledger{posted: map[string]int64{}, next: http.DefaultTransport, of: m.safaricom}
		m.safaricom.Client.Transport = l
		m.safaricom.OnPrompt(l.note)
		go m.passTime(ctx)
		machines[name], ledgers[name] = map[string]string{"page": m.pageURL}, l
	}
	if len(machines) == 0 {
		t.Fatalf("there is no scenario %q", *scenario)
	}
	given, err := json.Marshal(machines)
	if err != nil {
		t.Fatal(err)
	}
	play := exec.Command("node", "web/test/scenarios.mjs", "play", folder)
	play.Stdin, play.Stderr = bytes.NewReader(given), os.Stderr
	output, err := play.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := play.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	played := 0
	for lines.Scan() {
		var s seen
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Errorf("%v: %s", err, lines.Bytes())
			continue
		}
		played++
		t.Run(s.Name, func(t *testing.T) {
			ledgers[s.Name].judge(t, s)
		})
	}
	if err := play.Wait(); err != nil || played != len(machines) {
		t.Errorf("%d of %d scenarios were played: %v", played, len(machines), err)
	}
}

// judge holds what a page has shown to what is true.
func (l *ledger) judge(t *testing.T, s seen) {
	if s.Error != "" {
		t.Error(s.Error)
	}
	var most int64
	for _, r := range s.Pot {
		most = max(most, r.Sum)
		if held := l.at(r.At); r.Sum > held {
			t.Errorf("the pot shows %d, and the ledger has %d", r.Sum, held)
		}
	}
	if len(s.Pot) > 0 && s.Name != "a hundred payments" && s.Name != "an open payment of another bill" {
		if last := s.Pot[len(s.Pot)-1].Sum; last != l.held() || most != last {
			t.Errorf("the pot shows %d in the end, after %d at the most, and the ledger has %d", last, most, l.held())
		}
	}
	var took []float64
	for _, p := range s.Paid {
		if posted, known := l.posted[p.Reference]; known {
			took = append(took, p.At-float64(posted))
		}
	}
	if len(took) >= 100 {
		slices.Sort(took)
		t.Logf("from the callback to the pixel, %d payments: p50 %.0f ms, p99 %.0f ms, at the most %.0f ms",
			len(took), took[len(took)/2], took[len(took)*99/100-1], took[len(took)-1])
	}
}
