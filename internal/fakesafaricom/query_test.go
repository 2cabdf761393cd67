package fakesafaricom

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// in says in a word what a query answered.
func in(status int, body string) string {
	var answer struct{ ResultCode, ErrorCode, ErrorMessage string }
	if json.Unmarshal([]byte(body), &answer) != nil {
		return body
	}
	if answer.ResultCode != "" {
		return itoa(status) + " " + answer.ResultCode
	}
	return strings.TrimSpace(itoa(status) + " " + answer.ErrorCode + " " + answer.ErrorMessage)
}

func TestQueryTimelines(t *testing.T) {
	const (
		open    = "200 4999"
		nothing = "200 500.001.1001"
		early   = "500 500.001.1001 The transaction is being processed"
	)
	type at struct {
		after time.Duration
		want  string
	}
	second := time.Second
	for _, test := range []struct {
		name  string
		phone Phone
		polls []at
	}{
		{"paid", Phone{}, []at{{second / 2, early}, {second, open}, {10 * second, open}, {17 * second, "200 0"}}},
		{"cancelled", Phone{Answer: Cancels}, []at{{second, nothing}, {13 * second, nothing}, {27 * second, "200 1032"}}},
		{"unanswered", Phone{Answer: Silent}, []at{{second, open}, {6 * second, open}, {14*second - 1, open}, {14 * second, "200 1037"}, {40 * second, "200 1037"}}},
		{"bad debt", Phone{Answer: BadDebt}, []at{{second, open}, {10 * second, "200 E3008"}}},
		{"late", Phone{After: 90 * second}, []at{{60 * second, open}, {91 * second, "200 0"}}},
		{"asked", Phone{Answer: Asks}, []at{{30 * second, open}, {61 * second, "200 1037"}}},
		{"one poll in five of what has ended", Phone{}, []at{{20 * second, "200 0"}, {25 * second, "200 0"}, {30 * second, "200 0"},
			{35 * second, "200 0"}, {40 * second, early}, {45 * second, "200 0"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.SetPhone(ada, test.phone)
			id := w.push(ada)
			for _, poll := range test.polls {
				w.advance(poll.after)
				if got := in(w.call(Query, w.queryBody(id))); got != poll.want {
					t.Errorf("at %v: %s; want %s", poll.after, got, poll.want)
				}
			}
		})
	}
}

func TestQuery(t *testing.T) {
	w := newWorld(t)
	id := w.push(ada)
	w.Advance(20 * time.Second)
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"unknown id", set("CheckoutRequestID", "ws_CO_1"), "500 500.001.1001 The transaction does not Exist"},
		{"of another merchant", setAll(map[string]any{"BusinessShortCode": "600100", "Password": password("600100", "tillpass", w.stamp())}),
			"500 500.001.1001 The transaction does not Exist"},
		{"no id", set("CheckoutRequestID"), "400 400.002.02 Bad Request - Invalid CheckoutRequestID"},
		{"no password", set("Password"), "400 400.002.02 Bad Request - Invalid Password"},
		{"wrong password", set("Password", "eA=="), "500 500.001.1001 [MerchantValidate] - Wrong credentials"},
		{"shortcode as a number", set("BusinessShortCode", 174379), "200 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := w.queryBody(id)
			test.change(body)
			if got := in(w.call(Query, body)); got != test.want {
				t.Errorf("= %s; want %s", got, test.want)
			}
		})
	}
	t.Run("every key and no more", func(t *testing.T) {
		_, body := w.call(Query, w.queryBody(id))
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := map[string]string{"ResponseCode": "0", "ResponseDescription": "The service request has been accepted successfully",
			"MerchantRequestID": w.Prompts(ada)[0].MerchantRequestID, "CheckoutRequestID": id, "ResultCode": "0",
			"ResultDesc": "The service request is processed successfully."}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("= %v; want %v", got, want)
		}
	})
}

func TestQuerySpacing(t *testing.T) {
	w := newWorld(t, func(s *Safaricom) { s.QuerySpacing = 12 * time.Second })
	id := w.push(ada)
	w.Advance(time.Second)
	for _, test := range []struct {
		after  time.Duration
		status int
	}{{0, 200}, {12*time.Second - 1, 429}, {1, 200}} {
		w.Advance(test.after)
		status, body := w.call(Query, w.queryBody(id))
		if status != test.status {
			t.Errorf("%v later: %d; want %d", test.after, status, test.status)
		}
		if status == 429 && !strings.Contains(body, `"errorcode":"policies.ratelimit.SpikeArrestViolation"`) {
			t.Errorf("429 with %s", body)
		}
	}
}
