package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/web"
)

// stageFiles are the page that shows the chama beside the phones.
//
//go:embed stage
var stageFiles embed.FS

// A friend is a member of the bill that the page begins with.
type friend struct {
	Name  string `json:"name"`
	Phone string `json:"phone"`
}

var friends = []friend{{"Amina", "0712 345 678"}, {"Juma", "0722 000 111"}, {"Wanjiru", "0110 987 654"}}

// password is amina's, which the page fills in.
const password = "pamoja-pamoja"

// A site is what a browser loads of this machine: the page as any host would serve it,
// with another config.js; and around it the phones, which can be answered, and the
// buttons that spoil something.
type site struct {
	machine *machine

	mu       sync.Mutex
	viewers  map[chan struct{}]bool // each is told that something has changed
	realtime bool                   // is down
	database bool                   // likewise
}

func newSite(m *machine) *site {
	s := &site{machine: m, viewers: map[chan struct{}]bool{}}
	m.safaricom.OnPrompt(func(fakesafaricom.Prompt) { s.changed() })
	return s
}

// changed tells all viewers. One that was told and has not looked yet will see this too.
func (s *site) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for viewer := range s.viewers {
		select {
		case viewer <- struct{}{}:
		default:
		}
	}
}

// watched reports whether anybody has the phones on a screen, and can answer them there.
func (s *site) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.viewers) > 0
}

