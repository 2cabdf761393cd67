// Package fakesafaricom takes Safaricom's place on one machine: Daraja, its API
// for payments, as a caller meets it, the phones of the payers, and what is true
// about the money.
//
// It is hostile by default. Where Safaricom's documentation and what was
// observed of its servers differ, or nothing is known, it does what is harder on
// the caller, so that what it takes, the real one takes as well. Each behaviour
// names the fact that it rests on: documented means by Safaricom's own portal,
// observed means seen in a capture or a dated run, and a rule without either
// says so. Where two forms were observed side by side, they alternate.
//
// Time is either real ([New]) or stands until it is moved ([NewAt]); whatever is
// due happens by that clock, so that a test neither sleeps nor guesses.
package fakesafaricom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Operation is one of the calls that Safaricom takes.
type Operation string

const (
	Any    Operation = "" // in [Safaricom.Once] and its like: every operation
	OAuth  Operation = "oauth"
	Push   Operation = "push"
	Query  Operation = "query"
	B2C    Operation = "b2c"
	Status Operation = "status"
)

// maxBody is more than any request needs. No limit is known.
const maxBody = 64 << 10

// Safaricom is Daraja's production host as an [http.Handler]. Its methods may be
// called from several goroutines; its fields must be set before the first
// request.
type Safaricom struct {
	// Client posts the callbacks.
	Client *http.Client

	// AllowLoopback takes callback URLs on this machine, by http too.
	AllowLoopback bool

	// AnyTimestamp takes a well-formed Timestamp whatever time it is: one
	// merchant stamps UTC in production. Another's failed until his server's
	// clock was set to Nairobi's, so that by default it must be within an hour.
	AnyTimestamp bool

	// KeepTokens lets several tokens of one app live. Documented is that a new
	// one voids the former; proof from production is missing.
	KeepTokens bool

	// AllowRepeats lets a phone pay the same amount again within two minutes:
	// documented is that it may not, observed is that two identical requests
	// make two payments. A test for double charges needs it.
	AllowRepeats bool

	// ServerMadeIDs puts an OriginatorConversationID of Safaricom's own making
	// into a payout's result, as the documentation's sample does.
	ServerMadeIDs bool

	// HideOwnIDs keeps Transaction Status from finding a payout by the id that
	// its caller gave; whether the real one finds it is not known.
	HideOwnIDs bool

	// QuerySpacing is the least time between two STK queries of one app; 12 s
	// was observed in the sandbox, none elsewhere. 0 means none.
	QuerySpacing time.Duration

	// Strangers is how a phone answers that SetPhone did not name.
	Strangers Phone

	// Parallel makes what is due at one instant happen at once and not in turn,
	// when Advance moves the clock.
	Parallel bool

	clock  clock
	ctx    context.Context // of the callbacks
	cancel context.CancelFunc

	mu         sync.Mutex // guards what follows
	serial     int
	merchants  map[string]*merchant // by shortcode
	tokens     map[string]*token
	phones     map[string]Phone
	pushes     []*push
	pushByID   map[string]*push
	pushesTo   map[string][]*push   // by phone
	payouts    map[string]*payout   // by shortcode and the caller's id
	lastQuery  map[string]time.Time // by consumer key
	ledger     []Entry
	calls      []*Call
	deliveries []Delivery
	held       []*callback
	faults     []*injected
	changes    []Prompt
	watchers   []*func(Prompt)
}

// New returns a Safaricom in real time, without merchants.
func New() *Safaricom { return newSafaricom(time.Time{}) }

// NewAt returns a Safaricom whose clock stands at start until
// [Safaricom.Advance] moves it.
func NewAt(start time.Time) *Safaricom { return newSafaricom(start) }

func newSafaricom(start time.Time) *Safaricom {
	ctx, cancel := context.WithCancel(context.Background())
	return &Safaricom{
		Client: &http.Client{
			Timeout:       30 * time.Second, // claimed; no deadline of a receiver is documented but C2B's 8 s
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		clock:     clock{byHand: !start.IsZero(), at: start},
		ctx:       ctx,
		cancel:    cancel,
		merchants: map[string]*merchant{},
		tokens:    map[string]*token{},
		phones:    map[string]Phone{},
		pushByID:  map[string]*push{},
		pushesTo:  map[string][]*push{},
		payouts:   map[string]*payout{},
		lastQuery: map[string]time.Time{},
	}
}

// Close drops what is still to happen and waits for what is happening.
func (s *Safaricom) Close() {
	s.cancel()
	s.clock.close()
}

// A Call is one request that came in.
type Call struct {
	Operation Operation
	At        time.Time
	Body      []byte
	Status    int // 0 if nothing was sent back, or not yet
}

// Calls returns the requests for an operation, or all for [Any], in the order in
// which they came.
func (s *Safaricom) Calls(op Operation) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, c := range s.calls {
		if op == Any || c.Operation == op {
			calls = append(calls, *c)
		}
	}
	return calls
}

