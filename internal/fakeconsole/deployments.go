package fakeconsole

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
)

// A deployment is one upload of a function's code.
type deployment struct {
	ID         string `json:"$id"`
	Activate   bool   `json:"activate"`
	Status     string `json:"status"`
	BuildLogs  string `json:"buildLogs"`
	SourceSize int    `json:"sourceSize"` // bytes
	fakeappwrite.Times

	source []byte
}

// Uploaded returns the .tar.gz that was uploaded last, nil if none was.
func (c *Console) Uploaded() (archive []byte) {
	c.Do(func() { archive = slices.Clone(c.uploaded) })
	return archive
}

func (c *Console) listDeployments(q *request, f *function) (reply, error) {
	return list(q, "deployments", f.deployments)
}

func (c *Console) deployment(f *function, id string) (*deployment, error) {
	i := slices.IndexFunc(f.deployments, func(d *deployment) bool { return d.ID == id })
	if i < 0 {
		return nil, c.NotFound("deployment", id)
	}
	return f.deployments[i], nil
}

func (c *Console) findDeployment(q *request) (*deployment, error) {
	f, err := c.findFunction(q)
	if err != nil {
		return nil, err
	}
	return c.deployment(f, q.Var("deployment"))
}

// downloadDeployment sends the upload back. There is no output of a build here.
func (c *Console) downloadDeployment(q *request, d *deployment) (reply, error) {
	if q.HTTP.URL.Query().Get("type") != "source" {
		return reply{}, fakeappwrite.InvalidParam("type", "The fake has the source alone.")
	}
	return reply{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/gzip"}, Body: d.source}, nil
}

// activateDeployment is PATCH /functions/{id}/deployment.
func (c *Console) activateDeployment(q *request, f *function) (reply, error) {
	id, _ := q.Params["deploymentId"].(string)
	d, err := c.deployment(f, id)
	if err == nil && d.Status != "ready" {
		err = badRequest("build_not_ready", "Build with the requested ID is building and not ready for execution.")
	}
	if err != nil {
		return reply{}, err
	}
	c.activate(f, d)
	return answer(http.StatusOK, f)
}

// pieceSize is what the CLI and the SDKs send at once of a larger upload.
const pieceSize = 5 << 20

// An upload is one of which not all pieces are there.
type upload struct {
	function string
	activate bool
	received []byte
	size     int
}

// createDeployment takes an upload, in one piece if it has up to 5 MB, else in
// pieces of 5 MB in their order. The answer goes out before the build begins.
func (c *Console) createDeployment(q *request, f *function) (reply, error) {
	q.HTTP.Body = io.NopCloser(bytes.NewReader(q.Body))
	activate, isBool := map[string]bool{"true": true, "false": false}[q.HTTP.FormValue("activate")]
	if !isBool {
		return reply{}, badRequest("general_argument_invalid", `Param "activate" is not optional.`)
	}
	if f.Entrypoint == "" && q.HTTP.FormValue("entrypoint") == "" {
		return reply{}, &apiError{Status: 404, Type: "function_entrypoint_missing", Message: "Entrypoint for your Appwrite Function is missing."}
	}
	file, _, err := q.HTTP.FormFile("code")
	if err != nil {
		return reply{}, badRequest("storage_file_empty", "Empty file passed to the endpoint.")
	}
	code, err := io.ReadAll(file)
	if err != nil {
		return reply{}, err
	}
	first, size, err := piece(q.HTTP.Header.Get("Content-Range"), len(code))
	if err != nil {
		return reply{}, err
	}
	if first == 0 && size == len(code) {
		return c.deploy(f, fakeappwrite.NewID(), code, activate)
	}
	return c.receive(f, q.HTTP.Header.Get("X-Appwrite-Id"), first, code, upload{f.ID, activate, nil, size})
}

// receive takes one piece of an upload. With the first comes the deployment's id,
// which the others have to name.
func (c *Console) receive(f *function, id string, first int, code []byte, begun upload) (reply, error) {
	if first == 0 && id == "" {
		id = fakeappwrite.NewID()
		c.pieces[id] = &begun
	}
	u := c.pieces[id]
	last := u != nil && first+len(code) == u.size
	if u == nil || u.function != f.ID || u.size != begun.size || first != len(u.received) || len(code) != pieceSize && !last {
		return reply{}, invalidRange()
	}
	u.received = append(u.received, code...)
	if !last {
		return answer(http.StatusAccepted, deployment{ID: id, Status: "waiting", Activate: u.activate, Times: c.Stamp()})
	}
	delete(c.pieces, id)
	if !fakeappwrite.Older(c.Version, "1.9.6") {
		// The last piece takes activate from every deployment of the function,
		// its own included, which is then built and ready, and never active.
		u.activate = false
		for _, d := range f.deployments {
			d.Activate = false
		}
	}
	return c.deploy(f, id, u.received, u.activate)
}

// piece reads a Content-Range: where the piece begins, and the size of the whole.
func piece(contentRange string, length int) (first, size int, err error) {
	if contentRange == "" {
		return 0, length, nil
	}
	var last int
	n, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &size)
	if err != nil || n != 3 || last-first+1 != length || last >= size {
		return 0, 0, invalidRange()
	}
	return first, size, nil
}

