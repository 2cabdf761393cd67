package parse

import (
	"fmt"
	"strings"
	"time"
)

// B2CStatus parses what Transaction Status answers about a payout. The outer ids of
// such a result are the question's own, and its ResultCode says whether the question
// could be answered: those of the payout are among its parameters, and so is what
// became of it. Every value there is text, a name may occur twice, and some have no
// value at all (portal TransactionStatus, and what was observed of it).
//
// Only a final word makes a verdict. Its ID and Conversation are empty where the answer
// has none. Everything else, whatever it is, is ErrNotFinal, and so is the question's
// own queue timeout, whose body nobody knows: neither says anything about the payout.
func B2CStatus(body []byte) (Verdict, error) {
	var b struct{ Result result }
	if err := decode(body, &b); err != nil {
		return Verdict{}, fmt.Errorf("%w: %w: %w", err, ErrNoAnswer, ErrNotFinal)
	}
	r := b.Result
	if r.ResultCode.blank() || r.waits() {
		return Verdict{}, fmt.Errorf("no ResultCode, or to be continued: %w: %w", ErrNoAnswer, ErrNotFinal)
	}
	n, word := resultCode(r.ResultCode)
	if InitiatorRefused(n) {
		return Verdict{}, fmt.Errorf("ResultCode %d: %w: %w", n, ErrInitiator, ErrNotFinal)
	}
	if n != 0 {
		return Verdict{}, fmt.Errorf("ResultCode %s: %w", spoken(n, word), ErrNotFinal)
	}
	ps := r.ResultParameters.ResultParameter
	v := Verdict{Kind: Disbursement}
	status, found := find(ps, "TransactionStatus", text)
	if !found {
		return Verdict{}, fmt.Errorf("no TransactionStatus: %w: %w", ErrNoAnswer, ErrNotFinal)
	}
	v.Status = statusOfWord(status)
	switch v.Status {
	case Success:
	case Failed:
		v.Code, v.Reason = NoCode, status
	default:
		return Verdict{}, fmt.Errorf("TransactionStatus %s: %w", spoken(NoCode, status), ErrNotFinal)
	}
	v.ID, _ = find(ps, "OriginatorConversationID", text)
	v.Conversation, _ = find(ps, "ConversationID", text)
	v.readAmount(ps, "Amount")
	v.readTime(ps, "FinalisedTime", readTimeIn("20060102150405"))
	if v.Status == Failed {
		v.At = time.Time{} // when it ended: no money moved. Amount is what was asked for
		return v, nil
	}
	if v.Receipt, _ = find(ps, "ReceiptNo", readReceipt); v.Receipt == "" || isPlaceholder(v.Receipt) || v.Amount == 0 {
		return Verdict{}, fmt.Errorf("TransactionStatus Completed without receipt or amount: %w", ErrNotFinal)
	}
	if v.Receiver, _ = find(ps, "CreditPartyName", payee); v.Receiver == "" {
		v.Receiver, _ = find(ps, "DebitPartyName", payee)
	}
	return v, nil
}

// statusOfWord says what a TransactionStatus means for the money. Four are final
// (portal TransactionStatus); Initiated, Authorized, Pending Authorized and every word
// that is not known are not.
func statusOfWord(word string) Status {
	switch word {
	case "Completed":
		return Success
	case "Cancelled", "Declined", "Expired":
		return Failed
	default:
		return ""
	}
}

// text reads a text that is not blank, without the space around it.
func text(s scalar) (string, bool) { return strings.TrimSpace(s.text), !s.blank() }

// payee reads a party that is a person: a phone number, in whole or masked, and a name.
// A business is named by its shortcode, which is shorter. In the answer about a payout
// both may be called DebitPartyName.
func payee(s scalar) (string, bool) {
	number, _, found := strings.Cut(strings.TrimSpace(s.text), " - ")
	return strings.TrimSpace(s.text), found && len(number) >= len("700000000") && strings.Trim(number, "+0123456789* ") == ""
}

// spoken returns a code or a word for a log: what could be somebody's data is left out.
func spoken(n int, word string) string {
	switch {
	case n != NoCode:
		return fmt.Sprint(n)
	case len(word) > 30 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-") != "" || digitsIn(word) >= 7:
		return "?"
	}
	return word
}

// digitsIn counts the digits of s: a phone number has seven at least.
func digitsIn(s string) (n int) {
	for _, c := range s {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	return n
}

// InitiatorRefused reports whether the code of a payout, or of a question about one, says
// that Safaricom refuses the initiator that the business has set up, and not the payee:
// its name or password, its role, or that it is locked. A wrong password is accepted
// first, and so refused.
func InitiatorRefused(code int) bool {
	return code == 2001 || code == 21 || code == 8006
}