// request is one that was read.
type request struct {
	*http.Request
	op   Operation
	body []byte
}

// ServeHTTP answers one request, as the faults that were injected let it.
func (s *Safaricom) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, found := route(r.URL.Path)
	if !found {
		s.notFound(r.URL.Path).write(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		empty(http.StatusBadRequest).write(w)
		return
	}
	call := &Call{Operation: op, At: s.Now(), Body: body}
	var fault Fault
	s.locked(func() {
		s.calls = append(s.calls, call)
		fault = s.takeFault(op, false)
	})
	w = &recorder{ResponseWriter: w, s: s, call: call}

	if fault.reply != nil && !fault.after {
		fault.reply(w, r)
		return
	}
	var answer reply
	s.locked(func() { answer = s.answer(request{r, op, body}) })
	if answer.told != nil && !s.waitTold(r.Context(), answer.told) {
		return
	}
	if fault.delay > 0 && !s.wait(r.Context(), fault.delay) {
		return
	}
	if fault.reply != nil {
		fault.reply(w, r)
		return
	}
	answer.write(w)
}

// route says which operation a path is.
func route(path string) (Operation, bool) {
	switch path {
	case "/oauth/v1/generate":
		return OAuth, true
	case "/mpesa/stkpush/v1/processrequest":
		return Push, true
	case "/mpesa/stkpushquery/v1/query":
		return Query, true
	case "/mpesa/b2c/v3/paymentrequest":
		return B2C, true
	case "/mpesa/transactionstatus/v1/query":
		return Status, true
	}
	return "", false
}

// notFound answers a path that does not exist: under /oauth with an empty 404
// (observed), under the base path of an API with 404.001.01, for payouts
// 404.002.01 and for Transaction Status 404.003.01 (documented), elsewhere with
// the gateway's fault (observed).
func (s *Safaricom) notFound(path string) (answer reply) {
	code := ""
	switch {
	case strings.HasPrefix(path, "/mpesa/stkpush/v1/"), strings.HasPrefix(path, "/mpesa/stkpushquery/v1/"):
		code = "404.001.01"
	case strings.HasPrefix(path, "/mpesa/b2c/v3/"):
		code = "404.002.01"
	case strings.HasPrefix(path, "/mpesa/transactionstatus/v1/"):
		code = "404.003.01"
	case strings.HasPrefix(path, "/oauth/"):
		return empty(http.StatusNotFound)
	default:
		return gatewayFault(http.StatusNotFound, "Unable to identify proxy for host: secure and url: "+path,
			"messaging.adaptors.http.flow.ApplicationNotFound")
	}
	s.locked(func() { answer = s.refuse(http.StatusNotFound, code, "Resource not found") })
	return answer
}

// answer does what a request asks for. It needs the lock.
func (s *Safaricom) answer(r request) reply {
	switch r.op {
	case OAuth:
		return s.oauth(r)
	case Push:
		return s.push(r)
	case Query:
		return s.query(r)
	case B2C:
		return s.b2c(r)
	default:
		return s.status(r)
	}
}

// locked runs f with the lock, and then tells the watchers what f changed.
func (s *Safaricom) locked(f func()) {
	s.mu.Lock()
	f()
	changes, watchers := s.changes, slices.Clone(s.watchers)
	s.changes = nil
	s.mu.Unlock()
	for _, p := range changes {
		for _, watch := range watchers {
			(*watch)(p)
		}
	}
}

// reply is an answer of Safaricom's.
type reply struct {
	status      int
	contentType string // none without a body
	body        string
	told        <-chan struct{} // if set, the answer is held back until it is closed
}

