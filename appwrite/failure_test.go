package appwrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"openruntimes/handler/settle"
)

// TestClassify sorts every way in which a write can fail.
func TestClassify(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want Class
	}{
		"no answer in time":      {newFailure("create", context.DeadlineExceeded), Transient},
		"no time was left":       {newFailure("create", context.Canceled), Transient},
		"broken off":             {newFailure("create", io.ErrUnexpectedEOF), Transient},
		"200 without a document": {&Failure{Status: 200}, Transient},
		"201 without a document": {&Failure{Status: 201}, Transient},
		"299":                    {&Failure{Status: 299}, Transient},
		"301":                    {&Failure{Status: 301}, Permanent},
		"308":                    {&Failure{Status: 308}, Permanent},
		"400":                    {&Failure{Status: 400}, Permanent},
		"401":                    {&Failure{Status: 401}, Permanent},
		"403":                    {&Failure{Status: 403}, Permanent},
		"404":                    {&Failure{Status: 404}, Permanent},
		"407":                    {&Failure{Status: 407}, Permanent},
		"408":                    {&Failure{Status: 408}, Transient},
		"409":                    {&Failure{Status: 409}, Permanent},
		"429":                    {&Failure{Status: 429}, Throttled},
		"499":                    {&Failure{Status: 499}, Permanent},
		"500":                    {&Failure{Status: 500}, Transient},
		"502":                    {&Failure{Status: 502}, Transient},
		"503":                    {&Failure{Status: 503}, Transient},
		"599":                    {&Failure{Status: 599}, Transient},
		"contended":              {settle.ErrContended, Transient},
		"contended, wrapped":     {fmt.Errorf("x: %w", settle.ErrContended), Transient},
		"a missing setting":      {errors.New("configuration: X is missing"), Permanent},
		"two: the first counts":  {fmt.Errorf("%w; %w", &Failure{Status: 429}, &Failure{Status: 500}), Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Classify(tt.err); got != tt.want {
				t.Errorf("Classify(%v) = %s, want %s", tt.err, got, tt.want)
			}
		})
	}
}

// TestClassWords: people set alerts on them.
func TestClassWords(t *testing.T) {
	for class, want := range map[Class]string{Transient: "passes by itself", Permanent: "needs an operator", Throttled: "too busy"} {
		if string(class) != want {
			t.Errorf("%q, want %q", class, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"no error":   {nil, 0},
		"another":    {io.EOF, 0},
		"no answer":  {&Failure{Call: "get"}, 0},
		"an answer":  {&Failure{Status: 404}, 404},
		"wrapped":    {fmt.Errorf("x: %w", &Failure{Status: 404}), 404},
		"two errors": {fmt.Errorf("%w; %w", io.EOF, &Failure{Status: 500}), 500},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Status(tt.err); got != tt.want {
				t.Errorf("Status = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestSafeName: an error's type is logged if it can be nothing else.
func TestSafeName(t *testing.T) {
	for name, safe := range map[string]bool{
		"":                         true,
		"document_not_found":       true,
		"azAZ_":                    true,
		strings.Repeat("x", 60):    true,
		strings.Repeat("x", 61):    false,
		"254700000001":             false,
		"type1":                    false,
		"Amina Wambui":             false,
		"a-b":                      false,
		"a\nb":                     false,
		"@":                        false,
		"[":                        false,
		"`":                        false,
		"{":                        false,
		"é":                        false,
		"no document with id ws_1": false,
	} {
		t.Run(name, func(t *testing.T) {
			want := "?"
			if safe {
				want = name
			}
			if got := SafeName(name); got != want {
				t.Errorf("SafeName(%q) = %q, want %q", name, got, want)
			}
		})
	}
}
