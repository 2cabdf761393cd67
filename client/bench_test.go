package client

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/parse"
)

// BenchmarkLatency is the time from the document's write to the state at its reader, over
// loopback: realtime=true one payment after the other, and realtime=false payments side
// by side, each paid as long after the push as people take. The published client promises
// less than a second with Realtime.
func BenchmarkLatency(b *testing.B) {
	b.Run("realtime=true", func(b *testing.B) {
		s := newShop(b)
		c := s.client("amina")
		c.clock = realClock()
		defer c.realtime.leave(c.realtime.join("payments", "other")) // one connection for all
		var took []time.Duration
		for i := range b.N {
			id := fmt.Sprintf("%020x", i+1)
			s.start(id)
			paid, wrote := false, time.Time{}
			for state := range c.Resume(context.Background(), parse.Payment, id) {
				if state.Live && state.Name == Pending && !paid {
					paid, wrote = true, time.Now()
					s.write(http.MethodPatch, id, paidData())
				}
				if state.Name == Success {
					took = append(took, time.Since(wrote))
				}
			}
		}
		report(b, took)
	})
	b.Run("realtime=false", func(b *testing.B) {
		s := newShop(b)
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "realtime", Reply: fakeappwrite.HTML(502)})
		c := s.client("amina")
		c.clock = realClock()
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		var took []time.Duration
		var wait sync.WaitGroup
		for i := range 300 { // whatever b.N is: they take as long as people do
			id := fmt.Sprintf("%020x", i+1)
			s.start(id)
			// Observed in a merchant's log: 16 s from push to payment in the median, 49 s
			// in 99 of 100.
			after := time.Duration(16e9 * math.Exp(random.NormFloat64()*0.481))
			wrote := make(chan time.Time, 1)
			time.AfterFunc(after, func() {
				wrote <- time.Now()
				s.write(http.MethodPatch, id, paidData())
			})
			wait.Add(1)
			go func() {
				defer wait.Done()
				for state := range c.Resume(context.Background(), parse.Payment, id) {
					if state.Name == Success {
						mu.Lock()
						took = append(took, time.Since(<-wrote))
						mu.Unlock()
					}
				}
			}()
		}
		wait.Wait()
		report(b, took)
	})
}

func report(b *testing.B, took []time.Duration) {
	b.ReportMetric(0, "ns/op")
	if len(took) == 0 {
		b.Fatal("nothing was measured")
	}
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(.5), "ms-p50")
	b.ReportMetric(at(.99), "ms-p99")
	b.ReportMetric(at(1), "ms-max")
}
