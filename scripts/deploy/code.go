package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// deployed returns the files that the function is built from, by their path with
// slashes: the sources of this module that its main package needs on the platform,
// as the go command says, and what names the modules.
func deployed() (map[string][]byte, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Module", ".")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	var complaint strings.Builder
	list.Stderr = &complaint
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &complaint)
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	names := []string{"go.mod", "go.sum"}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Module              *struct{ Main bool }
		}
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Module == nil || !p.Module.Main {
			continue // the build fetches it
		}
		dir, err := filepath.Rel(root, p.Dir)
		if err != nil {
			return nil, err
		}
		for _, name := range append(p.GoFiles, p.EmbedFiles...) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[filepath.ToSlash(name)], err = os.ReadFile(name); err != nil {
			return nil, err
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

// compareSource returns why the source that runs is not the local one, "" if it is.
func compareSource(running, local map[string][]byte) string {
	for _, name := range slices.Sorted(maps.Keys(local)) {
		content, there := running[name]
		if !there {
			return name + " is not deployed"
		}
		if !bytes.Equal(content, local[name]) {
			return name + " differs from what is deployed"
		}
	}
	var more []string
	for _, name := range slices.Sorted(maps.Keys(running)) {
		if _, needed := local[name]; !needed {
			more = append(more, name)
		}
	}
	if len(more) == 0 {
		return ""
	}
	shown := strings.Join(more[:min(3, len(more))], ", ")
	if len(more) > 3 {
		shown += ", …"
	}
	what := fmt.Sprintf("what is deployed holds %d files too many (%s)", len(more), shown)
	if slices.ContainsFunc(more, holdsKey) {
		what += ", and in them the API key that deployed it: delete that deployment and revoke that key"
	}
	return what
}

// holdsKey reports whether a deployed file is one in which the Appwrite CLI or npm
// leaves the API key. Version 0.1.0 of this command deployed them with the code.
func holdsKey(name string) bool {
	return strings.Contains(name, ".appwrite/prefs.json") || strings.Contains(name, "/_logs/")
}

// deployment is one upload of the function's code.
type deployment struct {
	ID         string `json:"$id"`
	CreatedAt  string `json:"$createdAt"`
	Status     string `json:"status"` // waiting, processing, building, ready, failed or canceled
	BuildLogs  string `json:"buildLogs"`
	SourceSize int64  `json:"sourceSize"` // bytes
}

// ended reports whether nothing more becomes of a build by itself.
func (d deployment) ended() bool {
	return slices.Contains([]string{"ready", "failed", "canceled"}, d.Status)
}

// isStuck reports whether nothing will become of it any more: an upload that broke off
// stays waiting for ever, and a build whose worker has died goes on building.
func (d deployment) isStuck() bool {
	created, err := time.Parse(time.RFC3339, d.CreatedAt)
	return err == nil && !d.ended() && time.Since(created) > maxWait
}

// deployments returns the newest of the function's deployments, the newest first.
func (p *project) deployments(ctx context.Context) ([]deployment, error) {
	var found struct{ Deployments []deployment }
	queries := url.Values{"queries[]": {`{"method":"orderDesc","attribute":"$createdAt"}`, `{"method":"limit","values":[25]}`}}
	err := p.call(ctx, http.MethodGet, p.functionPath()+"/deployments?"+queries.Encode(), nil, &found)
	return found.Deployments, err
}

// source returns the files of a deployment.
func (p *project) source(ctx context.Context, id string) (map[string][]byte, error) {
	tarball, err := p.raw(ctx, http.MethodGet, p.functionPath()+"/deployments/"+id+"/download?type=source", nil)
	if err != nil {
		return nil, fmt.Errorf("the deployed code: %w", err)
	}
	files, err := unpack(tarball)
	if err != nil {
		return nil, fmt.Errorf("the deployed code: %w", err)
	}
	return files, nil
}

// bloated is a size that no upload of this function's source has by itself. The
// command of version 0.1.0 uploaded some 9 MB, with the API key in them.
const bloated = 5 << 20

func checkCode(ctx context.Context, p *project) (string, error) {
	f, err := p.function(ctx)
	if err != nil {
		return "", err
	}
	// 1.9.6 tells of the newest build in the function only once a worker has it.
	all, err := p.deployments(ctx)
	if err != nil {
		return "", err
	}
	console := p.inConsole("Deployments")
	switch {
	case len(all) == 0:
		return "", absent("nothing is deployed: Safaricom gets 404 and every payment is lost", console)
	case all[0].Status == "failed":
		return "", wrong("the newest build failed: what runs is older than what was deployed last", console+" → Build logs")
	case all[0].Status != "ready":
		return "", wrong("the newest build is "+all[0].Status+" and not active yet", console)
	case all[0].ID != f.DeploymentID:
		return "", wrong("the newest build is ready, but not the one that is active", console+" → Activate")
	}
	if what, err := p.outdated(ctx, f.DeploymentID, f.DeploymentCreatedAt); err != nil || what != "" {
		if err != nil {
			return "", err
		}
		return "", wrong(what, console+" → Redeploy")
	}
	found := fmt.Sprintf("build %s ready, active", f.DeploymentID)
	for _, d := range all {
		if d.SourceSize > bloated {
			found += fmt.Sprintf(". But the deployment %s of %s has %d MB: delete it, and if it was made by this command, revoke the API key that deployed it, which is in it",
				d.ID, d.CreatedAt, d.SourceSize>>20)
		}
	}
	return found, nil
}

// outdated returns why a deployment would have to be made anew, "" if it is as it
// should be.
func (p *project) outdated(ctx context.Context, id, createdAt string) (string, error) {
	remote, err := p.remoteVariables(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range remote {
		// A container keeps the variables with which it was started.
		if !before(v.UpdatedAt, createdAt) {
			return v.Key + " was changed after the function was deployed, which may still have the old value", nil
		}
	}
	running, err := p.source(ctx, id)
	if err != nil {
		return "", err
	}
	local, err := p.deployed()
	if err != nil {
		return "", err
	}
	return compareSource(running, local), nil
}

// before compares two of Appwrite's times. What is no time was not before.
func before(a, b string) bool {
	first, err := time.Parse(time.RFC3339, a)
	second, err2 := time.Parse(time.RFC3339, b)
	return err == nil && err2 == nil && first.Before(second)
}

// deployCode makes the local code the one that runs. A build that is under way, from
// a run that was broken off, say, is waited for, and used if it is what is wanted.
// Otherwise the code is uploaded. Whether the server activates a build by itself
// depends on its version and on the upload's size, so that is done here.
func deployCode(ctx context.Context, p *project) error {
	latest, err := p.finishBuilds(ctx)
	if err != nil {
		return err
	}
	usable := latest.Status == "ready"
	if usable {
		what, err := p.outdated(ctx, latest.ID, latest.CreatedAt)
		if err != nil {
			return err
		}
		usable = what == ""
	}
	if !usable {
		if latest, err = p.upload(ctx, latest.ID); err != nil {
			return err
		}
	}
	switch latest.Status {
	case "ready":
		return p.activate(ctx, latest.ID)
	case "failed":
		return fmt.Errorf("the build failed:\n%s", strings.TrimSpace(latest.BuildLogs))
	}
	return fmt.Errorf("the build was %s", latest.Status)
}

// finishBuilds waits until no build is under way, and returns the newest deployment:
// without an id if there is none. An older build that ends later could otherwise
// take the place of a newer one.
func (p *project) finishBuilds(ctx context.Context) (latest deployment, err error) {
	err = p.wait(ctx, "a build that is under way", func() (bool, error) {
		all, err := p.deployments(ctx)
		if err != nil || len(all) == 0 {
			return err == nil, err
		}
		latest = all[0]
		i := slices.IndexFunc(all, func(d deployment) bool { return !d.ended() && !d.isStuck() })
		if i >= 0 {
			p.say("code: an earlier build is %s; waiting for it (%s: cancel or delete it in the console if nothing becomes of it)", all[i].Status, all[i].ID)
		}
		return i < 0, nil
	})
	return latest, err
}

// upload uploads the code and waits for its build. before is the newest deployment
// so far. What the CLI says is not believed: it exits with 0 when an upload is
// refused.
func (p *project) upload(ctx context.Context, before string) (deployment, error) {
	said, err := p.push(ctx, p)
	if err != nil {
		return deployment{}, err
	}
	var d deployment
	begun := time.Now()
	err = p.wait(ctx, "the build", func() (bool, error) {
		all, err := p.deployments(ctx)
		if err != nil {
			return false, err
		}
		if len(all) == 0 || all[0].ID == before {
			return false, &uploadRefused{said}
		}
		if d = all[0]; !d.ended() {
			p.say("code: the build is %s (%d s)", d.Status, int(time.Since(begun).Seconds()))
		}
		return d.ended(), nil
	})
	return d, err
}

// uploadRefused says that no deployment came of an upload.
type uploadRefused struct{ said string }

func (e *uploadRefused) Error() string {
	return "nothing was uploaded. The Appwrite CLI said:\n" + e.said
}

// activate makes a deployment the active one, and looks whether it is.
func (p *project) activate(ctx context.Context, id string) error {
	f, err := p.function(ctx)
	if err != nil || f.DeploymentID == id {
		return err
	}
	if err := p.call(ctx, http.MethodPatch, p.functionPath()+"/deployment", map[string]any{"deploymentId": id}, nil); err != nil {
		return fmt.Errorf("the build %s is ready and could not be activated: %w", id, err)
	}
	if f, err = p.function(ctx); err == nil && f.DeploymentID != id {
		err = errors.New("the build " + id + " was activated, and is not active: somebody else deploys at the same time")
	}
	return err
}
