package parse

import (
	"fmt"
	"strings"
)

// result is the envelope that B2C results share, whether paid or failed.
type result struct {
	ResultType               scalar
	ResultCode               scalar
	ResultDesc               scalar
	OriginatorConversationID scalar
	ConversationID           scalar
	TransactionID            scalar
	ResultParameters         struct{ ResultParameter parameters }
}

// waits reports whether ResultType is 1, Daraja's "waiting for further messages".
func (r result) waits() bool {
	n, cut, ok := r.ResultType.whole()
	return ok && !cut && n == 1
}

// verdict begins a verdict with what every B2C message has.
func (r result) verdict() Verdict {
	v := Verdict{
		Kind:         Disbursement,
		ID:           r.OriginatorConversationID.text,
		Conversation: r.ConversationID.text,
	}
	v.judge(r.ResultCode, r.ResultDesc)
	return v
}

// B2C parses the body of a B2C result. The error wraps [ErrNotFinal] where
// ResultType is 1, Daraja's "waiting for further messages".
func B2C(body []byte) (Verdict, error) {
	var b struct{ Result result }
	if err := decode(body, &b); err != nil {
		return Verdict{}, err
	}
	r := b.Result
	if r.OriginatorConversationID.blank() {
		return Verdict{}, fmt.Errorf("Result.OriginatorConversationID: %w", ErrMissing)
	}
	if r.waits() {
		return Verdict{}, fmt.Errorf("Result.ResultType 1: %w", ErrNotFinal)
	}

	v := r.verdict()
	ps := r.ResultParameters.ResultParameter
	v.readAmount(ps, "TransactionAmount")
	v.readTime(ps, "TransactionCompletedDateTime", readTimeIn("02.01.2006 15:04:05"))
	v.Receiver, _ = find(ps, "ReceiverPartyPublicName", func(s scalar) (string, bool) { return s.text, !s.blank() })
	if v.Status == Success {
		v.Receipt = r.receipt(&v)
	}
	return v, nil
}

// receipt returns the receipt of a disbursement that was made. TransactionID
// stands in for a missing TransactionReceipt: the two are equal on every result
// observed. Of a failure it must not be read, where it looks like a receipt.
func (r result) receipt(v *Verdict) string {
	ps := r.ResultParameters.ResultParameter
	if receipt, ok := find(ps, "TransactionReceipt", readReceipt); ok {
		return receipt
	}
	if ps.has("TransactionReceipt") {
		v.warn("TransactionReceipt: not a receipt")
	}
	id := r.TransactionID
	if isPlaceholder(id.text) {
		return ""
	}
	receipt, ok := readReceipt(id)
	if !ok {
		v.warn("TransactionID: not a receipt")
	}
	return receipt
}

// isPlaceholder reports whether a TransactionID names no transaction: Safaricom
// sends a date code with seven zeros, or zeros alone, and repeats them.
func isPlaceholder(id string) bool {
	return strings.HasSuffix(id, "0000000") || strings.Trim(id, "0") == ""
}

// B2CTimeout parses what is posted to a B2C QueueTimeOutURL. It always means
// TIMEOUT, whatever code it carries: the request may still be carried out. No
// such body was ever captured; the ids are taken from a Result envelope or,
// failing that, from the top level.
func B2CTimeout(body []byte) (Verdict, error) {
	var b struct {
		Result result
		result
	}
	if err := decode(body, &b); err != nil {
		return Verdict{}, err
	}
	r := b.Result
	if r.OriginatorConversationID.blank() {
		r = b.result
	}
	if r.OriginatorConversationID.blank() {
		return Verdict{}, fmt.Errorf("OriginatorConversationID, in Result or at the top level: %w", ErrMissing)
	}
	v := r.verdict()
	v.Status = Timeout
	if v.Reason == "" {
		v.Reason = r.ResultDesc.text
	}
	return v, nil
}
