package daraja

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	secrets := []string{"", "hunter2", "s3cr3t/with+slash=="}
	for _, e := range []struct{ name, in, want string }{
		{"Safaricom's words stay", "Bad Request - Invalid PhoneNumber", "Bad Request - Invalid PhoneNumber"},
		{"a long word stays", "Duplicate OriginatorConversationID.", "Duplicate OriginatorConversationID."},
		{"small numbers stay", "Wait 2 minutes, at most 250000", "Wait 2 minutes, at most 250000"},
		{"space", " a\n\tb\u00a0c \r\n", "a b c"},
		{"control characters", "a\x00b\x1b[31mc", "a b [31mc"},
		{"characters without a width", "a\u200bb\ufeff", "a b"},
		{"bytes that are no text", "a\xff\xfeb", "a b"},
		{"secret", "key hunter2 refused", "key … refused"},
		{"secret within a word", "key=hunter2;", "key=…;"},
		{"secret with a slash", "is s3cr3t/with+slash== wrong", "is … wrong"},
		{"token", "token Qm7eZtR4vXw2LkPa9sYcHd5GfJ3u.", "token …"},
		{"MSISDN", "254712345678 is busy", "… is busy"},
		{"with a plus", "call +254712345678", "call +…"},
		{"local", "0712345678", "…"},
		{"nine digits", "for 712345678.", "for …."},
		{"with spaces", "for 0712 345 678 now", "for … now"},
		{"with marks", "for (0712)-345.678 now", "for (… now"},
		{"masked in the middle", "for 254708***430 now", "for … now"},
		{"masked at the end", "for 0722000*** now", "for …*** now"},
		{"parted by what is not seen", "for 0712\u200b345\u200b678", "for …"},
		{"other digits", "for ٠٧١٢٣٤٥٦٧٨", "for …"},
		{"URL", "Invalid CallBackURL https://x1.example/s/callback?id=1&sig=2", "Invalid CallBackURL …"},
		{"URL without a scheme", "at x1.example/s/callback", "at …"},
		{"URL escaped", "at https%3A%2F%2Fx.ke", "at …"},
		{"URL with backslashes", `at https:\\x1.example`, "at …"},
		{"URL without a path", "see WWW.example.com", "see …"},
		{"tags", "<html><body onload='x'><b>No</b><br/>way</body></html>", "No way"},
		{"half a tag", "No <img src=x onerror", "No"},
		{"a tag within a tag", "No <<b>script>", "No script>"},
		{"too long", strings.Repeat("é", 300), strings.Repeat("é", maxReason-1) + "…"},
		{"nothing is left", "<br>", ""},
	} {
		t.Run(e.name, func(t *testing.T) {
			if got := clean(e.in, secrets); got != e.want {
				t.Errorf("clean(%q) = %q, want %q", e.in, got, e.want)
			}
		})
	}
}

func TestCleanCode(t *testing.T) {
	for _, e := range []struct{ in, want string }{
		{"500.001.1001", "500.001.1001"},
		{"0", "0"},
		{badProduct, badProduct},
		{"SFC_IC0003", "SFC_IC0003"},
		{"254712345678", ""},
		{"254-712-345-678", ""},
		{"hunter2", ""},
		{"400 Bad", ""},
		{"<b>", ""},
		{"https://x1.example", ""},
		{"ünder", ""},
		{strings.Repeat("a", 81), ""},
	} {
		if got := cleanCode(e.in, []string{"", "hunter2"}); got != e.want {
			t.Errorf("cleanCode(%q) = %q, want %q", e.in, got, e.want)
		}
	}
}

// texts lists every text in v that may reach a log or a reply.
func texts(v any) []string {
	var found []string
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		switch field := value.Field(i); {
		case field.Type() == reflect.TypeOf(Detail{}):
			found = append(found, texts(field.Interface())...)
		case field.Kind() == reflect.String && !strings.HasSuffix(value.Type().Field(i).Name, "ID"):
			found = append(found, field.String())
		}
	}
	return found
}

