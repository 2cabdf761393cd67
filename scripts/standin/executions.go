package standin

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxSchedule is the size of the attribute in which Appwrite keeps a waiting
// request, encrypted and so in base64. About 43 KiB of body fit.
const maxSchedule = 65535

// An Execution is one request to the function that went through the API.
type Execution struct {
	ID          string
	Function    string
	Method      string
	Path        string // with the query
	Body        string
	Headers     map[string]string
	ScheduledAt time.Time

	// Status and what was logged are there once it has run.
	Status       int
	Logs, Errors string

	// Trigger is http for a request to the function's domain. Empty is
	// schedule.
	Trigger string `json:"-"`
}

// A Clock is the time plus what was added by hand.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// MoveTo sets the clock forward. It never goes back.
func (c *Clock) MoveTo(t time.Time) {
	if d := t.Sub(c.Now()); d > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ahead += d
	}
}

// SetDatabaseDown makes the project's database fail, or work again. While it is
// down every document call is a 500. So is queueing, up to 1.9.6: Appwrite then
// writes a row of the execution there, after it has made the schedule.
func (a *Appwrite) SetDatabaseDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.databaseDown = down
}

// queueNeedsDatabase says whether that version writes the row on the spot.
func (a *Appwrite) queueNeedsDatabase() bool { return !older("1.9.6", a.Version) }

// Waiting returns the executions whose time has not come, the next first.
func (a *Appwrite) Waiting() []Execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.queue)
}

// RunUntil runs the executions that are due until then, one after another and
// each at its time, to which the clock is moved. Those are included that run
// queues meanwhile. It returns how many there were.
//
// Whatever run does, an execution is run once: nothing repeats one that failed
// or died.
func (a *Appwrite) RunUntil(until time.Time, clock *Clock, run func(Execution)) int {
	for n := 0; ; n++ {
		e, ok := a.takeDue(until)
		if !ok {
			clock.MoveTo(until)
			return n
		}
		clock.MoveTo(e.ScheduledAt)
		run(e)
	}
}

func (a *Appwrite) takeDue(until time.Time) (Execution, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 || a.queue[0].ScheduledAt.After(until) {
		return Execution{}, false
	}
	due := a.queue[0]
	a.queue = a.queue[1:]
	return due, true
}

// Restart is one of the platform's scheduler. Up to 1.8.1 that takes a schedule
// out of its table as soon as it is due within a minute, and then knows it in
// memory only; it returns how many were lost so. From 1.9.0 none is.
func (a *Appwrite) Restart() (lost int) {
	if !older(a.Version, "1.9.0") {
		return 0
	}
	soon := a.now().Add(time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.queue)
	a.queue = slices.DeleteFunc(a.queue, func(e Execution) bool { return !e.ScheduledAt.After(soon) })
	return before - len(a.queue)
}

// Record keeps an execution that has run, for GET /functions/{id}/executions.
func (a *Appwrite) Record(e Execution) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.ID == "" {
		e.ID = newID()
	}
	a.ran = append(a.ran, e)
}

// Executions returns what was recorded.
func (a *Appwrite) Executions() []Execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ran)
}

