package fakeappwrite

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
// or died. See [Appwrite.RunsTwice] for the exception.
func (a *Appwrite) RunUntil(until time.Time, clock *Clock, run func(Execution)) int {
	for n := 0; ; {
		e, times := a.takeDue(until)
		if times == 0 {
			clock.MoveTo(until)
			return n
		}
		clock.MoveTo(e.ScheduledAt)
		for range times {
			run(e)
			n++
		}
	}
}

// takeDue takes the next execution that is due until then, and returns how often
// it is run: 0 if there is none.
func (a *Appwrite) takeDue(until time.Time) (due Execution, times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 || a.queue[0].ScheduledAt.After(until) {
		return Execution{}, 0
	}
	due, a.queue = a.queue[0], a.queue[1:]
	together := due.ScheduledAt.Equal(a.lastDue) || len(a.queue) > 0 && due.ScheduledAt.Equal(a.queue[0].ScheduledAt)
	a.lastDue = due.ScheduledAt
	if a.RunsTwice && a.Version == "1.9.6" && together {
		return due, 2
	}
	return due, 1
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
	e := Execution{ID: newID(), Function: q.id, Method: http.MethodPost, Path: "/"}
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
	var err error
	if e.ScheduledAt, err = q.schedule(now); err != nil {
		return e, err
	}
	e.Headers, err = q.executionHeaders()
	return e, err
}

// schedule reads when an execution is to run: at a whole minute, 60 s ahead or
// more by the server's clock. 59.998 s were refused, as were seconds,
// milliseconds and the past; 40 days and the year 2099 were taken.
func (q *request) schedule(now time.Time) (time.Time, error) {
	when, scheduled := q.params["scheduledAt"].(string)
	async := slices.Contains([]any{true, "true", "1", int64(1)}, q.params["async"])
	switch {
	case !scheduled:
		return time.Time{}, &apiError{400, "general_bad_request", "The stand-in runs no execution at once: async and scheduledAt are needed."}
	case !async:
		return time.Time{}, &apiError{400, "general_bad_request", "Scheduled executions must run asynchronously. Set scheduledAt to a future date, or set async to true."}
	}
	at, err := time.Parse(time.RFC3339, when)
	if err != nil || at.Truncate(time.Minute) != at || at.Before(now.Add(time.Minute)) {
		return time.Time{}, &apiError{400, "general_bad_request", "Execution schedule must be a valid date, and at least 1 minute from now"}
	}
	return at.UTC(), nil
}

// executionHeaders reads the headers for the function. One of the platform's in
// lower case makes the server answer 500; in other capitals it is taken, and
// reaches the function before the platform's own.
func (q *request) executionHeaders() (map[string]string, error) {
	headers := map[string]string{}
	given, ok := q.params["headers"].(map[string]any)
	if !ok && q.params["headers"] != nil {
		return nil, invalidParam("headers", "Value must be a valid object")
	}
	for name, v := range given {
		s, ok := v.(string)
		if !ok || !headerName(name) {
			return nil, &apiError{500, "general_unknown", "Server Error"}
		}
		headers[name] = s
	}
	return headers, nil
}

// headerName reports whether the name of a header is one that Appwrite takes:
// letters, digits and, within, hyphens.
func headerName(s string) bool {
	if s == "" || strings.HasPrefix(s, "x-appwrite-") || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
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