// TestNothingSecretIsRepeated: a Safaricom that says back all it was sent, in each
// shape of an error and as the message of an acceptance.
func TestNothingSecretIsRepeated(t *testing.T) {
	for _, shape := range []struct {
		name, body string
		status     int
	}{
		{"coded", `{"errorCode":"400.002.02","errorMessage":%s}`, 400},
		{"code", `{"errorCode":%s,"errorMessage":"Bad Request"}`, 400},
		{"fault", `{"fault":{"faultstring":%s,"detail":{"errorcode":%[1]s}}}`, 400},
		{"soap", `{"Envelope":{"Body":{"Fault":{"faultstring":%s,"detail":{"source":{"errorcode":%[1]s}}}}}}`, 500},
		{"description", `{"ResponseCode":"1","ResponseDescription":%s,"CustomerMessage":%[1]s}`, 200},
		{"acceptance", `{"ResponseCode":"0","CheckoutRequestID":"a","ConversationID":"b","CustomerMessage":%s}`, 200},
		{"credentials", `{"errorCode":"401.002.01","errorMessage":%s}`, 401},
		{"page", `<html>%s</html>`, 500},
	} {
		// all is everything that a request holds, one piece a word.
		all := func(r request) []byte {
			pieces := []string{"No:", r.path, r.authorization}
			basic, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.authorization, "Basic "))
			pieces = append(pieces, strings.ReplaceAll(string(basic), ":", " "))
			var sent map[string]string
			_ = json.Unmarshal([]byte(r.body), &sent)
			for _, value := range sent {
				pieces = append(pieces, value)
			}
			plain, _ := base64.StdEncoding.DecodeString(sent["Password"])
			pieces = append(pieces, string(plain), credentials.Passkey, "<b>"+credentials.ConsumerSecret+"</b>")
			var answers []byte
			text, _ := json.Marshal(strings.Join(pieces, " "))
			answers = fmt.Appendf(answers, shape.body, text)
			return respond(shape.status, string(answers))
		}
		check := func(t *testing.T, answer any) {
			t.Helper()
			for _, text := range texts(answer) {
				for _, secret := range []string{
					credentials.ConsumerKey, credentials.ConsumerSecret, credentials.Passkey, credentials.Initiator, credentials.SecurityCredential,
					"token-", pushRequest.Phone, payRequest.Phone, "700000019", "100000027", "://", "x1.example", "s3cr3t", "sig=", "/mpesa/", "<",
					"MjAyNjEw", // the timestamp's beginning, as it ends a password in base64
				} {
					if strings.Contains(text, secret) {
						t.Errorf("%q holds %q", text, secret)
					}
				}
			}
		}
		t.Run(shape.name, func(t *testing.T) {
			s := newSafaricom(t)
			s.answer = all
			c := newClient(s)
			check(t, c.Push(context.Background(), pushRequest))
			check(t, c.Query(context.Background(), checkoutRequestID).Detail)
			check(t, c.Pay(context.Background(), payRequest))
			check(t, c.TransactionStatus(context.Background(), statusRequest))
			s = newSafaricom(t)
			s.token = all
			check(t, newClient(s).Token(context.Background()))
		})
	}
}