// execute is POST /functions/{id}/executions, as far as an execution is for
// later.
func (a *Appwrite) execute(q *request) (reply, error) {
	e, err := q.execution(a.now())
	if err != nil {
		return reply{}, err
	}
	if !a.functions[q.id].mayExecute(q.caller) {
		return reply{}, unauthorized("The current user is not authorized to perform the requested action.")
	}
	kept, err := json.Marshal(e)
	if err != nil {
		return reply{}, err
	}
	if len(kept)*4/3 > maxSchedule {
		return reply{}, &apiError{500, "general_unknown", "Server Error"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.databaseDown && a.queueNeedsDatabase() {
		// The schedule was made, and a tick of the scheduler deletes it as an
		// orphan, since it has no execution.
		return reply{}, &apiError{500, "general_unknown", "Server Error"}
	}
	i, _ := slices.BinarySearchFunc(a.queue, e, func(x, y Execution) int {
		return cmp.Or(x.ScheduledAt.Compare(y.ScheduledAt), -1) // behind those of the same time
	})
	a.queue = slices.Insert(a.queue, i, e)
	return reply{status: http.StatusAccepted, body: e.render()}, nil
}

// execution reads and checks the parameters.
func (q *request) execution(now time.Time) (Execution, error) {
	e := Execution{ID: newID(), Function: q.id, Method: http.MethodPost, Path: "/", Headers: map[string]string{}}
	for name, to := range map[string]*string{"method": &e.Method, "path": &e.Path, "body": &e.Body} {
		v, present := q.params[name]
		s, ok := v.(string)
		if present && v != nil && !ok {
			return e, invalidParam(name, "Value must be a valid string")
		}
		if ok {
			*to = s
		}
	}
	if len(e.Path) > 2048 || len(e.Body) > 10<<20 {
		return e, invalidParam("path", "Value must be a valid string and no longer than 2048 chars")
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}, e.Method) {
		return e, invalidParam("method", "Value must be one of (GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD)")
	}
	headers, _ := q.params["headers"].(map[string]any)
	for name, v := range headers {
		s, ok := v.(string)
		// Only the lower-case spelling is refused.
		if !ok || strings.HasPrefix(name, "x-appwrite-") {
			return e, invalidParam("headers", "Value must be a valid object of headers")
		}
		e.Headers[name] = s
	}
	when, _ := q.params["scheduledAt"].(string)
	async, _ := q.params["async"].(bool)
	if when == "" || !async {
		return e, &apiError{400, "general_bad_request", "The stand-in runs no execution at once: async and scheduledAt are needed."}
	}
	at, err := time.Parse(time.RFC3339, when)
	if err != nil || at.Truncate(time.Minute) != at || !at.After(now.Add(time.Minute)) {
		return e, &apiError{400, "general_bad_request", "Execution schedule must be a valid date, and at least 1 minute from now"}
	}
	e.ScheduledAt = at.UTC()
	return e, nil
}

// listExecutions is GET /functions/{id}/executions, with the queries limit,
// cursorAfter, and orderAsc and orderDesc, whose attribute is taken for the time
// of creation.
func (a *Appwrite) listExecutions(q *request) (reply, error) {
	if !q.caller.key {
		return reply{}, unauthorized("The current user is not authorized to perform the requested action.")
	}
	queries, err := queriesParam(q.http.URL.Query())
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ran := slices.Clone(a.ran)
	limit, total := defaultLimit, len(ran)
	if slices.ContainsFunc(queries, func(query query) bool { return query.method == "orderDesc" }) {
		slices.Reverse(ran)
	}
	for _, query := range queries {
		if query.method == "orderAsc" || query.method == "orderDesc" {
			continue
		}
		if len(query.values) != 1 {
			return reply{}, invalidQuery("one value is needed")
		}
		n, _ := query.values[0].(int64)
		after := slices.IndexFunc(ran, func(e Execution) bool { return e.ID == query.values[0] })
		switch {
		case query.method == "limit" && n > 0:
			limit = int(n)
		case query.method == "cursorAfter" && after >= 0:
			ran = ran[after+1:]
		default:
			return reply{}, invalidQuery("the stand-in knows limit, cursorAfter and order")
		}
	}
	executions := []any{}
	for _, e := range ran[:min(limit, len(ran))] {
		executions = append(executions, e.render())
	}
	return reply{status: http.StatusOK, body: map[string]any{"total": min(total, maxTotal), "executions": executions}}, nil
}

func (e Execution) render() map[string]any {
	status := "scheduled"
	if e.Status != 0 {
		status = "completed"
	}
	if e.Status >= 500 {
		status = "failed"
	}
	return map[string]any{
		"$id": e.ID, "functionId": e.Function, "trigger": cmp.Or(e.Trigger, "schedule"), "status": status,
		"requestMethod": e.Method, "requestPath": e.Path, "responseStatusCode": e.Status,
		"logs": e.Logs, "errors": e.Errors, "scheduledAt": e.ScheduledAt.Format(timeLayout),
	}
}
