package daraja_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"openruntimes/handler/daraja"
)

// A push, and what to make of each of its four outcomes.
func ExampleClient_Push() {
	safaricom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"access_token":"Qm7eZtR4vXw2LkPa9sYcHd5GfJ3u","expires_in":"3599"}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"requestId":"1","errorCode":"400.002.02","errorMessage":"Bad Request - Invalid PhoneNumber"}`)
	}))
	defer safaricom.Close()

	client := daraja.New(safaricom.URL, daraja.Credentials{
		ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "174379", Passkey: "passkey",
	}, safaricom.Client(), time.Now)

	phone, err := daraja.ParseMSISDN("0712 345 678")
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := client.Push(context.Background(), daraja.PushRequest{
		Phone: phone, Amount: 10, Reference: "INV 19", Description: "Fees", CallbackURL: "https://shop.example/callback?id=19",
	})
	switch answer.Outcome {
	case daraja.Accepted:
		fmt.Println("wait for the callback of", answer.CheckoutRequestID)
	case daraja.Refused, daraja.NotSent:
		fmt.Println("no money moves:", answer.Reason)
	case daraja.Unknown:
		fmt.Println("money may move:", answer.Reason)
	}
	// Output:
	// no money moves: Bad Request - Invalid PhoneNumber
}
