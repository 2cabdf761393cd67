package fakeappwrite

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

const (
	buildStep   = 5 * time.Millisecond // how long a build stays in a state
	maxUnpacked = 256 << 20
)

// A deployment is one upload of a function's code.
type deployment struct {
	id, function     string
	created, updated time.Time
	entrypoint       string
	activate         bool
	status           string
	logs             string
	source           []byte
	took             time.Duration
}

func (d *deployment) model() model {
	m := model{
		"$id": d.id, "$createdAt": formatTime(d.created), "$updatedAt": formatTime(d.updated), "type": "manual",
		"resourceId": d.function, "resourceType": "functions", "entrypoint": d.entrypoint, "activate": d.activate,
		"status": d.status, "buildId": d.id, "buildLogs": d.logs, "buildDuration": int(d.took.Seconds()),
		"size": len(d.source), "sourceSize": len(d.source), "buildSize": 0, "totalSize": len(d.source),
	}
	if d.status == "ready" {
		m["buildSize"], m["totalSize"] = len(d.source), 2*len(d.source)
	}
	return m
}

// An activation is what the containers of a function's active deployment are
// started with.
type activation struct {
	deployment  *deployment
	environment map[string]string
	key         string // for the function, with whatever scopes it has
}

// activate makes d the function's active deployment, with the variables as they
// are now.
func (a *Appwrite) activate(f *function, d *deployment) {
	environment := map[string]string{}
	for _, v := range f.variables {
		environment[v.key] = v.value
	}
	maps.Copy(environment, map[string]string{
		"APPWRITE_FUNCTION_ID":              f.ID,
		"APPWRITE_FUNCTION_NAME":            f.Name,
		"APPWRITE_FUNCTION_DEPLOYMENT":      d.id,
		"APPWRITE_FUNCTION_PROJECT_ID":      ProjectID,
		"APPWRITE_FUNCTION_RUNTIME_NAME":    "Go",
		"APPWRITE_FUNCTION_RUNTIME_VERSION": strings.TrimPrefix(f.Runtime, "go-"),
		"APPWRITE_FUNCTION_CPUS":            "1",
		"APPWRITE_FUNCTION_MEMORY":          "512",
		"APPWRITE_VERSION":                  a.Version,
		"APPWRITE_REGION":                   "default",
		"APPWRITE_DEPLOYMENT_TYPE":          "manual",
	})
	kind := "ephemeral_"
	if older(a.Version, "1.9.1") {
		kind = "dynamic_"
	}
	f.active = &activation{d, environment, kind + newID()}
	f.live = true
	f.updated = a.now()
}

// FailBuilds makes builds fail with this log. With an empty one they succeed
// again.
func (a *Appwrite) FailBuilds(log string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buildFailure = log
}

// Uploaded returns the .tar.gz that was uploaded last, nil if none was.
func (a *Appwrite) Uploaded() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.uploaded)
}

func (a *Appwrite) listDeployments(q *request) (reply, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	return list(q, "deployments", models(f.deployments))
}

// findDeployment finds a function's deployment.
func (a *Appwrite) findDeployment(q *request, id string) (*function, *deployment, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(f.deployments, func(d *deployment) bool { return d.id == id })
	if i < 0 {
		return nil, nil, a.notFound("deployment", id)
	}
	return f, f.deployments[i], nil
}

func (a *Appwrite) getDeployment(q *request) (reply, error) {
	_, d, err := a.findDeployment(q, q.vars["deployment"])
	if err != nil {
		return reply{}, err
	}
	return okReply(d.model())
}

// downloadDeployment sends the upload back. There is no output of a build here.
func (a *Appwrite) downloadDeployment(q *request) (reply, error) {
	switch q.http.URL.Query().Get("type") {
	case "", "source":
	case "output":
		return reply{}, a.notFound("deployment", q.vars["deployment"])
	default:
		return reply{}, invalidParam("type", "Value must be one of (source, output)")
	}
	_, d, err := a.findDeployment(q, q.vars["deployment"])
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, header: map[string]string{
		"Content-Type":        "application/gzip",
		"Content-Disposition": `attachment; filename="` + d.id + `-source.tar.gz"`,
	}, body: d.source}, nil
}