func (a reply) write(w http.ResponseWriter) {
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func jsonReply(status int, body string) reply {
	return reply{status: status, contentType: "application/json", body: body}
}

// empty is an answer without a body, which sandbox keys get in production
// (observed).
func empty(status int) reply { return reply{status: status} }

// errorReply is the first of three shapes of an error (documented).
func errorReply(status int, requestID, code, text string) reply {
	return jsonReply(status, `{"requestId": `+quote(requestID)+`,"errorCode": `+quote(code)+`,"errorMessage": `+quote(text)+`}`)
}

// gatewayFault is the second, that of the Apigee gateway in front (observed).
func gatewayFault(status int, text, code string) reply {
	return jsonReply(status, `{"fault":{"faultstring":`+quote(text)+`,"detail":{"errorcode":`+quote(code)+`}}}`)
}

// envelopeFault is the third, XML turned into JSON (observed; of its inside only
// the text is known, and the HTTP status not at all).
func envelopeFault() reply {
	return jsonReply(http.StatusInternalServerError, `{"Envelope":{"Body":{"Fault":{"faultcode":"env:Server","faultstring":`+
		`"Execution of ServiceCallout SCO-AddURLVault failed. Reason: ResponseCode 409 is treated as error"}}}}`)
}

// refuse is an errorReply with a request id of its own. It needs the lock.
func (s *Safaricom) refuse(status int, code, text string) reply {
	return errorReply(status, requestID(s.next()), code, text)
}

// invalid refuses a field (documented, with observed texts).
func (s *Safaricom) invalid(field string) reply {
	return s.refuse(http.StatusBadRequest, "400.002.02", "Bad Request - Invalid "+field)
}

// quote returns a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(b)
}

// next returns a number that was not given before. It needs the lock.
func (s *Safaricom) next() int {
	s.serial++
	return s.serial
}

// digest returns 64 hexadecimal digits that look like chance.
func digest(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return hex.EncodeToString(sum[:])
}

// coin decides which of two forms the n-th of its kind takes. The same n always
// takes the same.
func coin(what string, n int) bool { return digest(what, n)[0] < '8' }

// requestID returns an id in one of the two shapes that live side by side
// (observed): MerchantRequestID, OriginatorConversationID and requestId share
// them.
func requestID(n int) string {
	if coin("request", n) {
		return fmt.Sprintf("%d-%d-1", 10000+n*7919%90000, 10000000+n)
	}
	h := digest("request", n)
	return h[:4] + "-" + h[4:8] + "-" + h[8:12] + "-" + h[12:24] + strconv.Itoa(10000+n)
}

// conversationID returns one of the two shapes of a ConversationID: with
// hexadecimal digits, or since August 2025 base 36 (observed).
func conversationID(n int, at time.Time) string {
	day := eat(at).Format("20060102")
	if coin("conversation", n) {
		return "AG_" + day + "_20" + digest("conversation", n)[:18]
	}
	return "AG_" + day + "_0100101303822" + strings.ToLower(base36(n))
}

// receipt returns ten capitals and digits of which the first three are the day
// (observed).
func receipt(n int, at time.Time) string { return dayCode(at) + base36(n) }

// placeholder is the TransactionID of results that have none; it repeats
// (observed).
func placeholder(at time.Time) string { return dayCode(at) + "0000000" }

func dayCode(at time.Time) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	y, m, d := eat(at).Date()
	return string([]byte{byte('A' + (y-2006)%26), byte('A' + m - 1), digits[d]})
}

// base36 returns seven digits for n, another for each n, and never all zero.
func base36(n int) string {
	const all = 36 * 36 * 36 * 36 * 36 * 36 * 36
	text := strings.ToUpper(strconv.FormatInt(int64(n)*15_485_863_001%all, 36))
	return strings.Repeat("0", 7-len(text)) + text
}

// eat returns t in East Africa Time, in which Safaricom's times are
// (documented).
func eat(t time.Time) time.Time { return t.In(time.FixedZone("EAT", 3*60*60)) }

// recorder notes the status that was sent.
type recorder struct {
	http.ResponseWriter
	s    *Safaricom
	call *Call
}

func (w *recorder) WriteHeader(status int) {
	w.s.mu.Lock()
	w.call.Status = status
	w.s.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a fault reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Portal is what answers at the developer portal's host: a page, status 200,
// whatever the path (observed at the path for tokens).
func Portal() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page(http.StatusOK).write(w) })
}
