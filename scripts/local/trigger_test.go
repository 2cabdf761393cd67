package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// TestEventBody: the function must read from a body what the command line asked for.
func TestEventBody(t *testing.T) {
	now := time.Date(2026, 11, 23, 11, 7, 31, 72e6, time.UTC)
	for name, want := range map[string]parse.Verdict{
		"paid":        {Kind: parse.Payment, Status: parse.Success, Amount: 250},
		"cancelled":   {Kind: parse.Payment, Status: parse.Cancelled, Code: 1032},
		"failed":      {Kind: parse.Payment, Status: parse.Failed, Code: 1},
		"timeout":     {Kind: parse.Payment, Status: parse.Timeout, Code: 1037},
		"b2c-paid":    {Kind: parse.Disbursement, Status: parse.Success, Amount: 250},
		"b2c-failed":  {Kind: parse.Disbursement, Status: parse.Failed, Code: 2001},
		"b2c-timeout": {Kind: parse.Disbursement, Status: parse.Timeout, Code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := events[name]
			read := map[string]func([]byte) (parse.Verdict, error){
				"/callback": parse.STK, "/b2c/result": parse.B2C, "/b2c/timeout": parse.B2CTimeout}[e.path]
			if read == nil {
				t.Fatalf("nothing reads %s", e.path)
			}
			verdict := func(id string) parse.Verdict {
				body, err := e.body(id, 250, now)
				if err != nil {
					t.Fatal(err)
				}
				v, err := read([]byte(body))
				if err != nil {
					t.Fatalf("%v: %s", err, body)
				}
				return v
			}
			v := verdict("")
			if v.Kind != want.Kind {
				t.Errorf("kind %v, want %v", v.Kind, want.Kind)
			}
			if v.Status != want.Status {
				t.Errorf("status %s, want %s", v.Status, want.Status)
			}
			if v.Code != want.Code {
				t.Errorf("code %d, want %d", v.Code, want.Code)
			}
			if v.Amount != want.Amount {
				t.Errorf("amount %d, want %d", v.Amount, want.Amount)
			}
			if paid := v.Status == parse.Success; (len(v.Receipt) == 10) != paid {
				t.Errorf("receipt %q of a %s", v.Receipt, v.Status)
			}
			if at := now.Truncate(time.Second); v.Status == parse.Success && !v.At.Equal(at) {
				t.Errorf("paid at %s, want %s", v.At, at)
			}
			if v.Warning != "" {
				t.Errorf("the function would log %q", v.Warning)
			}
			if other := verdict(""); other.ID == v.ID {
				t.Errorf("two bodies have the id %s", v.ID)
			}
			if v := verdict(`my "id"`); v.ID != `my "id"` {
				t.Errorf("the id is %q, not the one that was given", v.ID)
			}
		})
	}
	if len(events) != 7 {
		t.Errorf("%d events, of which 7 are tested", len(events))
	}
}

func TestTriggerNobodyThere(t *testing.T) {
	setenv(t, nil)
	out, errOut, code := runCommand("-trigger", "paid", "-port", "1")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(errOut, "Is go run ./scripts/local running in another terminal, on this port?") {
		t.Errorf("it prints %q", errOut)
	}
	if out != "" {
		t.Errorf("it prints %q as if it had posted", out)
	}
}

// TestTriggerRefused: the reply is shown, and where it is a 404 the likely cause.
func TestTriggerRefused(t *testing.T) {
	setenv(t, nil)
	for status, want := range map[int]string{
		404: "local: answered 404: DARAJA_CALLBACK_SECRET must be the same as in the other terminal\n",
		503: "local: answered 503\n",
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, "because")
			}))
			defer server.Close()
			_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
			out, errOut, code := runCommand("-trigger", "paid", "-port", port)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if errOut != want {
				t.Errorf("it prints %q, want %q", errOut, want)
			}
			if line := fmt.Sprintf("\n%d because\n", status); !strings.HasSuffix(out, line) {
				t.Errorf("it does not show the reply:\n%s", out)
			}
		})
	}
}