// namedDeployment returns the function of the path and that deployment of it which
// the body names.
func (a *Appwrite) namedDeployment(q *request) (*function, *deployment, error) {
	r := q.reader()
	r.required("deploymentId")
	id := r.text("deploymentId", maxKey)
	if r.err != nil {
		return nil, nil, r.err
	}
	return a.findDeployment(q, id)
}

// activateDeployment is PATCH /functions/{id}/deployment.
func (a *Appwrite) activateDeployment(q *request) (reply, error) {
	f, d, err := a.namedDeployment(q)
	if err != nil {
		return reply{}, err
	}
	if d.status != "ready" {
		return reply{}, &apiError{400, "build_not_ready", "Build with the requested ID is building and not ready for execution."}
	}
	a.activate(f, d)
	return okReply(f.model())
}

// pieceSize is what the CLI and the SDKs send at once of a larger upload.
const pieceSize = 5 << 20

// An upload is one of which not all pieces are there.
type upload struct {
	function, entrypoint string
	activate             bool
	received             []byte
	size                 int
}

// createDeployment takes an upload, in one piece if it has up to 5 MB, else in
// pieces of 5 MB in their order. The answer goes out before the build begins.
func (a *Appwrite) createDeployment(q *request) (reply, error) {
	form, err := q.form()
	if err != nil {
		return reply{}, err
	}
	activate, ok := map[string]bool{"true": true, "1": true, "false": false, "0": false}[form.value("activate")]
	if !ok {
		return reply{}, &apiError{400, "general_argument_invalid", `Param "activate" is not optional.`}
	}
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	entrypoint := form.value("entrypoint")
	if entrypoint == "" {
		entrypoint = f.Entrypoint
	}
	if entrypoint == "" {
		return reply{}, &apiError{400, "function_entrypoint_missing", `Entrypoint for your Appwrite Function is missing. Please specify it when making deployment or update the entrypoint under your function's "Settings" > "Configuration" > "Entrypoint".`}
	}
	name, code, err := form.file("code")
	if err != nil || len(code) == 0 {
		return reply{}, &apiError{400, "storage_file_empty", "Empty file passed to the endpoint."}
	}
	if !strings.HasSuffix(name, ".gz") {
		return reply{}, &apiError{400, "storage_file_type_unsupported", "The given file extension is not supported."}
	}
	first, size, err := piece(q.http.Header.Get("Content-Range"), len(code))
	if err != nil {
		return reply{}, err
	}
	if first == 0 && size == len(code) {
		a.uploaded = code
		return acceptedReply(a.deploy(f, newID(), entrypoint, code, activate).model())
	}
	return a.receive(f, q.http.Header.Get("X-Appwrite-Id"), first, code, upload{f.ID, entrypoint, activate, nil, size})
}

// receive takes one piece of an upload. With the first comes the deployment's id,
// which the others have to name.
func (a *Appwrite) receive(f *function, id string, first int, code []byte, begun upload) (reply, error) {
	if first == 0 && id == "" {
		id = newID()
		a.pieces[id] = &begun
	}
	u := a.pieces[id]
	last := u != nil && first+len(code) == u.size
	if u == nil || u.function != f.ID || u.size != begun.size || first != len(u.received) || len(code) != pieceSize && !last {
		return reply{}, &apiError{400, "storage_invalid_content_range", "Invalid content range. Please check the value of the content-range header."}
	}
	u.received = append(u.received, code...)
	if !last {
		return acceptedReply(model{"$id": id, "status": "waiting", "activate": u.activate})
	}
	delete(a.pieces, id)
	a.uploaded = u.received
	if !older(a.Version, "1.9.6") {
		// The last piece takes activate from every deployment of the function,
		// its own included, which is then built and ready, and never active.
		u.activate = false
		for _, d := range f.deployments {
			d.activate = false
		}
	}
	return acceptedReply(a.deploy(f, id, u.entrypoint, u.received, u.activate).model())
}