func invalidRange() error {
	return badRequest("storage_invalid_content_range", "Invalid content range. Please check the value of the content-range header.")
}

// deploy begins to build code.
func (c *Console) deploy(f *function, id string, code []byte, activate bool) (reply, error) {
	d := &deployment{ID: id, Activate: activate, Status: "waiting", SourceSize: len(code), Times: c.Stamp(), source: code}
	c.uploaded = code
	f.deployments = append(f.deployments, d)
	if fakeappwrite.Older(c.Version, "1.9.6") {
		f.LatestID, f.LatestStatus = d.ID, d.Status
	}
	c.builds.Add(1)
	go func() {
		defer c.builds.Done()
		c.build(f, d)
	}()
	return answer(http.StatusAccepted, d)
}

// FailBuilds makes builds fail with this log. With an empty one they succeed
// again.
func (c *Console) FailBuilds(log string) {
	c.Do(func() { c.buildFailure = log })
}

// HoldBuilds leaves builds in the queue until release is called.
func (c *Console) HoldBuilds() (release func()) {
	c.hold.Lock()
	return c.hold.Unlock
}

// WaitForBuilds returns when no build is under way and what should be active is.
func (c *Console) WaitForBuilds() { c.builds.Wait() }

// build takes d from one state to the next, as Appwrite's worker does. It compiles
// nothing, and does not look into the archive.
func (c *Console) build(f *function, d *deployment) {
	step := func(do func()) {
		time.Sleep(5 * time.Millisecond) // for which a build stays in a state
		c.Do(func() {
			do()
			d.Updated = c.Stamp().Updated
			if f.LatestID == d.ID {
				f.LatestStatus = d.Status
			}
		})
	}
	c.hold.RLock()
	defer c.hold.RUnlock()
	step(func() {
		d.Status = "processing"
		if !fakeappwrite.Older(c.Version, "1.9.6") { // which says so here for the first time (Workers/Builds.php)
			latest := f.deployments[len(f.deployments)-1]
			f.LatestID, f.LatestStatus = latest.ID, latest.Status
		}
	})
	step(func() { d.Status = "building" })
	step(func() {
		_, err := gzip.NewReader(bytes.NewReader(d.source))
		if c.buildFailure != "" {
			err = errors.New(c.buildFailure)
		}
		d.Status, d.BuildLogs = "ready", "Build finished.\n"
		if err != nil {
			d.Status, d.BuildLogs = "failed", err.Error()
		}
	})
	// The worker makes a build active a moment after it is ready, and not at all if
	// a deployment that was made later is active by then (Builds.php).
	step(func() {
		later := f.DeploymentID != "" && !f.DeploymentCreated.Before(d.Created.Time)
		if d.Status == "ready" && d.Activate && !later {
			c.activate(f, d)
		}
	})
}
