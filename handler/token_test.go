package handler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakesafaricom"
)

// TestTokenVoided: another container fetches a token of its own, which voids the one of
// this push, again and again. A good payment is not refused for that, unless it happens
// to the fourth token too; then nothing was sent, and that is what is said.
func TestTokenVoided(t *testing.T) {
	const notSent = "FAILED NOT_SENT: Safaricom refuses the settings of this function"
	for _, tt := range []struct {
		voided  int
		want    string
		state   string
		prompts int
	}{
		{voided: 1, want: "PENDING", state: "PENDING", prompts: 1},
		{voided: 2, want: "PENDING", state: "PENDING", prompts: 1},
		{voided: 3, want: "PENDING", state: "PENDING", prompts: 1},
		{voided: 4, want: "credentials", state: notSent},
	} {
		t.Run(fmt.Sprint(tt.voided, " times"), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			left := tt.voided
			s.setSpoil(func(_ int, safaricom bool, _ func(), _ http.ResponseWriter, r *http.Request) bool {
				if safaricom && strings.HasPrefix(r.URL.Path, "/mpesa/") && left > 0 {
					left--
					s.safaricom.VoidTokens(consumerKey)
				}
				return false
			})
			got := s.ask("amina", wish(first, phoneA))
			if got.kind() != tt.want || s.prompts("") != tt.prompts || left != 0 {
				t.Errorf("%d %s, %d prompts, want %s and %d", got.status, got.body, s.prompts(""), tt.want, tt.prompts)
			}
			if got.field("claimed") == true != (tt.prompts == 0) {
				t.Errorf("the app is told %s", got.body)
			}
			s.wantState(first, tt.state)
			if tokens := len(s.safaricom.Calls(fakesafaricom.OAuth)); tokens != min(tt.voided, 3)+1 {
				t.Errorf("%d tokens were fetched", tokens)
			}
		})
	}
}

// TestTokenVoidedLate: a token is refused when it is too late to begin anew. The app is
// told that nothing was sent, and nothing is.
func TestTokenVoidedLate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.setSpoil(func(_ int, safaricom bool, _ func(), _ http.ResponseWriter, r *http.Request) bool {
		if safaricom && strings.HasPrefix(r.URL.Path, "/mpesa/") {
			s.safaricom.VoidTokens(consumerKey)
			s.function.clock.pushBegins = -time.Hour
		}
		return false
	})
	got := s.ask("amina", wish(first, phoneA))
	if got.kind() != "unavailable" || got.field("claimed") != true {
		t.Errorf("%d %s", got.status, got.body)
	}
	s.wantState(first, "FAILED NOT_SENT: Safaricom could not be asked, and nothing was sent")
	if pushes, tokens := len(s.safaricom.Calls(fakesafaricom.Push)), len(s.safaricom.Calls(fakesafaricom.OAuth)); pushes != 1 || tokens != 1 {
		t.Errorf("%d pushes with %d tokens, want 1 with 1", pushes, tokens)
	}
}
