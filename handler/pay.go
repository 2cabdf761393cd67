package handler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// payRequest is what an app posts to start a payout. Here money leaves the business.
type payRequest struct {
	asked
	remarks   string
	occasion  string // may be empty
	commandID string
}

// pay starts a payout.
func (f *Function) pay(r *request) openruntimes.Response {
	return f.begin(r, parse.Disbursement, readPay)
}

// readPay reads and checks a request, and fills in defaults.
func readPay(body []byte) (startRequest, *problem) {
	w := &payRequest{}
	fields, failed := readFields(body)
	if failed != nil {
		return nil, failed
	}
	fields.check("id", &w.id, func() bool { return isUUID4(w.id) }, "must be a UUID of version 4, in small letters")
	fields.checkPhone(&w.phone)
	fields.check("amount", &w.amount, func() bool { return w.amount >= 10 && w.amount <= 250_000 }, "must be whole shillings, 10 to 250000")
	fields.check("remarks", &w.remarks, func() bool { return isPlainText(w.remarks, 2, 100) }, "must be 2 to 100 letters, digits, spaces and hyphens")
	fields.check("occasion", &w.occasion, func() bool { return w.occasion == "" || isPlainText(w.occasion, 1, 100) }, "must be 1 to 100 letters, digits, spaces and hyphens")
	fields.check("commandId", &w.commandID, func() bool {
		w.commandID = cmp.Or(w.commandID, "BusinessPayment")
		return slices.Contains([]string{"BusinessPayment", "SalaryPayment", "PromotionPayment"}, w.commandID)
	}, "must be BusinessPayment, SalaryPayment or PromotionPayment")
	fields.check("again", &w.again, func() bool { return true }, "must be true or false")
	return w, fields.problem()
}

// isUUID4 reports whether s is a UUID of version 4. Safaricom knows a payout by it, and
// tells a repeat by it.
func isUUID4(s string) bool {
	return len(s) == 36 && isRequestID(s) && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
		strings.Count(s, "-") == 4 && s[14] == '4' && strings.Contains("89ab", s[19:20])
}

func (w *payRequest) reference() string { return "" }

// allows wants the label, which only the business can give, and an address or number
// that is proven, whatever is true of payments.
func (w *payRequest) allows(c *config, account *appwrite.Account) *problem {
	if !slices.Contains(account.Labels, c.payoutUsers()) {
		return &problem{Type: forbidden, Message: "this user may not pay out"}
	}
	if !account.EmailVerification && !account.PhoneVerification {
		return verifyFirst()
	}
	return nil
}

func (w *payRequest) fields() []string {
	return []string{w.phone, strconv.FormatInt(w.amount, 10), w.remarks, w.occasion, w.commandID}
}

func (w *payRequest) send(ctx context.Context, p *starting) daraja.Answer {
	c := &p.function.config
	return p.function.payouts.Pay(ctx, daraja.PayRequest{
		ID: w.id, CommandID: w.commandID, Phone: w.phone, Amount: w.amount, Remarks: w.remarks, Occasion: w.occasion,
		ResultURL: c.callbackURL(forResult, w.id), TimeoutURL: c.callbackURL(forTimeout, w.id),
	})
}

const (
	ceilingWindow = 24 * time.Hour
	onItsWay      = 90 * time.Second // until the first question about it
	untilLookedAt = 24 * time.Hour   // what an app is told to wait for a payout that only a person can clear up
)

// limits lets nothing be sent in the name of an initiator whom Safaricom refuses. It holds
// a payout to the ceilings of the business, over all users, and to what is known of its
// like: while nobody knows what became of one, it is not made again. They are looked at
// after the claim was made, and with it, so that of two that meet at the edge both may be
// refused, and never both be paid.
func (w *payRequest) limits(ctx context.Context, p *starting) *problem {
	c := &p.function.config
	if p.function.initiator.isRefused(p.function.clock.now()) {
		return &problem{Type: badCredentials, Message: settingsRefused,
			log: "Safaricom has refused DARAJA_INITIATOR within the last hour, and several wrong tries in a row lock them: nothing was sent"}
	}
	if most := shillings(c.payoutMax); w.amount > most {
		return &problem{Type: forbidden, Message: "the amount is over what this function may pay out at once",
			log: fmt.Sprintf("DARAJA_PAYOUT_MAX is %d, and asked for were %d", most, w.amount)}
	}
	day, err := p.list(ctx, ceilingWindow)
	if err != nil {
		return storeProblem("the ceilings could not be looked at, and nothing was sent", err)
	}
	total := int64(0)
	for _, d := range day {
		if d.Status != parse.Failed || !strings.HasPrefix(d.Reason, settle.NotSent) {
			total += d.RequestedAmount
		}
	}
	if most := shillings(c.payoutDaily); total > most {
		return &problem{Type: forbidden, Message: "this would be over what this function may pay out within 24 hours",
			log: fmt.Sprintf("DARAJA_PAYOUT_DAILY is %d, and with this one asked for were %d", most, total)}
	}
	return p.lookTwice(func() ([]settle.Document, *problem) {
		toPhone, err := p.list(ctx, allTime, appwrite.Equal("phoneKey", p.phoneKeys...))
		if err != nil {
			return nil, storeProblem("other payouts could not be looked at, and nothing was sent", err)
		}
		return toPhone, nil
	}, w.inTheWay)
}

// inTheWay returns for how long another payout keeps this one from being made, 0 if it
// does not: it asks for the same, and nobody knows what became of it. That it was given
// up does not matter, and neither does how old it is. One that is on its way at this very
// moment is not what a person means who says again, but their second press of a button.
func (w *payRequest) inTheWay(p *starting, d settle.Document) time.Duration {
	if !d.Unresolved() || !slices.Contains(p.requestKeys, d.RequestKey) {
		return 0
	}
	if w.again {
		if d.Status == settle.Pending {
			return max(0, onItsWay-p.age(d))
		}
		return 0
	}
	if next := d.NextCheckAt.Sub(p.function.clock.now()); next > 0 {
		return next // then more may be known
	}
	return untilLookedAt
}
