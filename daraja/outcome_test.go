package daraja

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// because returns the Detail of an answer that names no setting.
func because(status int, code, reason string) Detail {
	return Detail{HTTPStatus: status, Code: code, Reason: reason}
}

func (d Detail) about(field string) Detail   { d.Field = field; return d }
func (d Detail) setting(field string) Detail { d.Field, d.Credentials = field, true; return d }
func (d Detail) keys(field string) Detail {
	d.Field, d.Credentials, d.Hint = field, true, hintKeys
	return d
}
func (d Detail) throttled() Detail { d.Throttled = true; return d }

const (
	spikeCode   = "policies.ratelimit.SpikeArrestViolation"
	spike       = "Spike arrest violation. Allowed rate : … … …"
	incapsula   = "the page of Safaricom's firewall, Incapsula: it blocks the addresses of this host"
	soapCode    = "steps.servicecallout.ExecutionFailed"
	badProduct  = "keymanagement.service.InvalidAPICallAsNoApiProductMatchFound"
	badToken    = "keymanagement.service.invalid_access_token"
	unknownHost = "messaging.adaptors.http.flow.ApplicationNotFound"
)

// expected is what each response in testdata means. posts says how often the
// request was sent: with four tokens if each was refused, and else once.
var expected = []struct {
	file  string
	posts int
	want  Answer
}{
	{"push/200", 1, Answer{Outcome: Accepted,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37766", CheckoutRequestID: "ws_CO_02102026093015482700000011",
		CustomerMessage: "Success. Request accepted for processing", Detail: because(200, "0", "")}},
	{"push/200-old-ids", 1, Answer{Outcome: Accepted,
		MerchantRequestID: "18274-5520913-1", CheckoutRequestID: "ws_CO_14012024101502993700000012",
		CustomerMessage: "Success. Request accepted for processing", Detail: because(200, "0", "")}},
	{"push/200-space", 1, Answer{Outcome: Accepted,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37767", CheckoutRequestID: "ws_CO_02102026093016113700000013",
		CustomerMessage: "Success. Request accepted for processing", Detail: because(200, "0", "")}},
	{"push/200-code-number", 1, Answer{Outcome: Accepted,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37768", CheckoutRequestID: "ws_CO_02102026093020001700000014",
		CustomerMessage: "Success. Request accepted for processing", Detail: because(200, "0", "")}},
	{"push/200-code-1", 1, Answer{Outcome: Unknown,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37769", CheckoutRequestID: "ws_CO_02102026093021001700000015",
		Detail: because(200, "1", "Rejected")}},
	{"push/200-no-id", 1, Answer{Outcome: Unknown,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37770", CustomerMessage: "Success. Request accepted for processing",
		Detail: because(200, "0", "Success. Request accepted for processing")}},
	{"push/200-no-code", 1, Answer{Outcome: Unknown,
		MerchantRequestID: "7c1d-42ab-8e0f-9b6a2d4e51f37771", CheckoutRequestID: "ws_CO_02102026093022001700000016",
		Detail: because(200, "", "HTTP 200 with JSON that accepts nothing")}},
	{"push/200-error", 1, Answer{Outcome: Unknown, Detail: because(200, "400.002.02", "Bad Request - Invalid Amount")}},
	{"push/200-html", 1, Answer{Outcome: Unknown, Detail: because(200, "", "HTTP 200 with an HTML page")}},
	{"push/200-empty", 1, Answer{Outcome: Unknown, Detail: because(200, "", "HTTP 200 with no body")}},
	{"push/200-list", 1, Answer{Outcome: Unknown, Detail: because(200, "", "HTTP 200 with JSON that accepts nothing")}},
	{"push/200-half", 1, Answer{Outcome: Unknown, Detail: because(200, "", "HTTP 200 with a body that is not JSON")}},
	{"push/200-torn", 1, Answer{Outcome: Unknown, Detail: because(200, "", "connection broken")}},
	{"push/302", 1, Answer{Outcome: Unknown, Detail: because(302, "", "HTTP 302 with a redirect, which is not followed")}},

	{"push/400.002.02-BusinessShortCode", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid BusinessShortCode").setting("BusinessShortCode")}},
	{"push/400.002.02-PhoneNumber", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid PhoneNumber").about("PhoneNumber")}},
	{"push/400.002.02-Amount", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid Amount").about("Amount")}},
	{"push/400.002.02-CallBackURL", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid CallBackURL").setting("CallBackURL")}},
	{"push/400.002.02-Remarks", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid Remarks").about("Remarks")}},
	{"push/400.002.02-PartyA", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid PartyA").about("PartyA")}},
	{"push/400.002.02-PartyB", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid PartyB").setting("PartyB")}},
	{"push/400.002.02-Password", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid Password").setting("Password")}},
	{"push/400.002.02-TransactionType", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid TransactionType").setting("TransactionType")}},
	{"push/400.002.02-Timestamp", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid Timestamp").about("Timestamp")}},
	{"push/400.002.02-echo", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid CallBackURL … for …, see …").setting("CallBackURL")}},
	{"push/400-odd-code", 1, Answer{Outcome: Unknown, Detail: because(400, "400", "Bad Request")}},
	{"push/400-empty", 1, Answer{Outcome: Unknown, Detail: because(400, "", "HTTP 400 with no body")}},
	{"push/400-html", 1, Answer{Outcome: Unknown, Detail: because(400, "", "HTTP 400 with an HTML page")}},
	{"push/400-soap", 1, Answer{Outcome: Unknown,
		Detail: because(400, soapCode, "Execution of ServiceCallout failed. Reason: ResponseCode 400 is treated as error")}},
	{"push/400-500.001.1001", 1, Answer{Outcome: Unknown, Detail: because(400, "500.001.1001", "Internal error")}},

	{"push/401", 4, Answer{Outcome: NotSent,
		Detail: because(401, "401.002.01", "Error Occurred - Invalid Access Token - …").keys("ConsumerKey")}},
	{"push/401-fault", 4, Answer{Outcome: NotSent, Detail: because(401, badToken, "Invalid Access Token").keys("ConsumerKey")}},
	{"push/401-fault-product", 4, Answer{Outcome: NotSent,
		Detail: because(401, badProduct, "Invalid API call as no apiproduct match found").keys("Product")}},
	{"push/401.003.01-product", 4, Answer{Outcome: NotSent,
		Detail: because(401, "401.003.01", "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found").keys("Product")}},
	{"push/400-401.003.01", 4, Answer{Outcome: NotSent,
		Detail: because(400, "401.003.01", "Error Occurred - Invalid Access Token").keys("ConsumerKey")}},
	{"push/401-empty", 4, Answer{Outcome: NotSent, Detail: because(401, "", "HTTP 401 with no body").keys("ConsumerKey")}},
	{"push/401-html", 1, Answer{Outcome: Unknown, Detail: because(401, "", "HTTP 401 with an HTML page")}},
	{"push/403-incapsula", 1, Answer{Outcome: Unknown, Detail: because(403, "", "HTTP 403 with "+incapsula)}},
	{"push/404.001.01", 1, Answer{Outcome: Refused, Detail: because(404, "404.001.01", "Resource not found").setting("BaseURL")}},
	{"push/404.001.03", 4, Answer{Outcome: NotSent, Detail: because(404, "404.001.03", "Invalid Access Token").keys("ConsumerKey")}},
	{"push/404-fault-proxy", 1, Answer{Outcome: Refused,
		Detail: because(404, unknownHost, "Unable to identify proxy for host: secure and url: …").setting("BaseURL")}},
	{"push/404-fault-token", 4, Answer{Outcome: NotSent, Detail: because(404, badToken, "Invalid Access Token").keys("ConsumerKey")}},
	{"push/405.001", 1, Answer{Outcome: Refused, Detail: because(405, "405.001", "Method Not Allowed")}},
	{"push/408-fault", 1, Answer{Outcome: Unknown, Detail: because(408, "messaging.runtime.Timeout", "Request timeout")}},
	{"push/409-coded", 1, Answer{Outcome: Unknown, Detail: because(409, "409.001.01", "Conflict")}},
	{"push/429-fault-spike", 1, Answer{Outcome: Refused, Detail: because(429, spikeCode, spike).throttled()}},
	{"push/429-empty", 1, Answer{Outcome: Unknown, Detail: because(429, "", "HTTP 429 with no body").throttled()}},

	{"push/500.001.1001-merchant", 1, Answer{Outcome: Refused,
		Detail: because(500, "500.001.1001", "Merchant does not exist").keys("BusinessShortCode")}},
	{"push/500.001.1001-credentials", 1, Answer{Outcome: Refused,
		Detail: because(500, "500.001.1001", "[MerchantValidate] - Wrong credentials").keys("Password")}},
	{"push/500.001.1001-locked", 1, Answer{Outcome: Refused, Detail: because(500, "500.001.1001",
		"Unable to lock subscriber, a transaction is already in process for the current subscriber")}},
	{"push/500.001.1001-other", 1, Answer{Outcome: Unknown, Detail: because(500, "500.001.1001", "Unable to process the request")}},
	{"push/500.001.1001-no-words", 1, Answer{Outcome: Unknown, Detail: because(500, "500.001.1001", "HTTP 500 with no reason in its JSON")}},
	{"push/500.002.1001", 1, Answer{Outcome: Unknown, Detail: because(500, "500.002.1001", "System internal error.")}},
	{"push/500.003.02-busy", 1, Answer{Outcome: Refused,
		Detail: because(500, "500.003.02", "System is busy. Please try again in few minutes.").throttled()}},
	{"push/500.003.02-spike", 1, Answer{Outcome: Refused,
		Detail: because(500, "500.003.02", "Error Occurred: Spike Arrest Violation").throttled()}},
	{"push/500.003.03", 1, Answer{Outcome: Refused, Detail: because(500, "500.003.03", "Error Occurred: Quota Violation").throttled()}},
	{"push/500.003.1001", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.1001", "Internal Server Error")}},
	{"push/500-fault-spike", 1, Answer{Outcome: Unknown, Detail: because(500, spikeCode, spike).throttled()}},
	{"push/500-soap", 1, Answer{Outcome: Unknown, Detail: because(500, soapCode,
		"Execution of ServiceCallout SC-SearchURL failed. Reason: ResponseCode 503 is treated as error")}},
	{"push/500-acceptance", 1, Answer{Outcome: Unknown, Detail: because(500, "0", "HTTP 500 with no reason in its JSON")}},
	{"push/502-500.001.1001", 1, Answer{Outcome: Unknown, Detail: because(502, "500.001.1001", "[MerchantValidate] - Wrong credentials")}},
	{"push/500-empty", 1, Answer{Outcome: Unknown, Detail: because(500, "", "HTTP 500 with no body")}},
	{"push/503-incapsula", 1, Answer{Outcome: Unknown, Detail: because(503, "", "HTTP 503 with "+incapsula)}},
	{"push/503-html", 1, Answer{Outcome: Unknown, Detail: because(503, "", "HTTP 503 with an HTML page")}},
	{"push/504-fault", 1, Answer{Outcome: Unknown, Detail: because(504, "messaging.adaptors.http.flow.GatewayTimeout", "Gateway Timeout")}},

	{"pay/200", 1, Answer{Outcome: Accepted,
		ConversationID: "AG_20261002_0100101f63k2m8q4w7zx", OriginatorConversationID: "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
		Detail: because(200, "0", "")}},
	{"pay/200-server-id", 1, Answer{Outcome: Accepted,
		ConversationID: "AG_20261002_0100101f63k2m8q4w7zy", OriginatorConversationID: "61c8-4d0e-a7b5-2f9d3e6a8c104417",
		Detail: because(200, "0", "")}},
	{"pay/200-no-id", 1, Answer{Outcome: Unknown, Detail: because(200, "0", "Accept the service request successfully.")}},
	{"pay/200-duplicate", 1, Answer{Outcome: Unknown, Duplicate: true, Detail: because(200, "1", "Duplicate OriginatorConversationID.")}},
	{"pay/200-code-1", 1, Answer{Outcome: Unknown,
		ConversationID: "AG_20261002_0100101f63k2m8q4w7zz", OriginatorConversationID: "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
		Detail: because(200, "1", "Rejected")}},
	{"pay/500-acceptance", 1, Answer{Outcome: Unknown, Detail: because(500, "0", "HTTP 500 with no reason in its JSON")}},
	{"pay/200-html", 1, Answer{Outcome: Unknown, Detail: because(200, "", "HTTP 200 with an HTML page")}},
	{"pay/400.002.02-InitiatorName", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid InitiatorName").setting("InitiatorName")}},
	{"pay/400.002.02-SecurityCredential", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid SecurityCredential").setting("SecurityCredential")}},
	{"pay/400.002.02-PartyA", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid PartyA").setting("PartyA")}},
	{"pay/400.002.02-PartyB", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid PartyB").about("PartyB")}},
	{"pay/400.002.02-duplicate", 1, Answer{Outcome: Unknown, Duplicate: true,
		Detail: because(400, "400.002.02", "Bad Request - Duplicate OriginatorConversationID")}},
	{"pay/400.003.01", 4, Answer{Outcome: NotSent, Detail: because(400, "400.003.01", "Invalid Access Token").keys("ConsumerKey")}},
	{"pay/401", 4, Answer{Outcome: NotSent, Detail: because(401, "401.002.01", "Invalid credentials").keys("ConsumerKey")}},
	{"pay/404.002.01", 1, Answer{Outcome: Refused, Detail: because(404, "404.002.01", "Resource not found").setting("BaseURL")}},
	{"pay/405.001", 1, Answer{Outcome: Refused, Detail: because(405, "405.001", "Method Not Allowed")}},
	{"pay/429-fault-spike", 1, Answer{Outcome: Refused, Detail: because(429, spikeCode, spike).throttled()}},
	{"pay/500.002.1001-duplicate", 1, Answer{Outcome: Unknown, Duplicate: true,
		Detail: because(500, "500.002.1001", "Duplicate OriginatorConversationID.")}},
	{"pay/500.002.1001", 1, Answer{Outcome: Unknown, Detail: because(500, "500.002.1001", "System internal error.")}},
	{"pay/500.001.1001-merchant", 1, Answer{Outcome: Unknown, Detail: because(500, "500.001.1001", "Merchant does not exist")}},
	{"pay/500.001.1001-credentials", 1, Answer{Outcome: Unknown,
		Detail: because(500, "500.001.1001", "[MerchantValidate] - Wrong credentials")}},
	{"pay/500.003.02", 1, Answer{Outcome: Unknown,
		Detail: because(500, "500.003.02", "System is busy. Please try again in few minutes.").throttled()}},
	{"pay/500.003.03", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.03", "Error Occurred: Quota Violation").throttled()}},
	{"pay/500.003.1001", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.1001", "Internal Server Error")}},
	{"pay/500-fault", 1, Answer{Outcome: Unknown, Detail: because(500, badToken, "Invalid Access Token")}},
	{"pay/500-empty", 1, Answer{Outcome: Unknown, Detail: because(500, "", "HTTP 500 with no body")}},
	{"pay/503-incapsula", 1, Answer{Outcome: Unknown, Detail: because(503, "", "HTTP 503 with "+incapsula)}},
	{"pay/503-html", 1, Answer{Outcome: Unknown, Detail: because(503, "", "HTTP 503 with an HTML page")}},

	{"status/200", 1, Answer{Outcome: Accepted,
		ConversationID: "AG_20261002_0100101g71n3p9r5v8ab", OriginatorConversationID: "92aa-4c31-b0d7-6e5f1a2c9b803390",
		Detail: because(200, "0", "")}},
	{"status/400.002.05", 1, Answer{Outcome: Refused, Detail: because(400, "400.002.05", "Invalid Request Payload")}},
	{"status/400.002.02-TransactionID", 1, Answer{Outcome: Refused,
		Detail: because(400, "400.002.02", "Bad Request - Invalid TransactionID").about("TransactionID")}},
	{"status/400.003.01", 4, Answer{Outcome: NotSent, Detail: because(400, "400.003.01", "Invalid Access Token").keys("ConsumerKey")}},
	{"status/400.003.02", 1, Answer{Outcome: Refused, Detail: because(400, "400.003.02", "Bad Request")}},
	{"status/404.001.04", 1, Answer{Outcome: Refused, Detail: because(404, "404.001.04", "Invalid Authentication Header")}},
	{"status/404.003.01", 1, Answer{Outcome: Refused, Detail: because(404, "404.003.01", "Resource not found").setting("BaseURL")}},
	{"status/500.003.02", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.02", "Error Occurred: Spike Arrest Violation").throttled()}},
	{"status/500.003.03", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.03", "Error Occurred: Quota Violation").throttled()}},
	{"status/500.003.1001", 1, Answer{Outcome: Unknown, Detail: because(500, "500.003.1001", "Internal Server Error")}},
	{"status/503-html", 1, Answer{Outcome: Unknown, Detail: because(503, "", "HTTP 503 with an HTML page")}},
}

// TestOutcome serves each response and looks at what a caller learns from it.
func TestOutcome(t *testing.T) {
	for _, e := range expected {
		t.Run(e.file, func(t *testing.T) {
			s := newSafaricom(t)
			s.answer = always(fixture(t, e.file))
			c := newClient(s)
			var got Answer
			switch folder, _, _ := strings.Cut(e.file, "/"); folder {
			case "push":
				got = c.Push(context.Background(), pushRequest)
			case "pay":
				got = c.Pay(context.Background(), payRequest)
			case "status":
				got = c.TransactionStatus(context.Background(), statusRequest)
			}
			if got != e.want {
				t.Errorf("got  %+v\nwant %+v", got, e.want)
			}
			if s.posts() != e.posts {
				t.Errorf("sent %d times, want %d", s.posts(), e.posts)
			}
		})
	}
}

// answers is what each answer to a query means.
var answers = []struct {
	file     string
	answered bool
	posts    int
	want     Detail
}{
	{"query/200-0", true, 1, because(200, "0", "")},
	{"query/200-1032", true, 1, because(200, "0", "")},
	{"query/200-1037", true, 1, because(200, "0", "")},
	{"query/200-4999", true, 1, because(200, "0", "")},
	{"query/200-E3008", true, 1, because(200, "0", "")},
	{"query/200-number", true, 1, because(200, "0", "")},
	{"query/200-500.001.1001", false, 1, because(200, "500.001.1001", "HTTP 200 with JSON that accepts nothing")},
	{"query/200-both", false, 1, because(200, "500.001.1001", "neither an answer nor a refusal")},
	{"query/200-another", false, 1, because(200, "0", "the answer names another CheckoutRequestID")},
	{"query/200-no-result", false, 1, because(200, "0", "the answer has no ResultCode")},
	{"query/200-null-result", false, 1, because(200, "0", "the answer has no ResultCode")},
	{"query/200-list-result", false, 1, because(200, "0", "the answer has no ResultCode")},
	{"query/200-code-1", false, 1, because(200, "1", "The service request has been accepted successsfully")},
	{"query/201", false, 1, because(201, "0", "neither an answer nor a refusal")},
	{"query/200-html", false, 1, because(200, "", "HTTP 200 with an HTML page")},
	{"query/400.002.02", false, 1, because(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID").about("CheckoutRequestID")},
	{"query/404.001.03", false, 4, because(404, "404.001.03", "Invalid Access Token").keys("ConsumerKey")},
	{"query/429-fault-spike", false, 1, because(429, spikeCode, spike).throttled()},
	{"query/500-fault-spike", false, 1, because(500, spikeCode, spike).throttled()},
	{"query/500.003.02", false, 1, because(500, "500.003.02", "Error Occurred: Spike Arrest Violation").throttled()},
	{"query/500.001.1001-processing", false, 1, because(500, "500.001.1001", "The transaction is being processed")},
	{"query/500.001.1001-no-words", false, 1, because(500, "500.001.1001", "HTTP 500 with no reason in its JSON")},
	{"query/500.001.1001-not-exist", false, 1, because(500, "500.001.1001", "The transaction does not Exist")},
	{"query/500-empty", false, 1, because(500, "", "HTTP 500 with no body")},
	{"query/503-html", false, 1, because(503, "", "HTTP 503 with an HTML page")},
}

func TestQueryAnswer(t *testing.T) {
	for _, e := range answers {
		t.Run(e.file, func(t *testing.T) {
			s := newSafaricom(t)
			s.answer = always(fixture(t, e.file))
			got := newClient(s).Query(context.Background(), checkoutRequestID)
			if got.Detail != e.want {
				t.Errorf("got  %+v\nwant %+v", got.Detail, e.want)
			}
			if got.Answered != e.answered {
				t.Errorf("answered %v, want %v", got.Answered, e.answered)
			}
			if _, body := parts(t, e.file); got.Answered && string(got.Body) != string(body) || !got.Answered && got.Body != nil {
				t.Errorf("answered %v with the body %q", got.Answered, got.Body)
			}
			if s.posts() != e.posts {
				t.Errorf("sent %d times, want %d", s.posts(), e.posts)
			}
		})
	}
}

// tokenAnswers is what each answer to the request for a token means.
var tokenAnswers = []struct {
	file string
	want Answer
}{
	{"token/200-text", Answer{Outcome: Accepted}},
	{"token/200-number", Answer{Outcome: Accepted}},
	{"token/200-no-life", Answer{Outcome: Accepted}},
	{"token/200-no-token", Answer{Outcome: NotSent, Detail: because(200, "", "HTTP 200 with JSON that accepts nothing")}},
	{"token/200-html", Answer{Outcome: NotSent, Detail: because(200, "", "HTTP 200 with an HTML page").setting("BaseURL")}},
	{"token/200-plain", Answer{Outcome: NotSent, Detail: because(200, "", "HTTP 200 with a body that is not JSON").setting("BaseURL")}},
	{"token/400-empty", Answer{Outcome: NotSent, Detail: because(400, "", "HTTP 400 with no body").keys("ConsumerKey")}},
	{"token/400.008.01", Answer{Outcome: NotSent, Detail: because(400, "400.008.01", "Invalid Authentication passed").keys("ConsumerKey")}},
	{"token/400.008.02", Answer{Outcome: NotSent, Detail: because(400, "400.008.02", "Invalid grant type passed").keys("ConsumerKey")}},
	{"token/401-fault", Answer{Outcome: NotSent,
		Detail: because(401, "oauth.v2.InvalidClientIdentifier", "Invalid client identifier").keys("ConsumerKey")}},
	{"token/404-empty", Answer{Outcome: NotSent, Detail: because(404, "", "HTTP 404 with no body").setting("BaseURL")}},
	{"token/404-fault-proxy", Answer{Outcome: NotSent,
		Detail: because(404, unknownHost, "Unable to identify proxy for host: secure and url: …").setting("BaseURL")}},
	{"token/429-fault-spike", Answer{Outcome: NotSent, Detail: because(429, spikeCode, spike).throttled()}},
	{"token/500.003.1001", Answer{Outcome: NotSent, Detail: because(500, "500.003.1001", "Internal Server Error")}},
	{"token/503-incapsula", Answer{Outcome: NotSent, Detail: because(503, "", "HTTP 503 with "+incapsula)}},
	{"token/503-html", Answer{Outcome: NotSent, Detail: because(503, "", "HTTP 503 with an HTML page")}},
}

// TestTokenAnswer serves each response to the request for a token.
func TestTokenAnswer(t *testing.T) {
	for _, e := range tokenAnswers {
		t.Run(e.file, func(t *testing.T) {
			s := newSafaricom(t)
			s.token = always(fixture(t, e.file))
			s.answer = always(fixture(t, "push/200"))
			c := newClient(s)
			if got := c.Token(context.Background()); got != e.want {
				t.Errorf("Token: got  %+v\nwant %+v", got, e.want)
			}
			if len(s.asked) != 1 {
				t.Errorf("asked %d times, want once", len(s.asked))
			}

			got := c.Push(context.Background(), pushRequest)
			if want := e.want.Outcome; got.Outcome != want {
				t.Errorf("Push: %q, want %q", got.Outcome, want)
			}
			if sent := got.Outcome == Accepted; sent != (s.posts() == 1) {
				t.Errorf("Push: %q after %d requests", got.Outcome, s.posts())
			}
		})
	}
}

// TestNamedField: a refusal names a field, which is a setting or the caller's own.
func TestNamedField(t *testing.T) {
	for _, e := range []struct {
		field    string
		settings call // the calls in which it is one
	}{
		{"BusinessShortCode", all}, {"Password", all}, {"CallBackURL", all}, {"ResultURL", all}, {"QueueTimeOutURL", all},
		{"InitiatorName", all}, {"Initiator", all}, {"SecurityCredential", all},
		{"TransactionType", push}, {"PartyB", push}, {"PartyA", pay | status},
		{"Timestamp", 0}, {"PhoneNumber", 0}, {"Amount", 0}, {"AccountReference", 0}, {"TransactionDesc", 0}, {"Remarks", 0},
		{"Occassion", 0}, {"Occasion", 0}, {"CommandID", 0}, {"CheckoutRequestID", 0}, {"OriginatorConversationID", 0},
		{"OriginalConversationID", 0}, {"TransactionID", 0}, {"", 0},
	} {
		for _, to := range []call{push, query, pay, status} {
			words := "Bad Request - Invalid " + e.field
			got, _ := judge(to, response{status: 400, body: []byte(`{"errorCode":"400.002.02","errorMessage":"` + words + `"}`)}, nil)
			if got.Outcome != Refused || got.Field != e.field || got.Credentials != (e.settings&to != 0) {
				t.Errorf("%d, %s: %+v", to, words, got)
			}
		}
	}
}

// TestEveryResponse holds the tables and the list in testdata to the files there are.
func TestEveryResponse(t *testing.T) {
	list, err := os.ReadFile(filepath.Join("testdata", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, e := range expected {
		tested[e.file] = true
	}
	for _, e := range answers {
		tested[e.file] = true
	}
	for _, e := range tokenAnswers {
		tested[e.file] = true
	}
	for _, folder := range []string{"token", "push", "query", "pay", "status"} {
		for _, name := range names(t, folder) {
			if !strings.Contains(string(list), "| `"+name+".http` |") {
				t.Errorf("testdata/README.md does not say where %s comes from", name)
			}
			if !tested[name] {
				t.Errorf("no table has %s", name)
			}
		}
	}
}

// TestEveryRow fails for a row of the table that decides nothing in testdata.
func TestEveryRow(t *testing.T) {
	used := make([]bool, len(rows))
	for folder, to := range map[string]call{"token": token, "push": push, "query": query, "pay": pay, "status": status} {
		for _, name := range names(t, folder) {
			code, body := parts(t, name)
			r := read(body)
			if i := slices.IndexFunc(rows[:], func(w row) bool { return w.fits(to, code, &r) }); i >= 0 {
				used[i] = true
			}
		}
	}
	for i, w := range rows {
		if !used[i] {
			t.Errorf("no response decided by the row %+v", w)
		}
		if w.source == "" {
			t.Errorf("no source in the row %+v", w)
		}
	}
}
