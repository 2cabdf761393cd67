package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"openruntimes/handler/handler"
)

// variable is one of the function's.
type variable struct {
	ID     string `json:"$id,omitempty"`
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`

	UpdatedAt string `json:"$updatedAt,omitempty"`
}

func (s settings) remoteVariables() ([]variable, error) {
	var found struct{ Variables []variable }
	err := s.call(http.MethodGet, s.functionPath()+"/variables", nil, &found)
	return found.Variables, err
}

// adopt takes what was not given from the function, if that is there: what it
// works on is what there is to look at.
func (s *settings) adopt() {
	remote, err := s.remoteVariables()
	if err != nil {
		return // the checks say why
	}
	for name, to := range map[string]*string{
		"DARAJA_DATABASE_ID": &s.config.DatabaseID, "DARAJA_COLLECTION_ID": &s.config.PaymentsID,
		"DARAJA_B2C_COLLECTION_ID": &s.config.DisbursementsID, "DARAJA_ANONYMOUS_READ": &s.config.AnonymousRead,
	} {
		i := slices.IndexFunc(remote, func(r variable) bool { return r.Key == name })
		if s.get(name) == "" && i >= 0 && remote[i].Value != "" {
			*to = remote[i].Value
		}
	}
}

// variablesWanted are those that shall stand: as they were given, else as they
// stand in Appwrite, else as appwrite.json has them.
func (p *project) variablesWanted(remote []variable) []variable {
	wanted := slices.Clone(p.variables)
	for i := range wanted {
		v := &wanted[i]
		given := p.get(v.Key)
		r := slices.IndexFunc(remote, func(r variable) bool { return r.Key == v.Key })
		switch {
		case given != "" && v.Key == "DARAJA_CALLBACK_SECRET" && r >= 0 && !strings.Contains(given, ","):
			v.Value = rotated(given, remote[r].Value)
		case given != "":
			v.Value = given
		case r >= 0 && !remote[r].Secret && remote[r].Value != "":
			v.Value = remote[r].Value
		}
	}
	return slices.DeleteFunc(wanted, func(v variable) bool { return v.Value == "" })
}

// rotated puts a new secret before those that apps in the field and requests in
// the queue still carry. To drop them, give a list (one with a comma is enough).
func rotated(given, list string) string {
	for _, secret := range strings.Split(list, ",") {
		if strings.TrimSpace(secret) == given {
			return list
		}
	}
	if list == "" {
		return given
	}
	return given + "," + list
}

func lookAtVariables(p *project) (string, error) {
	remote, err := p.remoteVariables()
	if err != nil {
		return "", err
	}
	console := "Console → Functions → " + p.config.FunctionID + " → Settings → Variables, then redeploy"
	wanted := p.variablesWanted(remote)
	for _, v := range wanted {
		i := slices.IndexFunc(remote, func(r variable) bool { return r.Key == v.Key })
		switch {
		case i < 0:
			return "", &wrong{v.Key + " is missing: callbacks can only be queued", console}
		case remote[i].Secret:
			return "", &wrong{v.Key + " is marked secret, so that nobody can check it", console}
		case remote[i].Value != v.Value:
			return "", &wrong{v.Key + " is not what was given", console}
		}
	}
	secret := slices.IndexFunc(wanted, func(v variable) bool { return v.Key == "DARAJA_CALLBACK_SECRET" })
	f, err := p.function()
	if err != nil {
		return "", err
	}
	if secret < 0 && f.DeploymentID == "" {
		return "", &wrong{"there is no DARAJA_CALLBACK_SECRET: anybody can post payments", console}
	}
	// The function's own idea of what is malformed.
	config, err := handler.FromEnv(func(name string) string {
		i := slices.IndexFunc(wanted, func(v variable) bool { return v.Key == name })
		if i < 0 {
			return map[string]string{"APPWRITE_FUNCTION_API_ENDPOINT": p.config.Endpoint, "APPWRITE_FUNCTION_PROJECT_ID": p.config.ProjectID,
				"APPWRITE_FUNCTION_ID": p.config.FunctionID}[name]
		}
		return wanted[i].Value
	})
	if err != nil {
		return "", &wrong{err.Error(), console}
	}
	p.prefix = ""
	if secret < 0 {
		// Apps in the field post without one, and a new one would shut them out.
		return fmt.Sprintf("%d, and no DARAJA_CALLBACK_SECRET: anybody can post payments. Give one once apps carry it", len(wanted)), nil
	}
	p.prefix = "/" + config.Secrets[0]
	return fmt.Sprintf("%d", len(wanted)), nil
}

// mendVariables sets one variable after another, and never deletes any.
func mendVariables(p *project) error {
	remote, err := p.remoteVariables()
	if err != nil {
		return err
	}
	wanted := p.variablesWanted(remote)
	f, err := p.function()
	if err != nil {
		return err
	}
	if f.DeploymentID == "" && !slices.ContainsFunc(wanted, func(v variable) bool { return v.Key == "DARAJA_CALLBACK_SECRET" }) {
		wanted = append(wanted, variable{Key: "DARAJA_CALLBACK_SECRET", Value: randomHex(16)})
	}
	for _, v := range wanted {
		i := slices.IndexFunc(remote, func(r variable) bool { return r.Key == v.Key })
		body := map[string]any{"key": v.Key, "value": v.Value, "secret": false}
		switch {
		case i >= 0 && remote[i].Value == v.Value && !remote[i].Secret:
			continue
		case i >= 0 && remote[i].Secret:
			return fmt.Errorf("%s is marked secret, which Appwrite does not take back: delete it in the console and run this again", v.Key)
		case i >= 0:
			err = p.call(http.MethodPut, p.functionPath()+"/variables/"+remote[i].ID, body, nil)
		default:
			err = p.call(http.MethodPost, p.functionPath()+"/variables", body, nil)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.Key, err)
		}
	}
	return nil
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails on any system that Go runs on
	return hex.EncodeToString(b)
}

func lookAtDomain(p *project) (string, error) {
	var found struct {
		Rules []struct {
			Domain               string
			DeploymentResourceID string `json:"deploymentResourceId"`
			Trigger              string
		}
	}
	if err := p.call(http.MethodGet, "/proxy/rules?"+url.Values{"queries[]": {`{"method":"limit","values":[100]}`}}.Encode(), nil, &found); err != nil {
		return "", err
	}
	for _, r := range found.Rules {
		// A rule that a deployment made leads to that one for ever.
		given := p.get("APPWRITE_FUNCTION_DOMAIN")
		if r.DeploymentResourceID == p.config.FunctionID && r.Trigger != "deployment" && (given == "" || given == r.Domain) {
			p.domain = r.Domain
			return r.Domain, nil
		}
	}
	return "", &wrong{"the function has no domain: Safaricom cannot reach it", "Console → Functions → " + p.config.FunctionID + " → Domains → Add domain"}
}

func mendDomain(p *project) error {
	domain := p.get("APPWRITE_FUNCTION_DOMAIN")
	if domain == "" {
		endpoint, err := url.Parse(p.config.Endpoint)
		if err != nil {
			return err
		}
		region, isCloud := strings.CutSuffix(endpoint.Hostname(), "cloud.appwrite.io")
		if !isCloud {
			return errors.New("set APPWRITE_FUNCTION_DOMAIN to a domain that leads to this server (daraja.functions.example.com)")
		}
		domain = randomHex(10) + "." + region + "appwrite.run"
	}
	err := p.call(http.MethodPost, "/proxy/rules/function", map[string]any{"domain": domain, "functionId": p.config.FunctionID}, nil)
	if isStatus(err, http.StatusConflict) {
		return fmt.Errorf("the domain %s belongs to something else already", domain)
	}
	return err
}

// url is an address of the function's. Only a server on this machine is asked
// without TLS.
func (p *project) url(path string) string {
	scheme := "https://"
	if strings.HasPrefix(p.domain, "127.0.0.1") || strings.HasPrefix(p.domain, "localhost") {
		scheme = "http://"
	}
	return scheme + p.domain + path
}

// deployed are the files that the function is built from.
func deployed() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, pattern := range []string{"go.mod", "go.sum", "*.go", "handler/*.go", "parse/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if files[filepath.ToSlash(name)], err = os.ReadFile(name); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// unpack reads the files of a deployment's source.
func unpack(tarball []byte) (map[string][]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[path.Clean(header.Name)], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func lookAtCode(p *project) (string, error) {
	f, err := p.function()
	if err != nil {
		return "", err
	}
	console := "Console → Functions → " + p.config.FunctionID + " → Deployments"
	switch {
	case f.LatestDeploymentStatus == "failed":
		return "", &wrong{"the newest build failed: what runs is older than what was deployed last", console + " → Build logs"}
	case f.DeploymentID == "":
		return "", &wrong{"nothing is deployed: Safaricom gets 404 and every payment is lost", console}
	case f.LatestDeploymentStatus != "ready":
		return "", &wrong{"the newest build is " + f.LatestDeploymentStatus + " and not active yet", console}
	case f.LatestDeploymentID != f.DeploymentID:
		return "", &wrong{"the newest build is not the one that is active", console + " → Activate"}
	}
	remote, err := p.remoteVariables()
	if err != nil {
		return "", err
	}
	for _, v := range remote {
		// A function keeps the variables that it was deployed with.
		if !before(v.UpdatedAt, f.DeploymentCreatedAt) {
			return "", &wrong{v.Key + " was changed after the function was deployed, which still has the old value", console + " → Redeploy"}
		}
	}
	source, err := p.raw(http.MethodGet, p.functionPath()+"/deployments/"+f.DeploymentID+"/download?type=source", nil)
	if err != nil {
		return "", fmt.Errorf("the deployed code: %w", err)
	}
	running, err := unpack(source)
	if err != nil {
		return "", fmt.Errorf("the deployed code: %w", err)
	}
	local, err := deployed()
	if err != nil {
		return "", err
	}
	for name, content := range local {
		if !bytes.Equal(content, running[name]) {
			return "", &wrong{name + " differs from what is deployed", console}
		}
	}
	return fmt.Sprintf("build %s ready, active", f.DeploymentID), nil
}

// before compares two of Appwrite's times. What is no time was not before.
func before(a, b string) bool {
	first, err := time.Parse(time.RFC3339, a)
	second, err2 := time.Parse(time.RFC3339, b)
	return err == nil && err2 == nil && first.Before(second)
}

// deployCode uploads the code and waits for its build. What the CLI says is not
// believed: it exits with 0 when an upload is refused or a build fails.
func (p *project) deployCode() error {
	before, err := p.function()
	if err != nil {
		return err
	}
	said, err := p.push(p)
	if err != nil {
		return err
	}
	var after function
	err = p.wait("the build", func() (bool, error) {
		after, err = p.function()
		if err == nil && after.LatestDeploymentID == before.LatestDeploymentID {
			return false, fmt.Errorf("nothing was uploaded. The Appwrite CLI said:\n%s", said)
		}
		return after.LatestDeploymentStatus == "ready" && after.DeploymentID == after.LatestDeploymentID || after.LatestDeploymentStatus == "failed", err
	})
	if err != nil {
		return err
	}
	if after.LatestDeploymentStatus == "failed" {
		var d struct {
			BuildLogs string `json:"buildLogs"`
		}
		_ = p.call(http.MethodGet, p.functionPath()+"/deployments/"+after.LatestDeploymentID, nil, &d)
		return fmt.Errorf("the build failed:\n%s", d.BuildLogs)
	}
	return nil
}

// wait looks until done says so, or too long.
func (p *project) wait(what string, done func() (bool, error)) error {
	for waited := time.Duration(0); ; waited += p.pause {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if waited >= 15*time.Minute {
			return fmt.Errorf("%s: not done after %v", what, waited)
		}
		time.Sleep(p.pause)
	}
}

func lookAtHealth(p *project) (string, error) {
	status, body, err := p.ask(http.MethodGet, p.prefix+"/health", "")
	console := "Console → Functions → " + p.config.FunctionID + " → Executions"
	if err != nil {
		return "", &wrong{p.domain + " does not answer: " + err.Error(), "Console → Functions → " + p.config.FunctionID + " → Domains"}
	}
	var health struct {
		Status, Version string
		Settings        map[string]bool
	}
	if json.Unmarshal(body, &health) != nil || health.Version == "" {
		return "", &wrong{fmt.Sprintf("%s answers %d and is not this function", p.domain, status), console}
	}
	if status != http.StatusOK || health.Status != "ok" {
		return "", &wrong{"the function says " + health.Status + "; its error log says why", console}
	}
	if health.Version != handler.Version {
		return "", &wrong{"version " + health.Version + " runs, not " + handler.Version, console}
	}
	return "version " + health.Version, nil
}

// ask sends a request to the function's domain.
func (p *project) ask(method, path, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, p.url(path), strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: 35 * time.Second}).Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL holds the secret
		}
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// selfTest posts a callback of its own, cancelled so that no app delivers anything
// for it, and follows it to the database and the log. Everything that it made is
// removed again.
func (p *project) selfTest() (found string, err error) {
	start := time.Now()
	id := "ws_CO_selftest_" + randomHex(8)
	user := p.get("APPWRITE_TEST_USER")
	if user == "" {
		user = "selftest-" + randomHex(4)
	}
	document := p.collectionPath(payments) + "/documents/" + id
	defer func() {
		if e := p.call(http.MethodDelete, document, nil, nil); e != nil && !isStatus(e, http.StatusNotFound) && err == nil {
			err = fmt.Errorf("its document %s could not be removed: %w", id, e)
		}
	}()
	console := "Console → Functions → " + p.config.FunctionID + " → Executions → Errors"

	body := fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":"self-test","CheckoutRequestID":%q,"ResultCode":1032,"ResultDesc":"Self-test"}}}`, id)
	status, answer, err := p.ask(http.MethodPost, p.prefix+"/callback?uid="+user, body)
	if err != nil || status != http.StatusOK {
		return "", &wrong{fmt.Sprintf("a callback is answered %d %s (%v)", status, answer, err), console}
	}
	var d struct {
		Status      string
		ResultCode  int
		Permissions []string `json:"$permissions"`
	}
	if err := p.call(http.MethodGet, document, nil, &d); err != nil {
		return "", &wrong{"a callback was accepted, and its document is not there: it is in the queue, for a reason that the error log has", console}
	}
	if d.Status != "CANCELLED" || d.ResultCode != 1032 || len(d.Permissions) != 1 || d.Permissions[0] != `read("user:`+user+`")` {
		return "", &wrong{fmt.Sprintf("a callback became status %s, code %d, read by %s", d.Status, d.ResultCode, strings.Join(d.Permissions, " ")), console}
	}
	read := ""
	if session := p.get("APPWRITE_TEST_SESSION"); session != "" {
		as := p.settings
		as.key, as.session = "", session
		if _, err := as.raw(http.MethodGet, document, nil); err != nil {
			return "", &wrong{"its own user " + user + " cannot read a payment: " + err.Error(), "Console → Databases → " + p.config.DatabaseID + " → " + p.config.PaymentsID + " → Settings → Document security"}
		}
		read = "read by its user, "
	}
	guest := p.settings
	guest.key = ""
	if _, err := guest.raw(http.MethodGet, document, nil); !isStatus(err, http.StatusNotFound) && !isStatus(err, http.StatusUnauthorized) {
		return "", &wrong{fmt.Sprintf("a guest reads a payment that is not for him (%v)", err), "Console → Databases → " + p.config.DatabaseID + " → " + p.config.PaymentsID + " → Settings → Permissions"}
	}
	status, _, err = p.ask(http.MethodPost, "/"+randomHex(16)+"/callback?uid="+user, body)
	if err != nil || status != http.StatusNotFound {
		return "", &wrong{fmt.Sprintf("a callback without the secret is answered %d (%v)", status, err), console}
	}
	if err := p.findInLog(id); err != nil {
		return "", err
	}
	return fmt.Sprintf("posted, stored, "+read+"hidden from a guest, refused without the secret, logged, removed (%d ms)", time.Since(start).Milliseconds()), nil
}

// findInLog waits for the line of the callback without the secret. Appwrite writes
// executions a little later.
func (p *project) findInLog(id string) error {
	masked := id[:len(id)-9] + "*********"
	for range 20 {
		lines, _, err := p.executions(`{"method":"orderDesc","attribute":"$createdAt"}`, `{"method":"limit","values":[50]}`)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "looks=callback id="+masked) }) {
			return nil
		}
		time.Sleep(p.pause)
	}
	return &wrong{"what the function writes into its error log is not there: UNSETTLED documents would be lost", "Console → Functions → " + p.config.FunctionID + " → Settings → Execution logs"}
}
