package parse

import "fmt"

// stkBody is the body of an STK Push callback. PhoneNumber is not read: the
// payer's number has no business in a document.
type stkBody struct {
	Body struct {
		Callback struct {
			CheckoutRequestID scalar
			ResultCode        scalar
			ResultDesc        scalar
			CallbackMetadata  struct{ Item parameters }
		} `json:"stkCallback"`
	}
}

// STK parses the body of an STK Push callback.
func STK(body []byte) (Verdict, error) {
	var b stkBody
	if err := decode(body, &b); err != nil {
		return Verdict{}, err
	}
	c := b.Body.Callback
	if c.CheckoutRequestID.blank() {
		return Verdict{}, fmt.Errorf("Body.stkCallback.CheckoutRequestID: %w", ErrMissing)
	}

	v := Verdict{Kind: Payment, ID: c.CheckoutRequestID.text}
	v.judge(c.ResultCode, c.ResultDesc)
	items := c.CallbackMetadata.Item
	v.readAmount(items, "Amount")
	v.readTime(items, "TransactionDate", readTimeIn("20060102150405"))
	if v.Status == Success {
		receipt, ok := find(items, "MpesaReceiptNumber", readReceipt)
		if !ok && items.has("MpesaReceiptNumber") {
			v.warn("MpesaReceiptNumber: not a receipt")
		}
		v.Receipt = receipt
	}
	return v, nil
}
