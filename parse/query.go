package parse

import "fmt"

// stillProcessing is the result code of a payment that is under way. In a callback,
// which comes at the end, it would be an outcome that nobody knows.
const stillProcessing = 4999

// Query parses Safaricom's answer to an STK query: the whole body of an HTTP 200 with
// ResponseCode "0". It has neither receipt nor amount. The error wraps [ErrNotFinal]
// while the payment is under way: the same body comes with 4999 up to the payer's PIN.
func Query(body []byte) (Verdict, error) {
	var b struct{ CheckoutRequestID, ResultCode, ResultDesc scalar }
	if err := decode(body, &b); err != nil {
		return Verdict{}, err
	}
	switch {
	case b.CheckoutRequestID.blank():
		return Verdict{}, fmt.Errorf("CheckoutRequestID: %w", ErrMissing)
	case b.ResultCode.blank():
		return Verdict{}, fmt.Errorf("ResultCode: %w", ErrMissing)
	}
	v := Verdict{Kind: Payment, ID: b.CheckoutRequestID.text}
	v.judge(b.ResultCode, b.ResultDesc)
	if v.Code == stillProcessing {
		return Verdict{}, fmt.Errorf("the payment is under way: %w", ErrNotFinal)
	}
	return v, nil
}
