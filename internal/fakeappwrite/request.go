package fakeappwrite

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Request is one call of the API on its way through a handler.
type Request struct {
	HTTP   *http.Request
	Body   []byte
	Params map[string]any // the JSON body; empty if it was not JSON

	vars   map[string]string
	caller caller
}

// Var returns the segment of the path that has this name in the route's pattern.
func (q *Request) Var(name string) string { return q.vars[name] }

// Read reads the parameters into a struct that has the defaults. Null is the same
// as absent. The required ones must be there, and not be empty.
func (q *Request) Read(into any, required ...string) error {
	for _, name := range required {
		if v := q.Params[name]; v == nil || v == "" {
			return &Error{400, "general_argument_invalid", `Param "` + name + `" is not optional.`}
		}
	}
	if len(q.Params) == 0 {
		return nil
	}
	if err := json.Unmarshal(q.Body, into); err != nil {
		return &Error{400, "general_argument_invalid", err.Error()}
	}
	return nil
}

// decodeBody returns the parameters in a JSON body. Appwrite takes a body that
// is not JSON, or does not say that it is, for one without parameters.
func decodeBody(r *http.Request, body []byte) map[string]any {
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(contentType), "application/json") || !utf8.Valid(body) {
		return nil
	}
	v, err := decodeJSON(body)
	if err != nil {
		return nil
	}
	params, _ := v.(map[string]any)
	return params
}

// decodeJSON decodes one JSON value, with numbers as PHP would have them: int64
// if they are written as a whole number that fits, else float64.
func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		// -0 is 0: every version took it for an integer, and stored 0.
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // too large is infinite, which no attribute takes
		return f
	}
	return v
}

// An Error is what Appwrite answers with instead of a result.
type Error struct {
	Status  int
	Type    string
	Message string
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

func serverError() error { return &Error{500, "general_unknown", "Server Error"} }

func unauthorized(message string) error {
	return &Error{401, "user_unauthorized", message}
}

// InvalidParam is the error for a parameter of the body or the path.
func InvalidParam(name, reason string) error {
	return &Error{400, "general_argument_invalid", fmt.Sprintf("Invalid `%s` param: %s", name, reason)}
}

// NotFound is the error for something of that kind, such as a document.
func (a *Appwrite) NotFound(kind, id string) error {
	name := strings.ToUpper(kind[:1]) + kind[1:]
	return &Error{404, kind + "_not_found", fmt.Sprintf("%s with the requested ID%s could not be found.", name, a.quoted(id))}
}

// quoted is an id as messages have it since 1.9.0, which is one more reason not
// to log them.
func (a *Appwrite) quoted(id string) string {
	if Older(a.Version, "1.9.0") {
		return ""
	}
	return " '" + id + "'"
}

// A Model is a resource as the API shows it.
type Model = map[string]any

// Shown is what the API shows of v now: one Model or several.
func Shown[T Model | []Model](v any) (shown T) {
	text, err := json.Marshal(v)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a float64 cannot hold the bounds of an integer
	if err = errors.Join(err, d.Decode(&shown)); err != nil {
		panic(err) // v is none of the structs of this package and fakeconsole
	}
	return shown
}

// A Reply is what goes back for a request that was carried out.
type Reply struct {
	Status int
	Header map[string]string
	Body   any // JSON, or bytes that go out as they are, or nil for none
	Cookie []*http.Cookie

	then func() Reply // makes the reply, when the lock is free again
}

// Failure is the reply for an error.
func (a *Appwrite) Failure(err error) Reply {
	e, ok := err.(*Error)
	if !ok {
		e = serverError().(*Error)
	}
	return Reply{Status: e.Status, Body: errorBody(e, a.Version)}
}

func errorBody(e *Error, version string) Model {
	return Model{"message": e.Message, "code": e.Status, "version": version, "type": e.Type}
}

// Write sends the reply.
func (rep Reply) Write(w http.ResponseWriter) {
	for k, v := range rep.Header {
		w.Header().Set(k, v)
	}
	for _, cookie := range rep.Cookie {
		http.SetCookie(w, cookie)
	}
	body, isBytes := rep.Body.([]byte)
	if !isBytes && rep.Body != nil {
		var err error
		if body, err = json.Marshal(rep.Body); err != nil {
			panic(err) // everything stored came out of JSON
		}
		w.Header().Set("Content-Type", jsonType)
	}
	w.WriteHeader(rep.Status)
	w.Write(body)
}

const timeLayout = "2006-01-02T15:04:05.000-07:00"

// formatTime writes a time as the API does.
func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// parseTime takes a small part of what PHP does.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02 15:04:05", s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// NewID returns an id like those that Appwrite makes: 20 hexadecimal digits.
func NewID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails on any system that Go runs on
	return hex.EncodeToString(b[:])
}
