package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// An event is one thing that Safaricom can say about a transaction.
type event struct {
	path        string
	code        int
	description string
}

// events has those that -trigger posts, by their names on the command line.
var events = map[string]event{
	"paid":        {"/callback", 0, "The service request is processed successfully."},
	"cancelled":   {"/callback", 1032, "Request Cancelled by user."},
	"failed":      {"/callback", 1, "The balance is insufficient for the transaction."},
	"timeout":     {"/callback", 1037, "No response from user."},
	"b2c-paid":    {"/b2c/result", 0, "The service request is processed successfully."},
	"b2c-failed":  {"/b2c/result", 2001, "The initiator information is invalid."},
	"b2c-timeout": {"/b2c/timeout", 1, "The service request has timed out."},
}

// post posts one callback to a function that runs on this machine, and prints both
// it and the reply.
func (o options) post(out io.Writer) error {
	e := events[o.trigger]
	body, err := e.body(o.id, o.amount, time.Now())
	if err != nil {
		return err
	}
	function, target := fmt.Sprintf("http://127.0.0.1:%d", o.port), callbackPath(e.path, o.uid)
	status, reply, err := send(function, http.MethodPost, target, body)
	if err != nil {
		return fmt.Errorf("%w\nIs go run ./scripts/local running in another terminal, on this port?", err)
	}
	fmt.Fprintf(out, "POST %s%s\n%s\n%d %s\n", function, target, body, status, reply)
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return errors.New("answered 404: DARAJA_CALLBACK_SECRET must be the same as in the other terminal")
	default:
		return fmt.Errorf("answered %d", status)
	}
}

// body returns the request body that Safaricom would post at that time, in the form
// that was last observed. The phone number in it is nobody's: no subscriber's begins
// with 000.
func (e event) body(id string, amount int64, now time.Time) (string, error) {
	now = now.In(time.FixedZone("EAT", 3*60*60))
	build := e.disbursement
	if e.path == "/callback" {
		build = e.payment
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(build(id, amount, now, rand.IntN(1e6))), "", "  "); err != nil {
		return "", err
	}
	return b.String(), nil
}

// payment returns the body of an STK Push callback.
func (e event) payment(id string, amount int64, now time.Time, number int) string {
	if id == "" {
		id = fmt.Sprintf("ws_CO_%s%03d000%06d", now.Format("02012006150405"), now.Nanosecond()/1e6, number)
	}
	metadata := ""
	if e.code == 0 {
		metadata = fmt.Sprintf(`,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":%d},{"Name":"MpesaReceiptNumber","Value":"%s"},`+
			`{"Name":"TransactionDate","Value":%s},{"Name":"PhoneNumber","Value":254000%06d}]}`,
			amount, newReceipt(), now.Format("20060102150405"), number)
	}
	return fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":"%s","CheckoutRequestID":%s,"ResultCode":%d,"ResultDesc":"%s"%s}}}`,
		newRequestID(), quoted(id), e.code, e.description, metadata)
}

// disbursement returns the body of a B2C result or of a queue timeout.
func (e event) disbursement(id string, amount int64, now time.Time, number int) string {
	if id == "" {
		id = newRequestID()
	}
	receipt, rest := newReceipt(), ""
	if e.path == "/b2c/result" {
		rest = fmt.Sprintf(`,"TransactionID":"%s"`, receipt)
	}
	if e.code == 0 {
		rest += fmt.Sprintf(`,"ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":%d},`+
			`{"Key":"TransactionReceipt","Value":"%s"},{"Key":"ReceiverPartyPublicName","Value":"254000%06d - AMINA OTIENO"},`+
			`{"Key":"TransactionCompletedDateTime","Value":"%s"}]}`, amount, receipt, number, now.Format("02.01.2006 15:04:05"))
	}
	return fmt.Sprintf(`{"Result":{"ResultType":0,"ResultCode":%d,"ResultDesc":"%s","OriginatorConversationID":%s,"ConversationID":"AG_%s_%020x"%s}}`,
		e.code, e.description, quoted(id), now.Format("20060102"), rand.Int64(), rest)
}

// newReceipt returns one that M-Pesa could give: ten capitals and digits.
func newReceipt() string { return fmt.Sprintf("TRY%07X", rand.IntN(1<<28)) }

// newRequestID returns an id in the form of Safaricom's own for a request.
func newRequestID() string {
	return fmt.Sprintf("%04x-%04x-%04x-%018x", rand.IntN(1<<16), rand.IntN(1<<16), rand.IntN(1<<16), rand.Int64())
}

// quoted writes s as JSON does.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // not for a string
	}
	return string(b)
}

// callbackPath returns a route with the callback secret before it and the user after
// it. Of several secrets it takes the first; any would do.
func callbackPath(route, uid string) string {
	secret, _, _ := strings.Cut(cmp.Or(os.Getenv("DARAJA_CALLBACK_SECRET"), localSecret), ",")
	return "/" + strings.TrimSpace(secret) + route + "?uid=" + url.QueryEscape(uid)
}

// send makes a request to the function.
func send(function, method, target, body string) (status int, reply string, err error) {
	req, err := http.NewRequest(method, function+target, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
