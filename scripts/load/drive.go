package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// figures are the results of posting.
type figures struct {
	sent      int
	replies   map[string]int  // how many had this status, or this error
	accepted  []bool          // for each callback, whether it was answered 200
	latencies []time.Duration // sorted once drive returns
	took      time.Duration
}

// drive posts the callbacks in order, atATime of them at once, and rate a second
// unless that is 0. At a rate, a latency counts from the moment when the callback was
// due, so that one that had to wait for a slow server counts as late. It ends early
// if ctx does.
func drive(ctx context.Context, progress io.Writer, function string, callbacks []callback, rate float64, atATime int) *figures {
	f := &figures{replies: map[string]int{}, accepted: make([]bool, len(callbacks))}
	transport := &http.Transport{MaxIdleConnsPerHost: atATime}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	start := time.Now()
	todo := make(chan job)
	go func() {
		defer close(todo)
		for i, c := range callbacks {
			j := job{callback: c, place: i}
			if rate > 0 {
				j.due = start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			}
			select {
			case <-time.After(time.Until(j.due)):
			case <-ctx.Done():
				return
			}
			select {
			case todo <- j:
			case <-ctx.Done():
				return
			}
		}
	}()

	var mu sync.Mutex
	var wg sync.WaitGroup
	for range atATime {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range todo {
				began := j.due
				if rate == 0 {
					began = time.Now()
				}
				reply := post(client, function, j.callback)
				mu.Lock()
				f.sent++
				f.replies[reply]++
				f.accepted[j.place] = reply == "200"
				f.latencies = append(f.latencies, time.Since(began))
				mu.Unlock()
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	follow(progress, done, func() string {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprintf("%s of %s   %.0f/s   %s not answered 200", thousands(f.sent), thousands(len(callbacks)),
			float64(f.sent)/time.Since(start).Seconds(), thousands(f.sent-f.replies["200"]))
	})
	f.took = time.Since(start)
	slices.Sort(f.latencies)
	return f
}

// job is a callback to post, its index, and when it is due.
type job struct {
	callback
	place int
	due   time.Time
}

// follow writes a line of progress until done: on a terminal over the last one,
// elsewhere below it and less often.
func follow(w io.Writer, done <-chan struct{}, line func() string) {
	every, format, last := 5*time.Second, "%s\n", ""
	if isTerminal(w) {
		every, format, last = time.Second/4, "\r%-70s", "\r%-70s\r"
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintf(w, format, line())
		case <-done:
			if last != "" {
				fmt.Fprintf(w, last, "")
			}
			return
		}
	}
}

// post posts one callback and returns the status of the reply, or the error in a few
// words.
func post(client *http.Client, function string, c callback) string {
	resp, err := client.Post(function+c.path+"?uid=load", "application/json;charset=UTF-8", strings.NewReader(c.body))
	if err != nil {
		return "no answer"
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "half an answer"
	}
	return fmt.Sprint(resp.StatusCode)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (f *figures) print(out io.Writer) {
	fmt.Fprintf(out, "Throughput   %.0f/s, %s in %.1f s\n", float64(f.sent)/f.took.Seconds(), thousands(f.sent), f.took.Seconds())
	fmt.Fprint(out, "Latency      ")
	for _, p := range []float64{50, 90, 99, 99.9} {
		fmt.Fprintf(out, "p%v %s  ", p, milliseconds(percentile(f.latencies, p)))
	}
	fmt.Fprintf(out, "max %s\n", milliseconds(percentile(f.latencies, 100)))
	fmt.Fprint(out, "Replies      ")
	for _, reply := range slices.Sorted(maps.Keys(f.replies)) {
		fmt.Fprintf(out, "%s: %s  ", reply, thousands(f.replies[reply]))
	}
	fmt.Fprintln(out)
}

// err returns an error if callbacks were not accepted. Their documents may be there,
// but Safaricom was told that they are not, or was told nothing.
func (f *figures) err() error {
	if refused := f.sent - f.replies["200"]; refused > 0 {
		return fmt.Errorf("%d of %d callbacks were not answered 200", refused, f.sent)
	}
	return nil
}

// percentile returns the smallest value that p percent of the sorted values do not
// exceed (nearest rank).
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(values)) / 100))
	return values[max(rank, 1)-1]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
