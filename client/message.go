package client

import (
	"errors"

	"openruntimes/handler/parse"
)

// Language is one of those in which people are told how their payment stands.
type Language string

const (
	English Language = "en"
	Swahili Language = "sw"
)

// Message tells the person how the payment stands, as short as a bank's SMS. It names no
// amount and no receipt.
func (s State) Message(in Language) string {
	english, swahili := s.words()
	if in == Swahili {
		return swahili
	}
	return english
}

func (s State) words() (english, swahili string) {
	switch s.Name {
	case Idle:
		return "No payment is known yet.", "Bado hakuna malipo yanayojulikana."
	case Initiating:
		return "One moment, please.", "Tafadhali subiri kidogo."
	case Error:
		return s.refused()
	}
	if s.Kind == parse.Payment && s.Name == Success && s.Receipt == "" {
		return parse.ReceiptFollows, parse.ReceiptFollowsSW
	}
	c := s.code()
	return c.English, c.Swahili
}

// refused says why nothing was sent.
func (s State) refused() (english, swahili string) {
	english, swahili = "The payment was not started. ", "Malipo hayakuanzishwa. "
	if s.Kind == parse.Disbursement {
		english, swahili = "The payout was not started. ", "Pesa hazikutumwa. "
	}
	var refusal *Refusal
	if !errors.As(s.Err, &refusal) {
		return english + "Please try again.", swahili + "Tafadhali jaribu tena."
	}
	switch refusal.Type {
	case InvalidArgument:
		return english + "Please check number and amount.", swahili + "Tafadhali hakiki nambari na kiasi."
	case Unauthenticated:
		return english + "Please sign in.", swahili + "Tafadhali ingia kwenye akaunti yako."
	case Forbidden:
		return english + "Your account may not do this.", swahili + "Akaunti yako haina ruhusa."
	case Busy:
		return english + "Another request is open. Please try again later.", swahili + "Kuna ombi lingine linaloendelea. Tafadhali jaribu tena baadaye."
	case Rejected:
		return english + "M-PESA refused the request.", swahili + "M-PESA imekataa ombi."
	}
	return english + "Please try again later.", swahili + "Tafadhali jaribu tena baadaye."
}
