package fakeappwrite

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
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

	CreatedAt time.Time `json:"-"`

	// Status and what was logged are there once it has run.
	Status       int
	Logs, Errors string

	// Trigger is http for a request to the function's domain, and for one that
	// its caller waits for. Empty is schedule.
	Trigger string `json:"-"`

	UserID, UserJWT string `json:"-"` // as the function gets them
}

// Waiting returns the executions whose time has not come, the next first.
func (a *Appwrite) Waiting() (all []Execution) {
	a.Do(func() { all = slices.Clone(a.queue) })
	return all
}

// RunUntil runs the executions that are due until then, one after another and
// each at its time, to which the clock is moved. Those are included that run
// queues meanwhile. It returns how many there were.
//
// Whatever run does, an execution is run once: nothing repeats one that failed
// or died. See [Appwrite.RunsTwice] for the exception.
func (a *Appwrite) RunUntil(until time.Time, clock interface{ MoveTo(time.Time) }, run func(Execution)) int {
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
	if e, found := a.nextOfCron(); found && !e.ScheduledAt.After(until) && (len(a.queue) == 0 || e.ScheduledAt.Before(a.queue[0].ScheduledAt)) {
		return e, 1
	}
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

// nextOfCron returns what a function's schedule runs next.
func (a *Appwrite) nextOfCron() (next Execution, found bool) {
	if !a.Cron {
		return Execution{}, false
	}
	for _, f := range a.Functions {
		every, err := f.every()
		if err != nil || every == 0 {
			continue
		}
		at := a.now().Truncate(every).Add(every)
		if !found || at.Before(next.ScheduledAt) {
			next, found = Execution{ID: NewID(), Function: f.ID, Method: http.MethodPost, Path: "/", ScheduledAt: at}, true
		}
	}
	return next, found
}

// Restart is one of the platform's scheduler. Up to 1.8.1 that takes a schedule
// out of its table as soon as it is due within a minute, and then knows it in
// memory only; it returns how many were lost so. From 1.9.0 none is.
func (a *Appwrite) Restart() (lost int) {
	if !Older(a.Version, "1.9.0") {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	soon := a.now().Add(time.Minute)
	before := len(a.queue)
	a.queue = slices.DeleteFunc(a.queue, func(e Execution) bool { return !e.ScheduledAt.After(soon) })
	return before - len(a.queue)
}

// Record keeps an execution that has run, for GET /functions/{id}/executions.
func (a *Appwrite) Record(e Execution) {
	e.ID = cmp.Or(e.ID, NewID())
	a.Do(func() {
		e.CreatedAt = a.now()
		a.ran = append(a.ran, e)
	})
}

// Executions returns what was recorded.
func (a *Appwrite) Executions() (all []Execution) {
	a.Do(func() { all = slices.Clone(a.ran) })
	return all
}

// queueNeedsDatabase reports whether that version writes a row of a new execution
// to the project's database on the spot. It does so after it has made the schedule,
// which a tick of the scheduler then deletes as an orphan.
func (a *Appwrite) queueNeedsDatabase() bool { return !Older("1.9.6", a.Version) }

// execute is POST /functions/{id}/executions.
func (a *Appwrite) execute(q *Request) (Reply, error) {
	e, err := q.execution(a.now())
	if err != nil {
		return Reply{}, err
	}
	f := a.Functions[e.Function]
	if f == nil {
		return Reply{}, a.NotFound("function", e.Function)
	}
	if !q.caller.key && !slices.ContainsFunc(q.caller.roles(), func(role string) bool { return slices.Contains(f.Execute, role) }) {
		return Reply{}, unauthorized("The current user is not authorized to perform the requested action.")
	}
	a.as(q, &e)
	if e.ScheduledAt.IsZero() {
		if a.Run == nil {
			return Reply{}, &Error{500, "general_unknown", "This fake has nothing that runs functions."}
		}
		e.Trigger = "http"
		return a.runNow(e), nil
	}
	kept, err := json.Marshal(e)
	if err != nil {
		return Reply{}, err
	}
	if len(kept)*4/3 > maxSchedule {
		return Reply{}, serverError()
	}
	i, _ := slices.BinarySearchFunc(a.queue, e, func(x, y Execution) int {
		return cmp.Or(x.ScheduledAt.Compare(y.ScheduledAt), -1) // behind those of the same time
	})
	a.queue = slices.Insert(a.queue, i, e)
	return Reply{Status: http.StatusAccepted, Body: e.model()}, nil
}

// execution reads and checks the parameters. A header of the platform's in lower
// case makes the server answer 500; in other capitals it is taken, and reaches the
// function before the platform's own.
func (q *Request) execution(now time.Time) (Execution, error) {
	e := Execution{ID: NewID(), CreatedAt: now, Function: q.Var("function"), Method: http.MethodPost, Path: "/", Headers: map[string]string{}}
	err := q.Read(&struct {
		Method, Path, Body *string
		Headers            *map[string]string
	}{&e.Method, &e.Path, &e.Body, &e.Headers})
	switch {
	case err != nil:
		return e, err
	case len(e.Path) > 2048 || len(e.Body) > 10<<20:
		return e, InvalidParam("path", "Value must be a valid string and no longer than 2048 chars")
	case !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}, e.Method):
		return e, InvalidParam("method", "Value must be one of (GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD)")
	}
	for name := range e.Headers {
		if !headerName.MatchString(name) || strings.HasPrefix(name, "x-appwrite-") {
			return e, serverError()
		}
	}
	e.ScheduledAt, err = q.schedule(now)
	return e, err
}

