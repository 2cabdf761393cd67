package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// A payout is one that zawadi asks for, who may.
type payout struct {
	id      string
	remarks string
	phone   string
	amount  int64
	kind    string // commandId
	untold  bool   // Safaricom says no more than that it does not know, on the queue timeout's URL
}

// payouts are asked for in this order.
var payouts = []payout{
	{id: "11111111-2222-4333-8444-555555555501", remarks: "SALARY-NOV", phone: "0700000036", amount: 12000, kind: "SalaryPayment"},
	{id: "11111111-2222-4333-8444-555555555502", remarks: "REFUND-17", phone: "0700000037", amount: 350, kind: "BusinessPayment", untold: true},
}

// payoutMerchant is who pays out, from an account of its own.
func payoutMerchant() fakesafaricom.Merchant {
	return fakesafaricom.Merchant{
		Name: "Duka la Amina", ConsumerKey: "payout-key-of-the-fake", ConsumerSecret: "payout-secret-of-the-fake", Shortcode: "600997",
		Products:  []fakesafaricom.Operation{fakesafaricom.B2C, fakesafaricom.Status},
		Initiator: "daraja-api", InitiatorPassword: "password-of-the-fake", Float: 1_000_000,
	}
}

// payoutSettings are the variables for payouts. Safaricom knows them from then on, and
// zawadi may ask.
func (m *machine) payoutSettings() (map[string]string, error) {
	merchant := payoutMerchant()
	key, certificate, err := fakesafaricom.NewKey()
	if err != nil {
		return nil, err
	}
	merchant.Key = key
	m.safaricom.AddMerchant(merchant)
	m.Appwrite.AddUser(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"payouts"}})
	m.Appwrite.AddSession(session("zawadi"), "zawadi")
	return map[string]string{
		"DARAJA_B2C_CONSUMER_KEY":    merchant.ConsumerKey,
		"DARAJA_B2C_CONSUMER_SECRET": merchant.ConsumerSecret,
		"DARAJA_B2C_SHORTCODE":       merchant.Shortcode,
		"DARAJA_INITIATOR":           merchant.Initiator,
		"DARAJA_INITIATOR_PASSWORD":  merchant.InitiatorPassword,
		handler.Certificate:          certificate,
		"DARAJA_PAYOUT_MAX":          "20000",
		"DARAJA_PAYOUT_DAILY":        "100000",
	}, nil
}

// showPayouts has zawadi ask for all payouts, and prints how the document of each goes
// from PENDING to its verdict.
func (s *stage) showPayouts() error {
	fmt.Fprint(s.out, "\n")
	fmt.Fprintf(s.out, row, "PAID OUT BY A USER", "HTTP", "OUTCOME", "STATUS", "RECEIPT", "AMOUNT", "READER")
	for _, p := range payouts {
		if p.untold {
			s.safaricom.Once(fakesafaricom.B2C, fakesafaricom.QueueTimeout(true))
		}
		s.log.take()
		body := fmt.Sprintf(`{"id":%s,"phone":%s,"amount":%d,"remarks":%s,"commandId":%s}`, quoted(p.id), quoted(p.phone), p.amount, quoted(p.remarks), quoted(p.kind))
		status, reply, err := call(s.Machine, "/b2c/pay", "zawadi", body)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			var failed struct{ Error struct{ Type string } }
			_ = json.Unmarshal([]byte(reply), &failed) // without a type, the status says it all
			fmt.Fprintf(s.out, refused, p.remarks, status, failed.Error.Type)
			continue
		}
		s.print(p.remarks, status, outcome(s.log.take()), s.disbursement(p.id))
		s.safaricom.Advance(outcomeKnown + 10*time.Second)
		if !p.untold {
			s.print("  Safaricom's result", "", outcome(s.log.take()), s.disbursement(p.id))
			continue
		}
		s.print("  it timed out", "", outcome(s.log.take()), s.disbursement(p.id))
		fmt.Fprint(s.out, "  (nobody knows; two minutes later the sweep asks, and Safaricom answers)\n")
		s.Clock.MoveTo(s.Clock.Now().Add(2 * time.Minute))
		s.sweep()
		s.log.take()
		s.safaricom.Advance(10 * time.Second)
		s.print("  Safaricom's answer", "", outcome(s.log.take()), s.disbursement(p.id))
	}
	return nil
}

func (s *stage) disbursement(id string) fakeappwrite.Document {
	d, _ := s.Appwrite.Document("daraja", "disbursements", id)
	return d
}