// piece reads a Content-Range: where the piece begins, and the size of the whole.
func piece(contentRange string, length int) (first, size int, err error) {
	if contentRange == "" {
		return 0, length, nil
	}
	var last int
	n, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &size)
	if err != nil || n != 3 || last-first+1 != length || last >= size {
		return 0, 0, &apiError{400, "storage_invalid_content_range", "Invalid content range. Please check the value of the content-range header."}
	}
	return first, size, nil
}

// duplicateDeployment builds the code of an earlier deployment again, and makes
// it active.
func (a *Appwrite) duplicateDeployment(q *request) (reply, error) {
	f, d, err := a.namedDeployment(q)
	if err != nil {
		return reply{}, err
	}
	return acceptedReply(a.deploy(f, newID(), d.entrypoint, d.source, true).model())
}

type form struct{ *multipart.Form }

func (q *request) form() (form, error) {
	kind, params, err := mime.ParseMediaType(q.http.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return form{&multipart.Form{}}, nil // without parameters
	}
	f, err := multipart.NewReader(bytes.NewReader(q.body), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		return form{}, &apiError{400, "general_argument_invalid", "The form cannot be read."}
	}
	return form{f}, nil
}

func (f form) value(name string) string {
	if v := f.Value[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (f form) file(field string) (name string, content []byte, err error) {
	if len(f.File[field]) == 0 {
		return "", nil, errors.New("no file")
	}
	header := f.File[field][0]
	file, err := header.Open()
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	content, err = io.ReadAll(file)
	return header.Filename, content, err
}

// deploy begins to build code.
func (a *Appwrite) deploy(f *function, id, entrypoint string, code []byte, activate bool) *deployment {
	now := a.now()
	d := &deployment{
		id: id, function: f.ID, created: now, updated: now,
		entrypoint: entrypoint, activate: activate, status: "waiting", source: code,
	}
	f.deployments = append(f.deployments, d)
	a.builds.Add(1)
	go func() {
		defer a.builds.Done()
		a.build(f, d)
	}()
	return d
}

// HoldBuilds lets no build end until release is called.
func (a *Appwrite) HoldBuilds() (release func()) {
	a.hold.Lock()
	return a.hold.Unlock
}

// WaitForBuilds returns when no build is under way and what should be active is.
func (a *Appwrite) WaitForBuilds() { a.builds.Wait() }

// build takes d from one state to the next, as Appwrite's worker does. It
// compiles nothing.
func (a *Appwrite) build(f *function, d *deployment) {
	begun := time.Now()
	step := func(do func()) {
		time.Sleep(buildStep)
		a.schema.Lock()
		defer a.schema.Unlock()
		a.mu.Lock()
		defer a.mu.Unlock()
		do()
		d.updated = a.now()
	}
	step(func() { d.status = "processing" })
	step(func() { d.status = "building" })
	a.hold.RLock()
	defer a.hold.RUnlock()
	step(func() {
		d.took = time.Since(begun)
		err := checkSource(d.source, f.Runtime)
		if a.buildFailure != "" {
			err = errors.New(a.buildFailure)
		}
		if err != nil {
			d.status, d.logs = "failed", err.Error()
			return
		}
		d.status, d.logs = "ready", "Build finished.\n"
	})
	// The worker makes a build active a moment after it is ready, and not at all if
	// a deployment that was made later is active by then (Builds.php).
	step(func() {
		later := f.active != nil && !f.active.deployment.created.Before(d.created)
		if d.status == "ready" && d.activate && !later {
			a.activate(f, d)
		}
	})
}

var (
	moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)
	goLine     = regexp.MustCompile(`(?m)^go\s+(\S+)`)
)

// checkSource returns why the Go runtime would not build this, as far as the
// layout tells: its own module imports openruntimes/handler and calls its Main,
// and its image has one version of Go and is not let to fetch another.
func checkSource(archive []byte, runtime string) error {
	files, err := unpack(archive)
	if err != nil {
		return fmt.Errorf("the archive cannot be unpacked: %w", err)
	}
	mod, found := files["go.mod"]
	if !found {
		return errors.New("go: go.mod file not found in the root of the archive")
	}
	module := moduleLine.FindSubmatch(mod)
	if module == nil || string(module[1]) != "openruntimes/handler" {
		return errors.New("go: /usr/local/build: the module's path is not openruntimes/handler")
	}
	image, isGo := strings.CutPrefix(runtime, "go-")
	if !isGo {
		return errors.New("the function's runtime is not Go")
	}
	if m := goLine.FindSubmatch(mod); m != nil && older(image+".99", string(m[1])) {
		return fmt.Errorf("go: /usr/local/build requires go >= %s (running go %s; GOTOOLCHAIN=local)", m[1], image)
	}
	sources := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, files[name], parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		if file.Name.Name != "handler" {
			return fmt.Errorf("%s: the package is %s, not handler", name, file.Name.Name)
		}
		sources++
	}
	if sources == 0 {
		return errors.New("no Go files in /usr/local/build")
	}
	return nil
}