// TestPasswordIsNotRepeated: not even one that looks like a word.
func TestPasswordIsNotRepeated(t *testing.T) {
	s := newSafaricom(t)
	s.token = func(r request) []byte {
		return respond(400, fmt.Sprintf(`{"errorCode":"400.008.01","errorMessage":"Not %s"}`, strings.TrimPrefix(r.authorization, "Basic ")))
	}
	words := New(s.url, Credentials{ConsumerKey: "aaaa", ConsumerSecret: "bbbb"}, single(), time.Now)
	if got := words.Token(context.Background()); got.Reason != "Not …" {
		t.Errorf("%+v", got)
	}
	s.token = nil
	s.answer = func(r request) []byte {
		return respond(400, fmt.Sprintf(`{"errorCode":"400.002.02","errorMessage":"Bad Request - %s"}`, received(t, r)["Password"]))
	}
	c := newClient(s)
	c.credentials.Shortcode, c.credentials.Passkey = "60", "~"
	password := "1"
	for at := now; strings.ContainsAny(password, "0123456789/"); at = at.Add(time.Second) {
		c.now = func() time.Time { return at }
		_, password = c.password()
	}
	want := Answer{Outcome: Refused, Detail: because(400, "400.002.02", "Bad Request - …")}
	if got := c.Push(context.Background(), pushRequest); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// FuzzJudge holds the decision about the money to its contract, from the responses
// in testdata on.
func FuzzJudge(f *testing.F) {
	calls := [...]call{token, push, query, pay, status}
	for i, folder := range [...]string{"token", "push", "query", "pay", "status"} {
		for _, name := range names(f, folder) {
			code, body := parts(f, name)
			f.Add(uint(i), uint(code), body)
		}
	}
	secrets := []string{credentials.ConsumerKey, credentials.ConsumerSecret, credentials.Passkey}
	f.Fuzz(func(t *testing.T, i, n uint, body []byte) {
		to, code := calls[i%5], int(n%1000) // net/http reads three digits
		a, refused := judge(to, response{status: code, body: body}, secrets)

		switch a.Outcome {
		case Accepted, Refused, NotSent, Unknown:
		default:
			t.Fatalf("outcome %q", a.Outcome)
		}
		if a.Outcome == Accepted && !acceptable(to, code, body) {
			t.Errorf("accepted: HTTP %d %q", code, body)
		}
		if a.Outcome == Accepted && to == token && refused {
			t.Error("accepted and refused")
		}
		if to == token && (a.Outcome == Refused || a.Outcome == Unknown) {
			t.Errorf("a token's outcome is %s", a.Outcome)
		}
		if to&payouts != 0 && (code < 400 || code > 499) && (a.Outcome == Refused || a.Outcome == NotSent) {
			t.Errorf("a payout is %s: HTTP %d %q", a.Outcome, code, body)
		}
		if (a.Outcome == Refused || refused) && (code < 400 || code > 599) {
			t.Errorf("refused: HTTP %d %q", code, body)
		}
		if trimmed := strings.TrimSpace(string(body)); strings.HasPrefix(trimmed, "<") && a.Outcome != Unknown && to != token {
			t.Errorf("%s by a page", a.Outcome)
		}
		if a.Duplicate && (a.Outcome != Unknown || to != pay) {
			t.Errorf("a duplicate is %s", a.Outcome)
		}

		if (a.Reason == "") != (a.Outcome == Accepted) {
			t.Errorf("%s because %q", a.Outcome, a.Reason)
		}
		for _, text := range texts(a) {
			if text == a.Hint {
				continue
			}
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxReason || strings.ContainsAny(text, "<\n\x00") {
				t.Errorf("text %q", text)
			}
			if strings.Contains(text, "://") || withoutNumbers(strings.ReplaceAll(text, ".", "x")) != strings.ReplaceAll(text, ".", "x") {
				t.Errorf("a URL or a number in %q", text)
			}
			if hide(text, secrets) != text {
				t.Errorf("a secret in %q", text)
			}
		}
	})
}

// acceptable reads an acceptance in another way than the package does.
func acceptable(to call, code int, body []byte) bool {
	var members map[string]json.RawMessage
	if code < 200 || code > 299 || json.Unmarshal(body, &members) != nil {
		return false
	}
	has := func(name string, fits func(string) bool) bool {
		for key, value := range members {
			if strings.EqualFold(key, name) && fits(strings.TrimSpace(strings.Trim(string(value), `"`))) {
				return true
			}
		}
		return false
	}
	some := func(s string) bool { return s != "" && s != "null" && s[0] != '{' && s[0] != '[' }
	zero := func(s string) bool { return s == "0" || strings.HasPrefix(s, `\`) } // or written with escapes
	switch to {
	case token:
		return has("access_token", some)
	case push, query:
		return has("ResponseCode", zero) && has("CheckoutRequestID", some)
	default:
		return has("ResponseCode", zero) && (has("ConversationID", some) || has("OriginatorConversationID", some))
	}
}
