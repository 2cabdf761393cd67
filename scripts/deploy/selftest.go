package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/handler"
)

func checkHealth(ctx context.Context, p *project) (string, error) {
	status, body, err := p.ask(ctx, http.MethodGet, p.prefix+"/health", "")
	console := p.inConsole("Executions")
	if err != nil {
		return "", wrong(p.domain+" does not answer: "+err.Error(), p.inConsole("Domains"))
	}
	var health struct{ Status, Version string }
	if json.Unmarshal(body, &health) != nil || health.Version == "" {
		if status == http.StatusNotFound && p.prefix != "" && p.isFunction(ctx) {
			return "", wrong("the function does not know the "+handler.CallbackSecret+" that was given", p.inConsole("Settings → Variables: put it first in the list, then redeploy"))
		}
		return "", wrong(fmt.Sprintf("%s answers %d and is not this function", p.domain, status), console)
	}
	if status != http.StatusOK || health.Status != "ok" {
		return "", wrong("the function says "+health.Status+"; its error log says why", console)
	}
	if health.Version != handler.Version {
		return "", wrong("version "+health.Version+" runs, not "+handler.Version, console)
	}
	return "version " + health.Version, nil
}

// isFunction reports whether the domain leads to this function, whatever the secret.
func (p *project) isFunction(ctx context.Context) bool {
	_, body, err := p.ask(ctx, http.MethodGet, "/health", "")
	return err == nil && saysVersion(body)
}

// saysVersion reports whether an answer to /health is this function's.
func saysVersion(body []byte) bool {
	var health struct{ Version string }
	return json.Unmarshal(body, &health) == nil && health.Version != ""
}

// ask sends a request to the function's domain.
func (p *project) ask(ctx context.Context, method, path, body string) (int, []byte, error) {
	return ask(ctx, method, p.url(path), body)
}

// ask sends a request to an address of the function's. Its errors do not name it.
func ask(ctx context.Context, method, address, body string) (int, []byte, error) {
	// Appwrite gives up on the function after 30 s.
	ctx, cancel := context.WithTimeout(ctx, 35*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// selfTest posts a callback of its own, cancelled so that no app delivers anything
// for it, and follows it to the database and the log. Everything that it made is
// removed again.
func selfTest(ctx context.Context, p *project) (found string, err error) {
	if p.secretUnknown {
		return "not done, since it needs the " + handler.CallbackSecret + ", which nobody can read: set it in the environment", nil
	}
	if p.prefix == "" && p.startsPayments {
		return "not done, since without a " + handler.CallbackSecret + " only signed callbacks are taken", nil
	}
	start := time.Now()
	id := "ws_CO_selftest_" + randomHex(8)
	user := p.get("APPWRITE_TEST_USER")
	if user == "" {
		user = "selftest-" + randomHex(4)
	}
	document := p.collectionPath(payments) + "/documents/" + id
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // also after Ctrl-C
		defer cancel()
		if e := p.call(ctx, http.MethodDelete, document, nil, nil); e != nil && !isStatus(e, http.StatusNotFound) && err == nil {
			err = fmt.Errorf("its document %s could not be removed: %w", id, e)
		}
	}()
	console := p.inConsole("Executions → Errors")

	body := fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":"self-test","CheckoutRequestID":%q,"ResultCode":1032,"ResultDesc":"Self-test"}}}`, id)
	status, answer, err := p.ask(ctx, http.MethodPost, p.prefix+"/callback?uid="+user, body)
	if err != nil {
		return "", wrong("a callback is not answered: "+err.Error(), console)
	}
	if status != http.StatusOK {
		return "", wrong(fmt.Sprintf("a callback is answered %d %s", status, answer), console)
	}
	var d struct {
		Status      string
		ResultCode  int
		Permissions []string `json:"$permissions"`
	}
	if err := p.call(ctx, http.MethodGet, document, nil, &d); err != nil {
		return "", wrong("a callback was accepted, and its document is not there: it is in the queue, for a reason that the error log has", console)
	}
	if d.Status != "CANCELLED" || d.ResultCode != 1032 || len(d.Permissions) != 1 || d.Permissions[0] != `read("user:`+user+`")` {
		return "", wrong(fmt.Sprintf("a callback became status %s, code %d, read by %s", d.Status, d.ResultCode, strings.Join(d.Permissions, " ")), console)
	}
	read, err := p.readAsUser(ctx, document, user)
	if err != nil {
		return "", err
	}
	guest := p.settings
	guest.key = ""
	if _, err := guest.raw(ctx, http.MethodGet, document, nil); err == nil {
		return "", wrong("a guest reads a payment that is somebody else's", "Console → Databases → "+p.target.DatabaseID+" → "+p.target.PaymentsID+" → Settings → Permissions")
	} else if !isStatus(err, http.StatusNotFound) && !isStatus(err, http.StatusUnauthorized) {
		return "", fmt.Errorf("whether a guest reads a payment: %w", err)
	}
	status, _, err = p.ask(ctx, http.MethodPost, "/"+randomHex(16)+"/callback?uid="+user, body)
	if err != nil {
		return "", wrong("a callback without the secret is not answered: "+err.Error(), console)
	}
	if status != http.StatusNotFound {
		return "", wrong(fmt.Sprintf("a callback without the secret is answered %d, not 404", status), console)
	}
	if err := p.findInLog(ctx, id); err != nil {
		return "", err
	}
	return fmt.Sprintf("posted, stored, "+read+"hidden from a guest, refused without the secret, logged, removed (%d ms)", time.Since(start).Milliseconds()), nil
}

// readAsUser reads a document with the session in APPWRITE_TEST_SESSION, if there is
// one, which must be that user's.
func (p *project) readAsUser(ctx context.Context, document, user string) (found string, err error) {
	as := p.settings
	as.key, as.session = "", p.get("APPWRITE_TEST_SESSION")
	if as.session == "" {
		return "", nil
	}
	if _, err := as.raw(ctx, http.MethodGet, document, nil); err == nil {
		return "read by its user, ", nil
	} else if !isStatus(err, http.StatusNotFound) && !isStatus(err, http.StatusUnauthorized) {
		return "", fmt.Errorf("whether its user reads a payment: %w", err)
	}
	var account struct {
		ID string `json:"$id"`
	}
	const where = "set both in the environment, or neither"
	if err := as.call(ctx, http.MethodGet, "/account", nil, &account); err != nil {
		return "", wrong(fmt.Sprintf("APPWRITE_TEST_SESSION is no session of this project: %v", err), where)
	}
	if account.ID != user {
		return "", wrong(fmt.Sprintf("APPWRITE_TEST_SESSION is a session of %s, and APPWRITE_TEST_USER is %s", account.ID, user), where)
	}
	return "", wrong("its own user "+user+" cannot read a payment", "Console → Databases → "+p.target.DatabaseID+" → "+p.target.PaymentsID+" → Settings → Document security")
}

// findInLog waits for the line of the callback without the secret. Appwrite writes
// executions a little later.
func (p *project) findInLog(ctx context.Context, id string) error {
	masked := id[:len(id)-9] + "*********"
	for try := range 20 {
		last, err := p.executions(ctx, appwrite.NewestFirst(), appwrite.Limit(50))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(last, func(e execution) bool { return strings.Contains(e.Errors, "looks=callback id="+masked) }) {
			return nil
		}
		if try > 0 {
			p.say("self-test: waiting for the execution log")
		}
		if err := sleep(ctx, p.pause); err != nil {
			return err
		}
	}
	return wrong("what the function writes into its error log is not there: UNSETTLED documents would be lost", p.inConsole("Settings → Execution logs"))
}