// unpack returns the files of a .tar.gz by their names.
func unpack(archive []byte) (map[string][]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for t := tar.NewReader(io.LimitReader(unzipped, maxUnpacked)); ; {
		header, err := t.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(path.Clean("/"+header.Name), "/")] = content
	}
}

// Domain serves the public domain of a function. A request runs main if the
// function is enabled, has an active deployment, and grants execute to any or
// guests; otherwise it is refused as the platform refuses it. main is given the
// environment that the deployment was made active with, whose API endpoint is
// the one given here, and its key has the scopes that the function has now.
//
// Each run is recorded as an execution, without its logs if the function's
// logging is off.
func (a *Appwrite) Domain(function string, main func(openruntimes.Context, func(string) string) openruntimes.Response, endpoint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		active, logging, err := a.admit(function)
		if err != nil {
			a.failure(err).write(w)
			return
		}
		getenv := func(name string) string {
			if name == "APPWRITE_FUNCTION_API_ENDPOINT" {
				return endpoint
			}
			return active.environment[name]
		}
		status := http.StatusInternalServerError // of a panic
		runtime := Runtime{
			Key: active.key, Version: a.Version,
			Main: func(ctx openruntimes.Context) openruntimes.Response {
				reply := main(ctx, getenv)
				status = cmp.Or(reply.StatusCode, http.StatusOK)
				return reply
			},
			Logs: func(logs, errors string) {
				if !logging {
					logs, errors = "", ""
				}
				a.Record(Execution{
					Function: function, Method: r.Method, Path: r.URL.RequestURI(), Trigger: "http",
					Status: status, Logs: logs, Errors: errors,
				})
			},
		}
		runtime.ServeHTTP(w, r)
	})
}

// admit finds what answers for a function's domain, or why nothing does, and
// makes its key good.
func (a *Appwrite) admit(id string) (active *activation, logging bool, err error) {
	a.schema.RLock()
	defer a.schema.RUnlock()
	f := a.functions[id]
	switch {
	case f == nil || !f.Enabled:
		return nil, false, a.notFound("function", id)
	case f.active == nil:
		return nil, false, &apiError{404, "deployment_not_found", "Deployment with the requested ID could not be found."}
	case !slices.Contains(f.Execute, "any") && !slices.Contains(f.Execute, "guests"):
		return nil, false, &apiError{401, "function_execute_permission_missing", `To execute function using domain, execute permissions must include "any" or "guests"`}
	}
	a.AddKey(f.active.key, f.Scopes...)
	return f.active, f.Logging, nil
}