// headerName is the name of a header that Appwrite takes.
var headerName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// schedule reads when an execution is to run: at a whole minute, 60 s ahead or
// more by the server's clock. 59.998 s were refused, as were seconds,
// milliseconds and the past; 40 days and the year 2099 were taken.
func (q *Request) schedule(now time.Time) (time.Time, error) {
	when, scheduled := q.Params["scheduledAt"].(string)
	async := slices.Contains([]any{true, "true", "1", int64(1)}, q.Params["async"])
	switch {
	case !scheduled && async:
		return time.Time{}, &Error{400, "general_bad_request", "The fake runs no execution that nobody waits for, but at its time: scheduledAt is needed."}
	case !scheduled:
		return time.Time{}, nil
	case !async:
		return time.Time{}, &Error{400, "general_bad_request", "Scheduled executions must run asynchronously. Set scheduledAt to a future date, or set async to true."}
	}
	at, err := time.Parse(time.RFC3339, when)
	if err != nil || at.Truncate(time.Minute) != at || at.Before(now.Add(time.Minute)) {
		return time.Time{}, &Error{400, "general_bad_request", "Execution schedule must be a valid date, and at least 1 minute from now"}
	}
	return at.UTC(), nil
}

// listExecutions is GET /functions/{id}/executions.
func (a *Appwrite) listExecutions(q *Request) (Reply, error) {
	if id := q.Var("function"); a.Functions[id] == nil {
		return Reply{}, a.NotFound("function", id)
	}
	var ran []Model
	for _, e := range a.ran {
		ran = append(ran, e.model())
	}
	return q.Page("executions", ran)
}

// model has every attribute of an execution, which the SDKs of apps insist on
// (Utopia/Response/Model/Execution.php of 1.8.1 to 1.9.6).
func (e Execution) model() Model {
	status := "scheduled"
	if e.Status != 0 {
		status = "completed"
	}
	if e.Status >= 500 {
		status = "failed"
	}
	permissions, scheduledAt := []string{}, any(nil)
	if e.UserID != "" {
		permissions = []string{`read("user:` + e.UserID + `")`}
	}
	if !e.ScheduledAt.IsZero() {
		scheduledAt = formatTime(e.ScheduledAt)
	}
	return Model{
		"$id": e.ID, "$createdAt": formatTime(e.CreatedAt), "$updatedAt": formatTime(e.CreatedAt), "$permissions": permissions,
		"functionId": e.Function, "deploymentId": "deployment", "trigger": cmp.Or(e.Trigger, "schedule"), "status": status,
		"requestMethod": e.Method, "requestPath": e.Path, "requestHeaders": []Model{},
		"responseStatusCode": e.Status, "responseBody": "", "responseHeaders": []Model{},
		"logs": e.Logs, "errors": e.Errors, "duration": 0.0, "scheduledAt": scheduledAt,
	}
}
