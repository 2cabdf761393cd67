package fakesafaricom

import (
	"net"
	"net/http"
	"slices"
	"time"
)

// A Fault spoils a call, or the callback of one that was accepted.
type Fault struct {
	reply func(http.ResponseWriter, *http.Request) // instead of the answer
	after bool                                     // the call is carried out first
	delay time.Duration                            // before the answer, or the callback
	post  posting
	moved bool // of postTimeout
}

// posting is what becomes of a callback.
type posting int

const (
	postOnce posting = iota
	postNever
	postLate
	postTwice
	postBeforeAck
	postOutOfOrder
	postTimeout
)

type injected struct {
	Fault
	operation Operation
	times     int // left; negative means for ever
}

// Once spoils the next call of an operation. Of several faults that fit a call, the
// one that was injected first spoils it; one of the answer and one of the callback
// can meet in one call. A fault of the callback waits for a call that is accepted.
func (s *Safaricom) Once(op Operation, f Fault) { s.Times(1, op, f) }

// Times spoils the next n calls of an operation.
func (s *Safaricom) Times(n int, op Operation, f Fault) {
	if n < 1 {
		panic("fakesafaricom: Times: a fault that spoils nothing")
	}
	s.inject(injected{f, op, n})
}

// Always spoils every call of an operation until [Safaricom.Heal].
func (s *Safaricom) Always(op Operation, f Fault) { s.inject(injected{f, op, -1}) }

// inject refuses a fault that the operation does not know: only payouts and status
// queries have a queue, and neither a token nor a query has a callback.
func (s *Safaricom) inject(f injected) {
	without := f.operation == OAuth || f.operation == Query || f.operation == Any
	if f.post != postOnce && without || f.post == postTimeout && f.operation == Push {
		panic("fakesafaricom: a fault that the operation does not know: " + string(f.operation))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults. What they have already lost or delayed stays so.
func (s *Safaricom) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault returns the fault that spoils the next call, or its callback. It needs
// the lock.
func (s *Safaricom) takeFault(op Operation, ofCallback bool) Fault {
	i := slices.IndexFunc(s.faults, func(f *injected) bool {
		return (f.operation == op || f.operation == Any) && (f.post != postOnce) == ofCallback
	})
	if i < 0 {
		return Fault{}
	}
	f := s.faults[i]
	f.times--
	if f.times == 0 {
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	return f.Fault
}

// CarriedOut is the same fault after the call was carried out: only the caller
// does not learn of it.
func (f Fault) CarriedOut() Fault {
	if f.reply == nil {
		panic("fakesafaricom: CarriedOut: the fault leaves the answer as it is")
	}
	f.after = true
	return f
}

// Reply answers in Safaricom's place.
func Reply(status int, contentType, body string) Fault {
	return instead(reply{status: status, contentType: contentType, body: body})
}

func instead(a reply) Fault {
	return Fault{reply: func(w http.ResponseWriter, r *http.Request) { a.write(w) }}
}

// Torn resets the connection before anything has happened.
func Torn() Fault { return Fault{reply: hangUp} }

// LostAck resets the connection when everything has happened.
func LostAck() Fault { return Torn().CarriedOut() }

// Slow carries the call out at once and answers when d has passed. If the caller
// leaves in the meantime, nothing is answered.
func Slow(d time.Duration) Fault { return Fault{delay: d} }

// Empty answers without a body.
func Empty(status int) Fault { return instead(empty(status)) }

// HTML answers with a page.
func HTML(status int) Fault { return instead(page(status)) }

// Incapsula answers with the page of the firewall in front of Safaricom, 503
// (observed for a token).
func Incapsula() Fault {
	return Reply(http.StatusServiceUnavailable, "text/html", `<html><head><META NAME="robots" CONTENT="noindex,nofollow"></head>`+
		"<body>Request unsuccessful. Incapsula incident ID: 1234000120345678901-12345678901234567</body></html>\n")
}

// InvalidToken refuses the token, which stays valid: with 404 as pushes do, with
// 400 as the Result APIs do, with 401 as the gateway does.
func InvalidToken(status int) Fault {
	switch status {
	case http.StatusNotFound:
		return Error(status, "404.001.03", "Invalid Access Token")
	case http.StatusBadRequest:
		return Error(status, "400.003.01", "Invalid Access Token")
	case http.StatusUnauthorized:
		return instead(tokenFault())
	}
	panic("fakesafaricom: InvalidToken: no such face")
}

// NoProduct says that the app lacks the API's product, which no token cures.
func NoProduct() Fault { return instead(noProduct()) }

// SpikeArrest is the gateway's 429.
func SpikeArrest() Fault { return instead(spikeArrest()) }

// Error answers with a code and a text of Safaricom's, such as 500 500.003.02
// "System is busy. Please try again in few minutes.", 500.003.03 "Quota Violation"
// or 500.003.1001 "Internal Server Error" (documented).
func Error(status int, code, text string) Fault {
	return instead(errorReply(status, "16813-1590513-1", code, text))
}

// Error1001 is 500.001.1001 in one of its meanings: [MerchantMissing],
// [WrongCredentials], [SubscriberLocked], [BeingProcessed], [DoesNotExist], or
// none. Which of them were carried out is for the caller to find out.
func Error1001(text string) Fault { return Error(http.StatusInternalServerError, "500.001.1001", text) }

// Empty1001 is 500.001.1001 with HTTP 200 and no message (observed on queries).
func Empty1001() Fault { return instead(empty1001()) }

// Envelope is the third shape of an error.
func Envelope() Fault { return instead(envelopeFault()) }

// CallbackLost never posts the callback, as happens often in the sandbox
// (observed).
func CallbackLost() Fault { return Fault{post: postNever} }

// CallbackLate posts the callback d later.
func CallbackLate(d time.Duration) Fault { return Fault{post: postLate, delay: d} }

// CallbackTwice posts the callback twice, byte for byte, as happens to 4 in 1,000
// (observed).
func CallbackTwice() Fault { return Fault{post: postTwice} }

// CallbackBeforeAck holds the acknowledgement back until the callback was posted,
// which happens at once unless the phone [Asks] (observed: the callback may come
// before its receiver has stored the id).
func CallbackBeforeAck() Fault { return Fault{post: postBeforeAck} }

// CallbackOutOfOrder posts the callback after the next of another transaction, or
// a minute late if there is none (observed).
func CallbackOutOfOrder() Fault { return Fault{post: postOutOfOrder} }

// QueueTimeout posts to QueueTimeOutURL and nothing to ResultURL. Whether a
// payout's money has moved the caller cannot know; here moved decides.
func QueueTimeout(moved bool) Fault { return Fault{post: postTimeout, moved: moved} }

func page(status int) reply {
	return reply{status: status, contentType: "text/html; charset=utf-8", body: "<!DOCTYPE html>\n<html><head><title>Daraja</title></head>" +
		"<body><app-root></app-root></body></html>\n"}
}

// hangUp resets the connection, or only closes it where it cannot be reached.
func hangUp(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // makes Close send a reset
	}
	conn.Close()
}