// handler serves the site.
func (s *site) handler() http.Handler {
	stage, err := fs.Sub(stageFiles, "stage")
	if err != nil {
		panic(err) // a name that stands above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(stage))
	page := http.FileServerFS(web.Files)
	mux.Handle("GET /chama/", page)
	mux.Handle("GET /daraja.js", page)
	mux.Handle("GET /messages.js", page)
	mux.HandleFunc("GET /chama/config.js", s.config)
	mux.HandleFunc("GET /appwrite.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, installedSDK) })
	mux.HandleFunc("GET /machine", s.watch)
	mux.HandleFunc("POST /machine/answer", post(s.answer))
	mux.HandleFunc("POST /machine/spoil", post(s.spoil))
	return mux
}

// installedSDK is the Web SDK where npm puts it. Without it the page takes the one that
// its own config.js names, from the network.
const installedSDK = "web/node_modules/appwrite/dist/iife/sdk.js"

// config is the page's config.js on this machine: the shipped one, and over it what is
// different here.
func (s *site) config(w http.ResponseWriter, r *http.Request) {
	shipped, err := web.Files.ReadFile("chama/config.js")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	here := map[string]any{
		"endpoint": s.machine.AppwriteURL, "project": fakeappwrite.ProjectID, "functionId": testbed.FunctionID,
		"anonymous": true,
		"signIn":    map[string]string{"email": amina.Email, "password": amina.Password},
		"example":   map[string]any{"name": "Friday dinner", "total": 1500, "members": friends},
	}
	if _, err := os.Stat(installedSDK); err == nil {
		here["sdk"] = map[string]string{"src": "/appwrite.js"}
	}
	changes, err := json.Marshal(here)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/javascript")
	fmt.Fprintf(w, "%s\nconst here = %s;\n", strings.Replace(string(shipped), "export default", "const shipped =", 1), changes)
	fmt.Fprint(w, "export default { ...shipped, ...here, sdk: { ...shipped.sdk, ...here.sdk } };\n")
}

// A phone is one as the stage shows it.
type phone struct {
	Number  string   `json:"number"`
	Owner   string   `json:"owner"`
	Prompts []prompt `json:"prompts"` // the last ones, the newest first
}

type prompt struct {
	ID        string `json:"id"`
	Business  string `json:"business"`
	Amount    int64  `json:"amount"`
	Reference string `json:"reference"`
	Open      bool   `json:"open"`
	Code      string `json:"code"` // empty until the outcome is known
	Receipt   string `json:"receipt"`
}

// view is all that the stage shows.
type view struct {
	Phones   []phone `json:"phones"`
	Realtime bool    `json:"realtimeDown"`
	Database bool    `json:"databaseDown"`
}

// promptsShown is how many of a phone's prompts the stage shows.
const promptsShown = 3

// view looks at the phones: those of the friends, and those of others that were asked,
// but for what the terminal shows.
func (s *site) view() view {
	s.mu.Lock()
	v := view{Realtime: s.realtime, Database: s.database}
	s.mu.Unlock()
	for _, f := range friends {
		v.Phones = append(v.Phones, phone{Number: msisdn(f.Phone), Owner: f.Name, Prompts: []prompt{}})
	}
	for _, shown := range slices.Backward(s.machine.safaricom.Prompts("")) {
		if slices.ContainsFunc(payments, func(p payment) bool { return msisdn(p.phone) == shown.Phone }) {
			continue
		}
		i := slices.IndexFunc(v.Phones, func(p phone) bool { return p.Number == shown.Phone })
		if i < 0 {
			i = len(v.Phones)
			v.Phones = append(v.Phones, phone{Number: shown.Phone})
		}
		if len(v.Phones[i].Prompts) < promptsShown {
			paid, _ := s.machine.safaricom.Paid(shown.CheckoutRequestID)
			v.Phones[i].Prompts = append(v.Phones[i].Prompts, prompt{shown.CheckoutRequestID, shown.Business, shown.Amount,
				shown.Reference, shown.Open, shown.Code, paid.Receipt})
		}
	}
	return v
}

// msisdn writes a number as Safaricom has it.
func msisdn(number string) string { return "254" + strings.ReplaceAll(number, " ", "")[1:] }

// watch sends the view now and whenever it changes, for as long as the browser listens.
func (s *site) watch(w http.ResponseWriter, r *http.Request) {
	told := make(chan struct{}, 1)
	told <- struct{}{}
	s.mu.Lock()
	s.viewers[told] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.viewers, told)
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case <-told:
		case <-r.Context().Done():
			return
		}
		shown, err := json.Marshal(s.view())
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", shown); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

// post is a handler for a JSON object with one or two texts. Only a page of this site can
// send it: another's browser first asks whether it may send JSON, and nothing says yes.
func post(do func(fields map[string]string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var fields map[string]string
		if r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&fields) != nil {
			http.Error(w, "this takes one JSON object", http.StatusBadRequest)
			return
		}
		if err := do(fields); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// answer does on a phone what was pressed there.
func (s *site) answer(pressed map[string]string) error {
	id := pressed["id"]
	switch pressed["key"] {
	case "pay":
		return s.machine.safaricom.Pay(id, pressed["pin"])
	case "cancel":
		return s.machine.safaricom.Cancel(id)
	case "ignore":
		return s.machine.safaricom.Ignore(id)
	default:
		return errors.New("a phone has the keys pay, cancel and ignore")
	}
}

// late is by how much the callback comes late that is to.
const late = 20 * time.Second

// spoils has what the next payment may suffer.
var spoils = map[string]fakesafaricom.Fault{
	"lost":  fakesafaricom.CallbackLost(),
	"twice": fakesafaricom.CallbackTwice(),
	"late":  fakesafaricom.CallbackLate(late),
	"unack": fakesafaricom.LostAck(),
}

// spoil makes something go wrong. What is down stays so until it is pressed again.
func (s *site) spoil(pressed map[string]string) error {
	defer s.changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch what := pressed["what"]; what {
	case "realtime":
		s.realtime = !s.realtime
		if !s.realtime {
			s.machine.Appwrite.SetRealtime(fakeappwrite.Realtime{})
			break
		}
		s.machine.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1013})
		s.machine.Appwrite.DropSockets()
	case "database":
		s.database = !s.database
		s.machine.Appwrite.SetDatabaseDown(s.database)
	default:
		fault, known := spoils[what]
		if !known {
			return errors.New("nobody knows how to spoil that")
		}
		s.machine.safaricom.Once(fakesafaricom.Push, fault)
	}
	return nil
}
